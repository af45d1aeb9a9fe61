#include "reap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"
#include "pager_priv.h"
#include "thread.h"

vh__uffd_result vh__pager_place(const vh__pager *p, uint64_t address, const void *src, uint64_t len,
                                uint64_t *done)
{
    if (src)
        return vh__uffd_copy(p->uffd, address, src, len, done);
    if (p->huge_zeros)
        return vh__uffd_copy(p->uffd, address, p->huge_zeros, p->page_size, done);
    return vh__uffd_zero(p->uffd, address, len, done);
}

void vh__pager_fail(vh__pager *p, const vh_error *why)
{
    uint64_t one = 1;

    pthread_mutex_lock(&p->lock);
    if (p->failure.code == 0)
        p->failure = *why;
    pthread_mutex_unlock(&p->lock);
    atomic_store(&p->failed, true);
    if (write(p->event_fd, &one, sizeof(one)) < 0) {
        /* at its maximum, so readable already */
    }
}

bool vh__pager_may_retry(vh__pager *p, int64_t *stall_ns)
{
    int64_t now = vh__clock_mono_ns();
    vh_error err = { 0 };

    vh__pager_add(&p->retries, 1);
    if (*stall_ns == 0)
        *stall_ns = now;
    (void)sched_yield(); /* to the target's thread that is between event and unmapping */
    if (now - *stall_ns < PAGER_STALL_MS * VH_NS_PER_MS)
        return true;
    (void)vh_error_set(&err, VH_ETIMEDOUT, "userfaultfd: the target has been changing its mappings for %d s",
                       PAGER_STALL_MS / 1000);
    vh__pager_fail(p, &err);
    return false;
}

void vh__pager_record(vh__pager *p, uint64_t number)
{
    if (!vh__bits_set(p->demanded, number))
        return;
    pthread_mutex_lock(&p->lock);
    if (p->record)
        p->record[p->nrecord++] = (uint32_t)number;
    pthread_mutex_unlock(&p->lock);
}

/* ---- life ---- */

static int check_options(const vh__pager_options *o, vh__regions *r, vh_error *err)
{
    struct stat st;
    int rc;

    *r = *o->regions;
    rc = vh__regions_check(r, o->memory_size, err);
    if (rc)
        return rc;
    if (o->memory_size % r->page_size)
        return vh_error_set(err, VH_EINVALID, "pager: memory of %llu bytes is no whole number of pages",
                            (unsigned long long)o->memory_size);
    if ((o->mode == VH_PAGER_REPLAY) != (o->fetch != NULL))
        return vh_error_set(err, VH_EINVALID,
                            "pager: a fetched working set goes with replay, and only with it");
    if (fstat(o->memory_fd, &st) < 0)
        return vh_error_set(err, -errno, "pager: stat memory file");
    if ((uint64_t)st.st_size < o->memory_size)
        return vh_error_set(err, VH_ECORRUPT,
                            "memory file: has %llu bytes, the snapshot says %llu; it was truncated",
                            (unsigned long long)st.st_size, (unsigned long long)o->memory_size);
    return 0;
}

static int open_descriptors(vh__pager *p, const vh__pager_options *o, vh_error *err)
{
    p->memory_fd = fcntl(o->memory_fd, F_DUPFD_CLOEXEC, 3);
    p->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    p->installed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->memory_fd < 0 || p->event_fd < 0 || p->installed_fd < 0)
        return vh_error_set(err, -errno, "pager: descriptors");
    /* A blocking userfaultfd polls as an error. The flag is on the open file, shared with the target's copy. */
    return vh__fd_nonblock(o->uffd, err);
}

static int allocate(vh__pager *p, vh_error *err)
{
    size_t words = (p->pages + 63) / 64;

    p->removed = calloc(words, sizeof(*p->removed));
    p->demanded = calloc(words, sizeof(*p->demanded));
    p->in_ws = calloc(words, sizeof(*p->in_ws));
    p->page = malloc(p->page_size);
    if (p->mode != VH_PAGER_LAZY)
        p->record = malloc(p->pages * sizeof(*p->record)); /* untouched until needed */
    if (p->page_size > VH_PAGE_SIZE_MIN)
        p->huge_zeros = calloc(1, p->page_size);
    if (!p->removed || !p->demanded || !p->in_ws || !p->page || (p->mode != VH_PAGER_LAZY && !p->record) ||
        (p->page_size > VH_PAGE_SIZE_MIN && !p->huge_zeros))
        return vh_error_set(err, -ENOMEM, "pager of %zu pages", p->pages);
    return vh_cancel_new(&p->stop, err);
}

static int make_locks(vh__pager *p, vh_error *err)
{
    pthread_rwlockattr_t attr;
    int rc = pthread_rwlockattr_init(&attr);

    /* Else the installer, coming back at once after each piece, would keep the fault thread out. */
    if (rc == 0)
        rc = pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    if (rc == 0)
        rc = pthread_rwlock_init(&p->removal, &attr);
    if (rc == 0)
        rc = pthread_mutex_init(&p->lock, NULL);
    return rc ? vh_error_set(err, -rc, "pager: locks") : 0;
}

