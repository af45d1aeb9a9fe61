/* The disk of the state directory, past the page cache, one request at a time. */
#include <errno.h>
#include <fcntl.h>

#include "auto.h"
#include "clock.h"
#include "fd.h"
#include "micro_priv.h"

enum { CHUNK = 1 << 20, RANDOM_READS = 1024 };

int vh__micro_make_data(vh_micro *m, const vh__wait *w, vh_error *err)
{
    vh_auto_free uint32_t *noise = malloc(CHUNK);
    vh_auto_fd int fd = -1;
    uint32_t seed = 1;
    int rc = 0;

    if (m->data_fd >= 0)
        return 0;
    fd = openat(m->dir_fd, "data", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || !noise)
        return vh_error_set(err, noise ? -errno : -ENOMEM, "make %s/data", m->dir);
    for (uint64_t at = 0; rc == 0 && at < DATA_BYTES; at += CHUNK) {
        vh__micro_noise(noise, CHUNK / sizeof(*noise), &seed);
        rc = vh__fd_pwrite_full(fd, noise, CHUNK, at, "data", err);
        if (rc == 0)
            rc = vh__wait_check(w, "make a file to read", err);
    }
    if (rc == 0 && fsync(fd) < 0)
        rc = vh_error_set(err, -errno, "write %s/data", m->dir);
    if (rc == 0)
        m->data_fd = vh_steal_fd(&fd);
    return rc;
}

/* Where the |i|-th read of |size| bytes is. */
typedef uint64_t place_fn(uint64_t i, size_t size, uint32_t *seed);

static uint64_t in_order(uint64_t i, size_t size, uint32_t *seed)
{
    (void)seed;
    return i * size;
}

static uint64_t anywhere(uint64_t i, size_t size, uint32_t *seed)
{
    uint32_t random;

    (void)i;
    vh__micro_noise(&random, 1, seed);
    return (uint64_t)(random >> 8) % (DATA_BYTES / size) * size; /* the low digits have short periods */
}

/* |n| reads of |size| bytes. */
struct reads {
    size_t size, n;
    place_fn *place;
};

static int read_all(const struct reads *r, int fd, void *to, const vh__wait *w, vh_error *err)
{
    uint32_t seed = (uint32_t)vh__clock_mono_ns(); /* other blocks each time: a disk has caches too */

    for (size_t i = 0; i < r->n; i++) {
        int rc = vh__fd_pread_full(fd, to, r->size, r->place(i, r->size, &seed), "data", err);

        if (rc == 0)
            rc = vh__wait_check(w, "read", err);
        if (rc)
            return rc;
    }
    return 0;
}

/* |*value| in MB/s. */
static int measure(vh_micro *m, const struct reads *r, const vh__wait *w, double *value, vh_error *err)
{
    vh_auto_free void *to = aligned_alloc(PAGE, r->size);
    vh_auto_fd int fd = -1;
    int64_t start;
    int rc = to ? vh__micro_make_data(m, w, err) : vh_error_set(err, -ENOMEM, "buffer");

    if (rc)
        return rc;
    fd = openat(m->dir_fd, "data", O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (fd < 0)
        return vh_error_set(err, -errno, "open %s/data past the page cache (O_DIRECT)", m->dir);
    start = vh__clock_mono_ns();
    rc = read_all(r, fd, to, w, err);
    *value = (double)(r->size * r->n) * 1e3 / (double)(vh__clock_mono_ns() - start);
    return rc;
}

int vh__micro_disk_sequential(vh_micro *m, const vh__wait *w, double *value, vh_error *err)
{
    return measure(m, &(struct reads){ CHUNK, DATA_BYTES / CHUNK, in_order }, w, value, err);
}

int vh__micro_disk_random(vh_micro *m, const vh__wait *w, double *value, vh_error *err)
{
    return measure(m, &(struct reads){ PAGE, RANDOM_READS, anywhere }, w, value, err);
}
