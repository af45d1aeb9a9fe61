#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "path.h"

int vh__fd_pread_full(int fd, void *to, size_t n, uint64_t off, const char *what, vh_error *err)
{
    char *p = to;

    while (n > 0) {
        ssize_t got = pread(fd, p, n, (off_t)off);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return vh_error_set(err, -errno, "read %s", what);
        if (got == 0)
            return vh_error_set(err, VH_ECORRUPT, "%s: ends at byte %llu, before its content does", what,
                                (unsigned long long)off);
        p += got;
        off += (uint64_t)got;
        n -= (size_t)got;
    }
    return 0;
}

int vh__fd_pwrite_full(int fd, const void *from, size_t n, uint64_t off, const char *what, vh_error *err)
{
    const char *p = from;

    while (n > 0) {
        ssize_t put = pwrite(fd, p, n, (off_t)off);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return vh_error_set(err, -errno, "write %s", what);
        p += put;
        off += (uint64_t)put;
        n -= (size_t)put;
    }
    return 0;
}

/* Writes the rest of a message whose descriptors are gone already. */
static int write_full(int fd, const void *from, size_t n, const char *what, vh_error *err)
{
    const char *p = from;

    while (n > 0) {
        ssize_t put = send(fd, p, n, MSG_NOSIGNAL);

        if (put < 0 && errno == ENOTSOCK)
            put = write(fd, p, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return vh_error_set(err, -errno, "write %s", what);
        p += put;
        n -= (size_t)put;
    }
    return 0;
}

int vh__file_read(const char *path, size_t max, vh__buf *out, vh_error *err)
{
    vh_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t total = 0;

    if (fd < 0)
        return vh_error_set(err, -errno, "open %s", path);
    for (;;) {
        char *to = vh__buf_reserve(out, 16384);
        ssize_t got;

        if (!to)
            return vh__buf_check(out, path, err);
        got = read(fd, to, 16384);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return vh_error_set(err, -errno, "read %s", path);
        if (got == 0)
            return 0;
        out->len += (size_t)got;
        out->data[out->len] = '\0';
        total += (size_t)got;
        if (total > max)
            return vh_error_set(err, VH_ELIMIT, "%s: larger than %zu bytes", path, max);
    }
}

int vh__dir_sync(const char *path, vh_error *err)
{
    vh_auto_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return vh_error_set(err, -errno, "sync directory %s", path);
    return 0;
}

/* Fills, syncs and renames; the caller removes |tmp| on failure. */
static int write_and_rename(const char *tmp, const char *path, const void *bytes, size_t n, mode_t mode, vh_error *err)
{
    vh_auto_fd int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    int rc;

    if (fd < 0)
        return vh_error_set(err, -errno, "create %s", tmp);
    rc = vh__fd_pwrite_full(fd, bytes, n, 0, tmp, err);
    if (rc)
        return rc;
    if (fsync(fd) < 0)
        return vh_error_set(err, -errno, "sync %s", tmp);
    if (rename(tmp, path) < 0)
        return vh_error_set(err, -errno, "rename %s to %s", tmp, path);
    return 0;
}

int vh__file_write_atomic(const char *path, const void *bytes, size_t n, mode_t mode, vh_error *err)
{
    vh_auto_free char *tmp = vh__strf("%s.tmp-%d-%lx", path, (int)getpid(), (unsigned long)pthread_self());
    vh_auto_free char *dir = strdup(path);
    char *slash;
    int rc;

    if (!tmp || !dir)
        return vh_error_set(err, -ENOMEM, "write %s", path);
    rc = write_and_rename(tmp, path, bytes, n, mode, err);
    if (rc) {
        (void)unlink(tmp); /* the first error is the one to tell */
        return rc;
    }
    slash = strrchr(dir, '/');
    if (slash)
        *slash = '\0';
    return vh__dir_sync(slash ? (slash == dir ? "/" : dir) : ".", err);
}

int vh__fd_send(int sock, const void *bytes, size_t n, const int *fds, size_t nfds, vh_error *err)
{
    char control[CMSG_SPACE(sizeof(int) * VH_FDS_MAX)] = { 0 };
    struct iovec iov = { .iov_base = (void *)bytes, .iov_len = n };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    ssize_t put;

    if (nfds > VH_FDS_MAX)
        return vh_error_set(err, VH_EINVALID, "message with %zu descriptors: at most %d", nfds, VH_FDS_MAX);
    if (nfds) {
        struct cmsghdr *c;

        msg.msg_control = control;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
    }
    do
        put = sendmsg(sock, &msg, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    if (put < 0)
        return vh_error_set(err, -errno, "send message");
    if ((size_t)put < n)
        return write_full(sock, (const char *)bytes + put, n - (size_t)put, "message", err);
    return 0;
}

/* Takes the descriptors out of |msg| into |fds|, closing those beyond VH_FDS_MAX. Returns how many there were. */
static size_t take_fds(struct msghdr *msg, int *fds)
{
    size_t n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        size_t here;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < here; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (n < VH_FDS_MAX)
                fds[n] = fd;
            else
                (void)close(fd); /* unwanted */
            n++;
        }
    }
    return n;
}

int vh__fd_recv(int sock, void *to, size_t cap, size_t *n, int *fds, size_t *nfds, vh_error *err)
{
    char control[CMSG_SPACE(sizeof(int) * (VH_FDS_MAX + 1))];
    struct iovec iov = { .iov_base = to, .iov_len = cap };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
    size_t count;
    ssize_t got;

    do
        got = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == ECONNRESET)
        got = 0;
    if (got < 0)
        return vh_error_set(err, -errno, "receive message");
    count = take_fds(&msg, fds);
    if (count > VH_FDS_MAX || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
        for (size_t i = 0; i < VH_MIN(count, (size_t)VH_FDS_MAX); i++)
            (void)close(fds[i]); /* unwanted */
        return vh_error_set(err, VH_EPROTOCOL, "received message is larger than %zu bytes or %d descriptors", cap,
                            VH_FDS_MAX);
    }
    *n = (size_t)got;
    *nfds = count;
    return 0;
}

int vh__fd_nonblock(int fd, vh_error *err)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return vh_error_set(err, -errno, "make descriptor %d non-blocking", fd);
    return 0;
}