static int start_threads(vh__pager *p, vh_error *err)
{
    int rc = vh__thread_start(&p->fault_thread, "vh-fault", vh__pager_serve_main, p, err);

    p->fault_started = rc == 0;
    if (rc || p->mode != VH_PAGER_REPLAY)
        return rc;
    rc = vh__thread_start(&p->install_thread, "vh-install", vh__pager_install_main, p, err);
    p->install_started = rc == 0;
    return rc;
}

static int build(vh__pager *p, const vh__pager_options *o, vh_error *err)
{
    int rc = open_descriptors(p, o, err);

    if (rc == 0)
        rc = allocate(p, err);
    if (rc == 0)
        rc = make_locks(p, err);
    if (rc)
        return rc;
    p->uffd = o->uffd;
    p->fetch = o->fetch;
    rc = start_threads(p, err);
    if (rc) {
        vh__pager_stop(p);
        p->uffd = -1; /* still the caller's */
        p->fetch = NULL;
    }
    return rc;
}

int vh__pager_start(const vh__pager_options *o, vh__pager **out, vh_error *err)
{
    vh__regions regions;
    int rc = check_options(o, &regions, err);
    vh__pager *p;

    if (rc)
        return rc;
    p = calloc(1, sizeof(*p));
    if (!p)
        return vh_error_set(err, -ENOMEM, "pager");
    p->uffd = p->memory_fd = p->event_fd = p->installed_fd = -1;
    p->regions = regions;
    p->page_size = regions.page_size;
    p->memory_size = o->memory_size;
    p->pages = o->memory_size / p->page_size;
    p->mode = o->mode;
    rc = build(p, o, err);
    if (rc) {
        vh__pager_free(p);
        return rc;
    }
    *out = p;
    return 0;
}

void vh__pager_stop(vh__pager *p)
{
    atomic_store(&p->stopping, true);
    if (p->stop)
        vh_cancel_trigger(p->stop);
    if (p->fault_started)
        pthread_join(p->fault_thread, NULL);
    if (p->install_started)
        pthread_join(p->install_thread, NULL);
    p->fault_started = p->install_started = false;
}

void vh__pager_free(vh__pager *p)
{
    if (!p)
        return;
    vh__pager_stop(p);
    vh__ws_fetch_free(p->fetch);
    vh__fd_close(&p->uffd);
    vh__fd_close(&p->memory_fd);
    vh__fd_close(&p->event_fd);
    vh__fd_close(&p->installed_fd);
    vh_cancel_free(p->stop);
    pthread_rwlock_destroy(&p->removal); /* zeroed ones, of a half-built pager, are fine */
    pthread_mutex_destroy(&p->lock);
    free(p->removed);
    free(p->demanded);
    free(p->in_ws);
    free(p->record);
    free(p->page);
    free(p->huge_zeros);
    free(p);
}

/* ---- results ---- */

int vh__pager_event_fd(const vh__pager *p)
{
    return p->event_fd;
}

int vh__pager_check(vh__pager *p, vh_error *err)
{
    int rc;

    pthread_mutex_lock(&p->lock);
    rc = p->failure.code;
    if (rc && err)
        *err = p->failure;
    pthread_mutex_unlock(&p->lock);
    return rc;
}

int vh__pager_install_wait(vh__pager *p, const vh__wait *w, vh_error *err)
{
    int rc;

    if (p->mode != VH_PAGER_REPLAY)
        return vh_error_set(err, VH_ESTATE, "pager: no working set to install");
    rc = vh__wait_fd(w, p->installed_fd, POLLIN, "install working set", err);
    if (rc == 0)
        rc = vh__pager_check(p, err);
    if (rc)
        return rc;
    pthread_mutex_lock(&p->lock);
    rc = p->install_rc;
    if (rc && err)
        *err = p->install_err;
    pthread_mutex_unlock(&p->lock);
    return rc;
}

int vh__pager_record_take(vh__pager *p, uint32_t **pages, size_t *n, vh_error *err)
{
    uint32_t *record;

    pthread_mutex_lock(&p->lock);
    record = vh_steal_ptr(p->record);
    if (record) {
        *pages = record;
        *n = p->nrecord;
    }
    pthread_mutex_unlock(&p->lock);
    return record ? 0 : vh_error_set(err, VH_ESTATE, "pager: nothing is being recorded");
}

static uint64_t count_residual(const vh__pager *p)
{
    uint64_t n = 0;

    for (size_t i = 0; i < (p->pages + 63) / 64; i++)
        n += (uint64_t)__builtin_popcountll(atomic_load_explicit(&p->demanded[i], memory_order_relaxed) &
                                            ~atomic_load_explicit(&p->in_ws[i], memory_order_relaxed));
    return n;
}

void vh__pager_stats_get(vh__pager *p, vh__pager_stats *out)
{
    *out = (vh__pager_stats){ 0 };
#define X(name) out->name = atomic_load_explicit(&p->name, memory_order_relaxed);
    PAGER_COUNTERS(X)
#undef X
    out->first_fault_ns = atomic_load(&p->first_fault_ns);
    out->install_start_ns = atomic_load(&p->install_start_ns);
    out->install_end_ns = atomic_load(&p->install_end_ns);
    if (p->mode != VH_PAGER_REPLAY)
        return;
    out->residual = count_residual(p);
    vh__ws_fetch_stats_get(p->fetch, &out->fetch);
}
