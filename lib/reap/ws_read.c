#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <unistd.h>

#include "reap_priv.h"

/* In flight at once; `vhive-bench micro ws-fetch` tells what it is worth. */
enum { DEPTH = 8 };

/* A read under way: what has been asked for, and how much of it is with the kernel. */
struct reading {
    vh__ws_read_job *job;
    size_t asked;
    unsigned in_flight;
    struct io_uring ring;
    struct extent {
        size_t piece, off, len;
    } extents[DEPTH];
};

static int ended_early(size_t off, vh_error *err)
{
    return vh_error_set(err, VH_ECORRUPT, VH_WS_FILE ": ends at byte %zu, before its content does", off);
}

static int check_stop(const vh__ws_read_job *job, vh_error *err)
{
    return atomic_load(job->stop) ? vh_error_set(err, VH_ECANCELED, "read " VH_WS_FILE ": cancelled") : 0;
}

/* The next piece to be asked for. */
static struct extent next_extent(struct reading *r)
{
    struct extent x = { .piece = r->asked / VH_WS_PIECE, .off = r->asked,
                        .len = VH_MIN((size_t)VH_WS_PIECE, r->job->n - r->asked) };

    r->asked += x.len;
    return x;
}

static void ask(struct reading *r, struct extent *x)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&r->ring); /* never NULL: as many entries as extents */

    io_uring_prep_read(sqe, r->job->fd, (char *)r->job->to + x->off, (unsigned)x->len, x->off);
    io_uring_sqe_set_data(sqe, x);
    r->in_flight++;
}

static void ask_next(struct reading *r, struct extent *x)
{
    if (r->asked == r->job->n)
        return;
    *x = next_extent(r);
    ask(r, x);
}

/* One completion: the rest of a short read is asked for again, else the next piece. */
static int take_one(struct reading *r, vh_error *err)
{
    struct io_uring_cqe *cqe;
    struct extent *x;
    size_t piece;
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
    if (x->len > 0) {
        ask(r, x);
        return 0;
    }
    piece = x->piece;
    ask_next(r, x);                  /* first, so that the disk has work while the piece is looked at */
    (void)io_uring_submit(&r->ring); /* else the next wait does it */
    return r->job->arrived(piece, r->job->arg, err);
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

static int read_by_uring(vh__ws_read_job *job, vh_error *err)
{
    struct reading r = { .job = job };
    int rc = io_uring_queue_init(DEPTH, &r.ring, 0);

    if (rc)
        return vh_error_set(err, rc, "set up io_uring");
    for (size_t i = 0; i < DEPTH; i++)
        ask_next(&r, &r.extents[i]);
    while (rc == 0 && r.in_flight > 0) {
        rc = check_stop(job, err);
        if (rc == 0)
            rc = take_one(&r, err);
    }
    drain(&r);
    io_uring_queue_exit(&r.ring);
    return rc;
}

static int pread_extent(const vh__ws_read_job *job, struct extent x, vh_error *err)
{
    while (x.len > 0) {
        ssize_t got = pread(job->fd, (char *)job->to + x.off, x.len, (off_t)x.off);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return vh_error_set(err, -errno, "read " VH_WS_FILE);
        if (got == 0)
            return ended_early(x.off, err);
        x.off += (size_t)got;
        x.len -= (size_t)got;
    }
    return 0;
}

static int read_by_pread(vh__ws_read_job *job, vh_error *err)
{
    struct reading r = { .job = job };
    int rc = 0;

    while (rc == 0 && r.asked < job->n) {
        struct extent x = next_extent(&r);

        rc = check_stop(job, err);
        if (rc == 0)
            rc = pread_extent(job, x, err);
        if (rc == 0)
            rc = job->arrived(x.piece, job->arg, err);
    }
    return rc;
}

int vh__ws_read(vh__ws_read_job *job, vh_error *err)
{
    int flags = fcntl(job->fd, F_GETFL);
    int rc = read_by_uring(job, err);

    job->direct = flags & O_DIRECT;
    job->uring = true;
    if (rc == -ENOSYS || rc == -EPERM || rc == -ENOMEM) { /* by kernel, seccomp or sysctl, RLIMIT_MEMLOCK */
        job->uring = false;
        rc = read_by_pread(job, err);
    }
    if (rc == -EINVAL && job->direct) { /* the filesystem took O_DIRECT at open and refuses it at read */
        job->direct = job->uring = false;
        if (fcntl(job->fd, F_SETFL, flags & ~O_DIRECT) < 0)
            return vh_error_set(err, -errno, "read " VH_WS_FILE " through the page cache");
        rc = read_by_pread(job, err);
    }
    return rc;
}
