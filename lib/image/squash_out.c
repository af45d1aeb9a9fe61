/* The file behind a squashfs writer. */
#include "squash_priv.h"

#include <errno.h>
#include <sqfs/error.h>
#include <unistd.h>

static int failed(vh__squash_out *o, int error)
{
    if (o->error == 0)
        o->error = error;
    return SQFS_ERROR_IO;
}

static int read_at(sqfs_file_t *base, sqfs_u64 off, void *to, size_t n)
{
    vh__squash_out *o = (vh__squash_out *)base;
    char *p = to;

    while (n > 0) {
        ssize_t got = pread(o->fd, p, n, (off_t)off);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return failed(o, got < 0 ? -errno : -EIO);
        p += got;
        off += (sqfs_u64)got;
        n -= (size_t)got;
    }
    return 0;
}

static int write_at(sqfs_file_t *base, sqfs_u64 off, const void *from, size_t n)
{
    vh__squash_out *o = (vh__squash_out *)base;
    const char *p = from;

    while (n > 0) {
        ssize_t put = pwrite(o->fd, p, n, (off_t)off);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return failed(o, put < 0 ? -errno : -EIO);
        p += put;
        off += (sqfs_u64)put;
        n -= (size_t)put;
    }
    if (o->size < off)
        o->size = off;
    return 0;
}

static sqfs_u64 get_size(const sqfs_file_t *base)
{
    return ((const vh__squash_out *)base)->size;
}

static int resize(sqfs_file_t *base, sqfs_u64 size)
{
    vh__squash_out *o = (vh__squash_out *)base;

    if (ftruncate(o->fd, (off_t)size))
        return failed(o, -errno);
    o->size = size;
    return 0;
}

void vh__squash_out_init(vh__squash_out *o, int fd)
{
    *o = (vh__squash_out){
        .base = { .read_at = read_at, .write_at = write_at, .get_size = get_size, .truncate = resize },
        .fd = fd,
    };
}
