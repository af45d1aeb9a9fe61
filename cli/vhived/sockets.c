/*
 * The listening sockets. All are made here, in one way: those of systemd by their names, the others by the settings. A
 * socket of systemd's stays when we go, with the connections that wait in it; what we made is removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auto.h"
#include "path.h"
#include "vhived.h"

#define FIRST_INHERITED 3

static const struct {
    const char *name; /* FileDescriptorName= of the socket unit */
    const char *key;
    const char *fallback; /* below the run directory, where the setting is empty */
} rows[VHIVED_SOCKETS] = {
    [VHIVED_CONTROL] = { "control", "daemon.control_sock", "vhived.sock" },
    [VHIVED_CRI] = { "cri", "cri.sock", NULL },
    [VHIVED_HTTP] = { "http", "daemon.http", "vhived.http.sock" },
};

static int take(vhived *d, int fd, const char *name, size_t n, vh_error *err)
{
    int listening = 0, i = 0;
    socklen_t len = sizeof(listening);

    while (i < VHIVED_SOCKETS && (strlen(rows[i].name) != n || strncmp(rows[i].name, name, n) != 0))
        i++;
    if (i == VHIVED_SOCKETS)
        return vh_error_set(err, VH_EINVALID,
                            "socket activation: '%.*s' is none of control, cri and http; set FileDescriptorName= in the "
                            "socket unit", (int)VH_MIN(n, 64u), name);
    if (d->sockets[i].fd >= 0)
        return vh_error_set(err, VH_EINVALID, "socket activation: there are two sockets '%s'", rows[i].name);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) || !listening)
        return vh_error_set(err, VH_EINVALID, "socket activation: '%s' is no listening stream socket", rows[i].name);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) || fcntl(fd, F_SETFL, O_NONBLOCK))
        return vh_error_set(err, -errno, "socket activation: '%s'", rows[i].name);
    d->sockets[i].fd = fd;
    return 0;
}

/* Takes the descriptors that sd_listen_fds_with_names(3) would give. */
static int take_inherited(vhived *d, vh_error *err)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
    int n = pid && atoi(pid) == getpid() && fds ? atoi(fds) : 0, rc = 0;

    for (int i = 0; i < n && rc == 0; i++) {
        size_t len = names ? strcspn(names, ":") : 0;

        rc = take(d, FIRST_INHERITED + i, names ? names : "", len, err);
        names = names && names[len] ? names + len + 1 : NULL;
    }
    (void)unsetenv("LISTEN_PID"); /* not for our children; fails only for names that are none */
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    return rc;
}

/* The configured group, (gid_t)-1 where there is none. */
static gid_t socket_group(const vhived *d)
{
    const char *name = vh_config_str(d->cli->config, "daemon.socket_group");
    struct group entry, *found = NULL;
    char text[4096];

    if (!*name)
        return (gid_t)-1;
    if (getgrnam_r(name, &entry, text, sizeof(text), &found) == 0 && found)
        return entry.gr_gid;
    vh__log(d->env, VH_LOG_WARN, "vhived", NULL, "no group '%s': only root may use the sockets; 'groupadd --system %s'",
            name, name);
    return (gid_t)-1;
}

static int listen_unix(vhived_socket *s, const char *path, gid_t gid, vh_error *err)
{
    vh_auto_free char *copy = strdup(path), *own = strdup(path);
    int rc;

    if (!copy || !own)
        return vh_error_set(err, -ENOMEM, "socket %s", path);
    rc = vh__path_mkdirs(dirname(copy), 0711, err);
    if (rc == 0)
        rc = vh__listen_unix(path, 0660, gid, &s->fd, &s->file, err);
    if (rc == 0)
        s->path = vh_steal_ptr(own);
    return rc;
}

/* |address| is a path or, of HTTP, "unix:" and one, or HOST:PORT. */
static int listen_at(vhived *d, int i, const char *address, gid_t gid, vh_error *err)
{
    vhived_socket *s = &d->sockets[i];
    int rc;

    if (i != VHIVED_HTTP)
        rc = listen_unix(s, address, gid, err);
    else if (strncmp(address, "unix:", 5) == 0)
        rc = listen_unix(s, address + 5, gid, err);
    else
        rc = vh__listen_loopback(address, &s->fd, err);
    return rc ? vh_error_wrap(err, rc, "%s", rows[i].key) : 0;
}

static int open_configured(vhived *d, int i, gid_t gid, vh_error *err)
{
    const char *setting = vh_config_str(d->cli->config, rows[i].key);
    vh_auto_free char *address = NULL;

    if (d->sockets[i].fd >= 0 || strcmp(setting, "none") == 0)
        return 0;
    if (*setting)
        address = strdup(setting);
    else
        address = vh__strf("%s%s/%s", i == VHIVED_HTTP ? "unix:" : "", vh_env_run_dir(d->env), rows[i].fallback);
    return address ? listen_at(d, i, address, gid, err) : vh_error_set(err, -ENOMEM, "%s", rows[i].key);
}

int vhived_sockets_open(vhived *d, vh_error *err)
{
    int rc = take_inherited(d, err);
    gid_t gid = rc == 0 ? socket_group(d) : (gid_t)-1;

    for (int i = 0; i < VHIVED_SOCKETS && rc == 0; i++)
        rc = open_configured(d, i, gid, err);
    if (rc == 0 && d->sockets[VHIVED_CONTROL].fd < 0 && d->sockets[VHIVED_CRI].fd < 0)
        rc = vh_error_set(err, VH_EINVALID, "nothing to serve: both --control-sock and --cri-sock are none");
    if (rc)
        vhived_sockets_close(d);
    return rc;
}

void vhived_sockets_close(vhived *d)
{
    for (int i = 0; i < VHIVED_SOCKETS; i++) {
        vhived_socket *s = &d->sockets[i];

        /* while instances ended nobody listened there: another daemon may have put its own in its place */
        if (s->path)
            vh__unlisten_unix(s->path, &s->file);
        vh__fd_close(&s->fd);
        free(s->path);
        s->path = NULL;
    }
}
