#include "fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "auto.h"
#include "log.h"
#include "thread.h"
#include "path.h"
#include "space.h"

enum { REPORT_EVERY = 256 << 10 };

typedef struct file {
    int fd;
    bool whole;
} file;

struct vh__fetch {
    vh__fetch_job job;
    vh__wait wait; /* the caller's deadline, and |cancel| */
    vh_cancel *cancel;
    int news; /* eventfd: counts layers that have ended, one way or the other */
    pthread_t threads[VH_FETCH_MAX];
    size_t nthreads;
    pthread_mutex_t lock; /* of what follows */
    file *files;          /* by layer; of equal layers the uppermost has the file */
    size_t left;          /* not yet taken: layers 0 .. left - 1 */
    size_t fetched;
    int64_t done, reported, total; /* bytes */
    vh_error error;                /* the first that failed; code 0: none */
};

/* The layer whose file has the content of layer |i|: the uppermost of that digest. */
static size_t file_of(const vh__fetch *f, size_t i)
{
    size_t top = i;

    for (size_t j = i + 1; j < f->job.n; j++)
        if (strcmp(f->job.layers[j].digest, f->job.layers[i].digest) == 0)
            top = j;
    return top;
}

/* How many layers have the content of layer |i|, whose file it is. */
static size_t count_equal(const vh__fetch *f, size_t i)
{
    size_t n = 0;

    for (size_t j = 0; j <= i; j++)
        n += file_of(f, j) == i;
    return n;
}

/* With the lock held, so that reports come one at a time and in order. */
static void report(vh__fetch *f)
{
    char detail[48];

    (void)snprintf(detail, sizeof(detail), "%zu of %zu layers", f->fetched, f->job.n);
    f->reported = f->done;
    vh__progress(f->job.env, &f->wait, "pull", detail, (uint64_t)f->done, (uint64_t)f->total);
}

static void on_moved(void *arg, int64_t bytes)
{
    vh__fetch *f = arg;

    pthread_mutex_lock(&f->lock);
    f->done += bytes;
    if (bytes < 0 || f->done >= f->reported + REPORT_EVERY)
        report(f);
    pthread_mutex_unlock(&f->lock);
}

/* Takes the next layer, which is fetched once however often it occurs. False: none is left, or one has failed. */
static bool take(vh__fetch *f, size_t *i)
{
    bool found = false;

    pthread_mutex_lock(&f->lock);
    while (!found && f->left > 0 && !f->error.code) {
        *i = --f->left;
        found = file_of(f, *i) == *i;
    }
    pthread_mutex_unlock(&f->lock);
    return found;
}

/* An unnamed file: the kernel removes it with its last descriptor. */
static int make_file(const vh__fetch *f, size_t i, int *fd, vh_error *err)
{
    vh_auto_free char *path = vh__strf("%s/layer-%zu", f->job.dir, i);
    int rc;

    if (!path)
        return vh_error_set(err, -ENOMEM, "layer");
    *fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    rc = *fd < 0 ? vh_error_set(err, -errno, "create %s", path) : 0;
    if (rc == 0 && unlink(path))
        rc = vh_error_set(err, -errno, "unlink %s", path);
    return rc;
}

static int fetch_one(vh__fetch *f, size_t i, vh_error *err)
{
    const vh__oci_descriptor *d = &f->job.layers[i];
    vh__registry_blob b = { .digest = d->digest, .size = d->size, .moved = on_moved, .arg = f };
    int rc = make_file(f, i, &f->files[i].fd, err);

    b.fd = f->files[i].fd;
    if (rc == 0)
        rc = f->job.source->ops->fetch(f->job.source, &b, &f->wait, err);
    if (rc)
        rc = vh__space_error(f->job.dir, (uint64_t)f->total, rc, err);
    return rc ? vh__oci_layer_failed(f->job.layers, f->job.n, i, rc, err) : 0;
}

static void tell(vh__fetch *f, size_t i, const vh_error *error)
{
    uint64_t one = 1;

    pthread_mutex_lock(&f->lock);
    if (!error->code) {
        f->files[i].whole = true;
        f->fetched += count_equal(f, i); /* at once, so that whoever has opened all of them finds them done */
        report(f);
    } else if (!f->error.code) {
        f->error = *error;
        vh_cancel_trigger(f->cancel); /* the others' work is in vain */
    }
    pthread_mutex_unlock(&f->lock);
    vh_ignore(write(f->news, &one, sizeof(one)) < 0); /* it fails only when it counts 2^64 layers */
}

