#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <unistd.h>

#include "reap_priv.h"

/* In flight at once; `vhive-bench micro ws-fetch` tells what it is worth. */
enum { EXTENT = 512 << 10, DEPTH = 8 };

/* A read of n bytes: what has been asked for, and how much of it is with the kernel. */
struct reading {
    int fd;
    char *to;
    size_t n, asked;
    unsigned in_flight;
    struct io_uring ring;
    struct extent {
        size_t off, len;
    } extents[DEPTH];
};

static int ended_early(size_t off, vh_error *err)
{
    return vh_error_set(err, VH_ECORRUPT, VH_WS_FILE ": ends at byte %zu, before its content does", off);
}

static void ask(struct reading *r, struct extent *x)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&r->ring); /* never NULL: as many entries as extents */

    io_uring_prep_read(sqe, r->fd, r->to + x->off, (unsigned)x->len, x->off);
    io_uring_sqe_set_data(sqe, x);
    r->in_flight++;
}

static void ask_next(struct reading *r, struct extent *x)
{
    if (r->asked == r->n)
        return;
    *x = (struct extent){ .off = r->asked, .len = VH_MIN((size_t)EXTENT, r->n - r->asked) };
    r->asked += x->len;
    ask(r, x);
}

/* One completion: the rest of a short read is asked for again, else the next extent. */
static int take_one(struct reading *r, vh_error *err)
{
    struct io_uring_cqe *cqe;
    struct extent *x;
    int rc = io_uring_submit_and_wait(&r->ring, 1);

    if (rc == -EINTR || rc == -EAGAIN)
        return 0;
    if (rc < 0 || (rc = io_uring_peek_cqe(&r->ring, &cqe)) < 0)
        return vh_error_set(err, rc, "read " VH_WS_FILE " by io_uring");
    x = io_uring_cqe_get_data(cqe);
    rc = cqe->res;
    io_uring_cqe_seen(&r->ring, cqe);
    r->in_flight--;
    if (rc == 0)
        return ended_early(x->off, err);
    if (rc < 0 && rc != -EINTR && rc != -EAGAIN)
        return vh_error_set(err, rc, "read " VH_WS_FILE);
    x->off += rc > 0 ? (size_t)rc : 0;
    x->len -= rc > 0 ? (size_t)rc : 0;
    if (x->len > 0)
        ask(r, x);
    else
        ask_next(r, x);
    return 0;
}

/* The kernel must let go of the buffer before the caller may free it. */
static void drain(struct reading *r)
{
    struct io_uring_cqe *cqe;

    while (r->in_flight > io_uring_sq_ready(&r->ring)) { /* less those that it never saw */
        if (io_uring_wait_cqe(&r->ring, &cqe) < 0)
            continue;
        io_uring_cqe_seen(&r->ring, cqe);
        r->in_flight--;
    }
}

static int read_by_uring(struct reading *r, const atomic_bool *stop, vh_error *err)
{
    int rc = io_uring_queue_init(DEPTH, &r->ring, 0);

    if (rc)
        return vh_error_set(err, rc, "set up io_uring");
    for (size_t i = 0; i < DEPTH; i++)
        ask_next(r, &r->extents[i]);
    while (rc == 0 && r->in_flight > 0)
        rc = atomic_load(stop) ? vh_error_set(err, VH_ECANCELED,
                                              "read " VH_WS_FILE ": cancelled") : take_one(r, err);
    drain(r);
    io_uring_queue_exit(&r->ring);
    return rc;
}

static int read_by_pread(const struct reading *r, const atomic_bool *stop, vh_error *err)
{
    for (size_t off = 0; off < r->n;) {
        ssize_t got = pread(r->fd, r->to + off, VH_MIN((size_t)EXTENT, r->n - off), (off_t)off);

        if (atomic_load(stop))
            return vh_error_set(err, VH_ECANCELED, "read " VH_WS_FILE ": cancelled");
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return vh_error_set(err, -errno, "read " VH_WS_FILE);
        if (got == 0)
            return ended_early(off, err);
        off += (size_t)got;
    }
    return 0;
}

int vh__ws_read(int fd, void *to, size_t n, const atomic_bool *stop, struct vh__ws_read_how *how,
                vh_error *err)
{
    struct reading r = { .fd = fd, .to = to, .n = n };
    int flags = fcntl(fd, F_GETFL);
    int rc = read_by_uring(&r, stop, err);

    *how = (struct vh__ws_read_how){ .direct = flags & O_DIRECT, .uring = true };
    if (rc == -ENOSYS || rc == -EPERM || rc == -ENOMEM) { /* by kernel, seccomp or sysctl, RLIMIT_MEMLOCK */
        how->uring = false;
        rc = read_by_pread(&r, stop, err);
    }
    if (rc == -EINVAL && how->direct) { /* the filesystem took O_DIRECT at open and refuses it at read */
        *how = (struct vh__ws_read_how){ 0 };
        if (fcntl(fd, F_SETFL, flags & ~O_DIRECT) < 0)
            return vh_error_set(err, -errno, "read " VH_WS_FILE " through the page cache");
        rc = read_by_pread(&r, stop, err);
    }
    return rc;
}
