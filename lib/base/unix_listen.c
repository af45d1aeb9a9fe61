#include "unix_listen.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "auto.h"

#define BACKLOG 4096

/* 0 if |at| is a socket without anybody behind it. */
static int check_stale(const struct sockaddr_un *at, vh_error *err)
{
    vh_auto_fd int probe = -1;
    struct stat st;

    if (lstat(at->sun_path, &st) < 0)
        return errno == ENOENT ? 0 : vh_error_set(err, -errno, "socket %s", at->sun_path);
    if (!S_ISSOCK(st.st_mode))
        return vh_error_set(err, -EADDRINUSE, "socket %s: there is a file that is no socket; remove it", at->sun_path);
    probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return vh_error_set(err, -errno, "socket to probe %s", at->sun_path);
    if (connect(probe, (const struct sockaddr *)at, sizeof(*at)) < 0 && (errno == ECONNREFUSED || errno == ENOENT))
        return 0;
    return vh_error_set(err, -EADDRINUSE, "socket %s: another process listens there", at->sun_path);
}

static int bind_to(int fd, const struct sockaddr_un *at, vh_error *err)
{
    int rc;

    if (bind(fd, (const struct sockaddr *)at, sizeof(*at)) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return vh_error_set(err, -errno, "socket %s", at->sun_path);
    rc = check_stale(at, err);
    if (rc)
        return rc;
    if (unlink(at->sun_path) < 0 && errno != ENOENT)
        return vh_error_set(err, -errno, "remove the stale socket %s", at->sun_path);
    if (bind(fd, (const struct sockaddr *)at, sizeof(*at)) < 0)
        return vh_error_set(err, -errno, "socket %s", at->sun_path);
    return 0;
}

/* The mode is right before anybody can connect: until listen(2) all are refused. */
static int open_up(int fd, const char *path, vh__unix_place *place, vh_error *err)
{
    struct stat st;

    if (chmod(path, 0660) < 0 || lstat(path, &st) < 0 || listen(fd, BACKLOG) < 0) {
        int rc = -errno;

        vh_ignore(unlink(path)); /* it was bound a moment ago; what failed is what is told */
        return vh_error_set(err, rc, "socket %s", path);
    }
    *place = (vh__unix_place){ .dev = st.st_dev, .ino = st.st_ino };
    return 0;
}

int vh__unix_listen(const char *path, int *fd, vh__unix_place *place, vh_error *err)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    vh_auto_fd int made = -1;
    int rc;

    if (path[0] != '/' || strlen(path) >= sizeof(at.sun_path))
        return vh_error_set(err, VH_EINVALID,
                            "socket '%.150s': paths of sockets are absolute and have at most %zu bytes", path,
                            sizeof(at.sun_path) - 1);
    strcpy(at.sun_path, path);
    made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0)
        return vh_error_set(err, -errno, "socket %s", path);
    rc = bind_to(made, &at, err);
    if (!rc)
        rc = open_up(made, path, place, err);
    if (!rc)
        *fd = vh_steal_fd(&made);
    return rc;
}

void vh__unix_unlink(const char *path, const vh__unix_place *place)
{
    struct stat st;

    if (place->ino && lstat(path, &st) == 0 && st.st_dev == place->dev && st.st_ino == place->ino)
        vh_ignore(unlink(path)); /* a stale socket is replaced by the next that listens there */
}