static void *work(void *arg)
{
    vh__fetch *f = arg;
    size_t i;

    while (take(f, &i)) {
        vh_error error = { 0 };

        if (fetch_one(f, i, &error) == 0)
            error.code = 0; /* a try that failed before the one that did not has left its message */
        tell(f, i, &error);
    }
    return NULL;
}

static int start_threads(vh__fetch *f, vh_error *err)
{
    size_t want = VH_MIN(VH_MIN(VH_MAX(f->job.parallel, 1), VH_FETCH_MAX), VH_MAX(f->job.n, 1));

    while (f->nthreads < want) {
        int rc = vh__thread_start(&f->threads[f->nthreads], "vh-layers", work, f, err);

        if (rc)
            return rc;
        f->nthreads++;
    }
    return 0;
}

static int make_files(vh__fetch *f, vh_error *err)
{
    f->files = calloc(f->job.n + 1, sizeof(*f->files));
    if (!f->files)
        return vh_error_set(err, -ENOMEM, "layers");
    for (size_t i = 0; i < f->job.n; i++) {
        f->files[i].fd = -1;
        f->total += (int64_t)(file_of(f, i) == i ? f->job.layers[i].size : 0);
    }
    return 0;
}

static int set_up(vh__fetch *f, const vh__wait *w, vh_error *err)
{
    int rc = make_files(f, err);

    if (rc == 0)
        rc = vh_cancel_new(&f->cancel, err);
    if (rc)
        return rc;
    f->wait = *w;
    f->wait.cancel = f->cancel;
    f->news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (f->news < 0)
        return vh_error_set(err, -errno, "eventfd");
    rc = vh__space_check(f->job.dir, (uint64_t)f->total, err);
    return rc ? rc : start_threads(f, err);
}

int vh__fetch_start(const vh__fetch_job *job, const vh__wait *w, vh__fetch **out, vh_error *err)
{
    vh__fetch *f = calloc(1, sizeof(*f));
    int rc;

    if (!f)
        return vh_error_set(err, -ENOMEM, "layers");
    f->job = *job;
    f->left = job->n;
    f->news = -1;
    pthread_mutex_init(&f->lock, NULL);
    rc = set_up(f, w, err);
    if (rc) {
        vh__fetch_stop(f);
        return rc;
    }
    *out = f;
    return 0;
}

/* 1: layer |i| is there; 0: not yet; or why it will not be. */
static int look(vh__fetch *f, size_t i, vh_error *err)
{
    int rc;

    pthread_mutex_lock(&f->lock);
    rc = f->files[i].whole ? 1 : f->error.code;
    if (rc < 0 && err)
        *err = f->error;
    pthread_mutex_unlock(&f->lock);
    return rc;
}

int vh__fetch_open(vh__fetch *f, size_t i, const vh__wait *w, int *fd, vh_error *err)
{
    size_t at = file_of(f, i);
    vh_auto_fd int copy = -1;
    uint64_t count;
    int rc;

    while ((rc = look(f, at, err)) == 0) {
        rc = vh__wait_fd(w, f->news, POLLIN, "fetch layers", err);
        if (rc)
            return rc;
        vh_ignore(read(f->news, &count, sizeof(count)) < 0); /* what there is to know, look() tells */
    }
    if (rc < 0)
        return rc;
    copy = fcntl(f->files[at].fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0 || lseek(copy, 0, SEEK_SET) < 0)
        return vh_error_set(err, -errno, "open a layer");
    *fd = vh_steal_fd(&copy);
    return 0;
}

bool vh__fetch_done(vh__fetch *f)
{
    bool done;

    pthread_mutex_lock(&f->lock);
    done = f->fetched == f->job.n;
    pthread_mutex_unlock(&f->lock);
    return done;
}

void vh__fetch_stop(vh__fetch *f)
{
    if (!f)
        return;
    if (f->cancel)
        vh_cancel_trigger(f->cancel);
    for (size_t i = 0; i < f->nthreads; i++)
        (void)pthread_join(f->threads[i], NULL); /* fails only for what is no thread of ours */
    for (size_t i = 0; f->files && i < f->job.n; i++)
        vh__fd_close(&f->files[i].fd);
    vh__fd_close(&f->news);
    vh_cancel_free(f->cancel);
    pthread_mutex_destroy(&f->lock);
    free(f->files);
    free(f);
}
