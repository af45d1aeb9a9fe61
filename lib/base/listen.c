#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "auto.h"
#include "wait.h"

#define BACKLOG 512
/* Starters hold the lock for microseconds. */
#define LOCK_MS 2000

static int unix_address(const char *path, struct sockaddr_un *at, vh_error *err)
{
    *at = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (path[0] != '/' || strlen(path) >= sizeof(at->sun_path))
        return vh_error_set(err, VH_EINVALID, "socket '%s': must be an absolute path of less than %zu bytes", path,
                            sizeof(at->sun_path));
    strcpy(at->sun_path, path);
    return 0;
}

/*
 * Lock of the directory that |path| lies in; released by closing it. Whoever may read the directory can hold its lock,
 * and for ever, so the wait is bounded.
 */
static int lock_directory(const char *path, int *fd, vh_error *err)
{
    vh_auto_free char *copy = strdup(path);
    const vh__wait w = vh__wait_from(NULL, LOCK_MS);
    vh_auto_fd int dir = -1;

    if (!copy)
        return vh_error_set(err, -ENOMEM, "socket %s", path);
    dir = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return vh_error_set(err, -errno, "directory of the socket %s", path);
    while (flock(dir, LOCK_EX | LOCK_NB)) {
        if (errno != EWOULDBLOCK)
            return vh_error_set(err, -errno, "lock the directory of the socket %s", path);
        if (vh__wait_sleep(&w, 10, path, NULL))
            return vh_error_set(err, -EBUSY,
                                "socket %s: another process has kept its directory locked for %d ms; end it (fuser), or "
                                "name another directory", path, LOCK_MS);
    }
    *fd = vh_steal_fd(&dir);
    return 0;
}

/* Removes a socket that nobody listens on. */
static int remove_stale(const struct sockaddr_un *at, vh_error *err)
{
    vh_auto_fd int probe = -1;
    struct stat st;

    if (lstat(at->sun_path, &st))
        return errno == ENOENT ? 0 : vh_error_set(err, -errno, "socket %s", at->sun_path);
    if (!S_ISSOCK(st.st_mode))
        return vh_error_set(err, -EADDRINUSE, "%s is there and is no socket: name another place, or remove it",
                            at->sun_path);
    probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return vh_error_set(err, -errno, "socket");
    if (connect(probe, (const struct sockaddr *)at, sizeof(*at)) == 0 || errno != ECONNREFUSED)
        return vh_error_set(err, -EADDRINUSE, "another process listens on %s: end it, or name another socket",
                            at->sun_path);
    return unlink(at->sun_path) ? vh_error_set(err, -errno, "remove the stale socket %s", at->sun_path) : 0;
}

/* The file is made with what fchmod() gave the socket, and opened to others only once it is theirs. */
static int bind_unix(int fd, const struct sockaddr_un *at, mode_t mode, gid_t gid, vh_error *err)
{
    int rc;

    if (fchmod(fd, 0600) || bind(fd, (const struct sockaddr *)at, sizeof(*at)))
        return vh_error_set(err, -errno, "make the socket %s", at->sun_path);
    rc = gid == (gid_t)-1 || chown(at->sun_path, (uid_t)-1, gid) == 0 ? 0 : -errno;
    if (rc == 0 && (chmod(at->sun_path, mode) || listen(fd, BACKLOG)))
        rc = -errno;
    if (rc == 0)
        return 0;
    (void)unlink(at->sun_path); /* the first error is the one to tell */
    return vh_error_set(err, rc, "make the socket %s", at->sun_path);
}

static void note_file(const char *path, vh__socket_file *file)
{
    struct stat st;

    *file = (vh__socket_file){ 0 };
    if (lstat(path, &st) == 0) /* else somebody has removed it, and nothing is left to do in the end */
        *file = (vh__socket_file){ .dev = st.st_dev, .ino = st.st_ino };
}

int vh__listen_unix(const char *path, mode_t mode, gid_t gid, int *fd, vh__socket_file *file, vh_error *err)
{
    vh_auto_fd int made = -1, lock = -1;
    struct sockaddr_un at;
    int rc = unix_address(path, &at, err);

    if (rc == 0)
        rc = lock_directory(path, &lock, err);
    if (rc == 0)
        rc = remove_stale(&at, err);
    if (rc)
        return rc;
    made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0)
        return vh_error_set(err, -errno, "socket");
    rc = bind_unix(made, &at, mode, gid, err);
    if (rc)
        return rc;
    if (file)
        note_file(path, file);
    *fd = vh_steal_fd(&made);
    return 0;
}

void vh__unlisten_unix(const char *path, vh__socket_file *file)
{
    struct stat st;

    if (file->ino && lstat(path, &st) == 0 && st.st_dev == file->dev && st.st_ino == file->ino)
        (void)unlink(path); /* a stale one is replaced by the next that listens there */
    *file = (vh__socket_file){ 0 };
}

/* Splits "HOST:PORT"; HOST may stand in brackets. */
static bool split(const char *address, char host[INET6_ADDRSTRLEN], uint16_t *port)
{
    const char *colon = strrchr(address, ':');
    size_t n = colon ? (size_t)(colon - address) : 0, skip = *address == '[' ? 1 : 0;
    char *end;
    unsigned long number;

    if (!colon || n < 2 * skip + 1 || n - 2 * skip >= INET6_ADDRSTRLEN || (skip && address[n - 1] != ']') ||
        colon[1] < '0' || colon[1] > '9')
        return false;
    memcpy(host, address + skip, n - 2 * skip);
    host[n - 2 * skip] = '\0';
    number = strtoul(colon + 1, &end, 10);
    *port = (uint16_t)number;
    return *end == '\0' && number <= UINT16_MAX;
}

/* Length of the socket address, 0 if |address| is none of this machine's own. */
static socklen_t loopback_address(const char *address, struct sockaddr_storage *at)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)at;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)at;
    char host[INET6_ADDRSTRLEN];
    uint16_t port;

    memset(at, 0, sizeof(*at));
    if (!split(address, host, &port))
        return 0;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET ? sizeof(*v4) : 0;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
        return 0;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ? sizeof(*v6) : 0;
}

int vh__listen_loopback(const char *address, int *fd, vh_error *err)
{
    struct sockaddr_storage at;
    socklen_t n = loopback_address(address, &at);
    vh_auto_fd int made = -1;
    int on = 1;

    if (n == 0)
        return vh_error_set(err, VH_EINVALID,
                            "address '%.64s': must be a numeric address of this machine alone and a port, as in "
                            "127.0.0.1:9090 or [::1]:9090", address);
    made = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0 || setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
        bind(made, (const struct sockaddr *)&at, n) || listen(made, BACKLOG))
        return vh_error_set(err, -errno, "listen on %s", address);
    *fd = vh_steal_fd(&made);
    return 0;
}
