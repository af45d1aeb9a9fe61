#include "chunks_priv.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"
#include "thread.h"

/* One hash runs at 1.8 GB/s, writing at about the same: a second thread hides one behind the other, more do not. */
#define THREADS 2

typedef struct job {
    int fd;
    uint64_t size;
    const char *what;
    const vh__wait *wait;
    vh__chunk_fn fn;
    void *arg;
    _Atomic size_t next; /* chunk to take */
    atomic_bool stop;    /* some worker failed */
} job;

typedef struct worker {
    job *job;
    pthread_t thread;
    vh__digest *digest;
    unsigned char *buf;
    int rc;
    vh_error err;
} worker;

size_t vh__chunks_count(uint64_t size)
{
    return (size_t)((size + VH_CHUNK - 1) / VH_CHUNK);
}

bool vh__chunks_zero(const unsigned char *bytes, size_t len)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0;
}

/*
 * Reads [off, off + len) into |buf|, without reading holes. |*any| tells whether there was data at all; |buf| is
 * left alone if not. Two threads move the one file position here, which matters to neither: what counts is returned.
 */
static int read_data(const job *j, uint64_t off, size_t len, unsigned char *buf, bool *any, vh_error *err)
{
    uint64_t pos = off, end = off + len;

    *any = false;
    while (pos < end) {
        off_t data = lseek(j->fd, (off_t)pos, SEEK_DATA);
        off_t hole = data < 0 ? -1 : lseek(j->fd, data, SEEK_HOLE);
        uint64_t from, to;
        int rc;

        if (data < 0 && errno != ENXIO)
            return vh_error_set(err, -errno, "find data of %s", j->what);
        from = data < 0 ? end : VH_MIN((uint64_t)data, end);
        if (from == end && !*any)
            return 0;
        memset(buf + (pos - off), 0, from - pos);
        if (from == end)
            return 0;
        to = hole < 0 ? end : VH_MIN((uint64_t)hole, end);
        rc = vh__fd_pread_full(j->fd, buf + (from - off), to - from, from, j->what, err);
        if (rc)
            return rc;
        *any = true;
        pos = to;
    }
    return 0;
}

static int do_chunk(worker *k, size_t index)
{
    const job *j = k->job;
    uint64_t off = (uint64_t)index * VH_CHUNK;
    size_t len = (size_t)VH_MIN(j->size - off, (uint64_t)VH_CHUNK);
    char text[VH_DIGEST_TEXT] = "";
    bool data;
    int rc;

    rc = vh__wait_check(j->wait, j->what, &k->err);
    if (rc == 0)
        rc = read_data(j, off, len, k->buf, &data, &k->err);
    if (rc)
        return rc;
    data = data && !vh__chunks_zero(k->buf, len);
    if (data)
        rc = vh__digest_update(k->digest, k->buf, len, &k->err);
    if (data && rc == 0)
        rc = vh__digest_final(k->digest, text, &k->err);
    if (rc)
        return rc;
    return j->fn(&(vh__chunk){ .index = index, .off = off, .len = len, .bytes = data ? k->buf : NULL, .digest = text },
                 j->arg, &k->err);
}

static void *work(void *arg)
{
    worker *k = arg;
    size_t count = vh__chunks_count(k->job->size);

    while (k->rc == 0 && !atomic_load(&k->job->stop)) {
        size_t index = atomic_fetch_add(&k->job->next, 1);

        if (index >= count)
            break;
        k->rc = do_chunk(k, index);
    }
    if (k->rc)
        atomic_store(&k->job->stop, true);
    return NULL;
}

static int worker_init(worker *k, job *j, vh_error *err)
{
    k->job = j;
    k->buf = aligned_alloc(VH_CHUNK_PAGE, VH_CHUNK);
    if (!k->buf)
        return vh_error_set(err, -ENOMEM, "read %s", j->what);
    return vh__digest_new(&k->digest, err);
}

/* Runs |n| workers, the first on this thread. A thread that cannot start leaves its work to the others. */
static void run(worker *k, size_t n)
{
    size_t started = 1;

    while (started < n && vh__thread_start(&k[started].thread, "vh-chunks", work, &k[started], NULL) == 0)
        started++;
    work(&k[0]);
    for (size_t i = 1; i < started; i++)
        (void)pthread_join(k[i].thread, NULL); /* cannot fail: it is ours and joinable */
}

int vh__chunks_each(int fd, uint64_t size, const char *what, const vh__wait *w, vh__chunk_fn fn, void *arg,
                    vh_error *err)
{
    job j = { .fd = fd, .size = size, .what = what, .wait = w, .fn = fn, .arg = arg };
    size_t n = VH_MIN(vh__chunks_count(size), (size_t)THREADS);
    worker workers[THREADS] = { 0 };
    struct stat st;
    int rc = 0;

    if (fstat(fd, &st) < 0)
        return vh_error_set(err, -errno, "read %s", what);
    if ((uint64_t)st.st_size < size) /* behind the end it would look like a hole */
        return vh_error_set(err, VH_ECORRUPT, "%s: it has %llu bytes, not %llu", what, (unsigned long long)st.st_size,
                            (unsigned long long)size);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = worker_init(&workers[i], &j, err);
    if (rc == 0)
        run(workers, n);
    for (size_t i = 0; i < n; i++) {
        if (rc == 0 && workers[i].rc) {
            rc = workers[i].rc;
            if (err)
                *err = workers[i].err;
        }
        vh__digest_free(workers[i].digest);
        free(workers[i].buf);
    }
    return rc;
}
