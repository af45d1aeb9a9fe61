/* The installer: puts the working set in place, run by run, while the rest of it is still being read. */
#include <errno.h>
#include <unistd.h>

#include "clock.h"
#include "pager_priv.h"

/* One ioctl's worth: bounds how long a demand fault may wait for the lock. */
enum { PIECE = 256 << 10 };

/* Where the installer is. */
struct span {
    uint64_t offset, left; /* in the memory file; bytes */
    const char *data;      /* NULL: zeros */
};

static void advance(struct span *s, uint64_t n)
{
    s->offset += n;
    s->left -= n;
    if (s->data)
        s->data += n;
}

/* Pages from |offset| on, at most |len| bytes, up to the first that the target has given back. */
static uint64_t unremoved(const vh__pager *p, uint64_t offset, uint64_t len)
{
    uint64_t n = 0;

    while (n < len && !vh__bits_test(p->removed, vh__pager_number(p, offset + n)))
        n += p->page_size;
    return n;
}

/* Places the start of |s|: as much as one call can. |*done| bytes are over with, for better or worse. */
static vh__uffd_result place_some(vh__pager *p, const struct span *s, uint64_t *done)
{
    vh__uffd_result result;
    uint64_t address, len;

    if (!vh__regions_address(&p->regions, s->offset, &address, &len)) {
        *done = p->page_size; /* in the file, but in no region: nothing can fault on it */
        return VH_UFFD_UNMAPPED;
    }
    len = VH_MIN(VH_MIN(len, s->left), VH_MAX((uint64_t)PIECE, p->page_size));
    pthread_rwlock_rdlock(&p->removal);
    len = unremoved(p, s->offset, len);
    result = len ? vh__pager_place(p, address, s->data, len, done) : VH_UFFD_UNMAPPED;
    if (result == VH_UFFD_UNMAPPED && len > p->page_size) /* two mappings meet in it: one page is in one */
        result = vh__pager_place(p, address, s->data, p->page_size, done);
    pthread_rwlock_unlock(&p->removal);
    if (result == VH_UFFD_PRESENT || result == VH_UFFD_UNMAPPED)
        *done = p->page_size;
    if (result == VH_UFFD_PRESENT) {
        vh__pager_add(&p->present, 1);
        vh__uffd_wake(p->uffd, address, p->page_size); /* the one who brought it may not have */
    }
    return result;
}

static int install_span(vh__pager *p, struct span s, vh_error *err)
{
    int64_t stall_ns = 0;

    while (s.left > 0) {
        uint64_t done = 0;
        vh__uffd_result result = place_some(p, &s, &done);

        if (result == VH_UFFD_FAILED)
            return vh_error_set(err, -errno, "install working set at page %llu",
                                (unsigned long long)vh__pager_number(p, s.offset));
        if (result == VH_UFFD_GONE)
            return vh_error_set(err, VH_ESTATE, "install working set: its target has ended");
        if (atomic_load(&p->failed) || atomic_load(&p->stopping))
            return vh_error_set(err, VH_ECANCELED, "install working set: the pager was stopped");
        if (result == VH_UFFD_AGAIN && !vh__pager_may_retry(p, &stall_ns))
            return vh_error_set(err, VH_ETIMEDOUT, "install working set: the target's mappings never settle");
        if (result == VH_UFFD_DONE)
            vh__pager_add(s.data ? &p->installed_pages : &p->installed_zeros, done / p->page_size);
        if (result != VH_UFFD_AGAIN)
            stall_ns = 0;
        advance(&s, done);
    }
    return 0;
}

/* The first |n| runs count as demanded: an installation that ends half-way leaves a recording that is whole. */
static void record_runs(vh__pager *p, const vh__ws_index *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < x->runs[i].count; k++)
            vh__pager_record(p, (uint64_t)x->runs[i].page + k);
}

/*
 * Run after run in the order in which they are needed, each as soon as its data is there. |*done| of them are in place,
 * also when it fails.
 */
static int install_runs(vh__pager *p, const vh__ws_index *x, const vh__wait *w, size_t *done, vh_error *err)
{
    const char *data = vh__ws_fetch_data(p->fetch);
    size_t used = 0;

    for (size_t i = 0; i < x->n; i++, ++*done) {
        const vh__ws_run *r = &x->runs[i];
        uint64_t bytes = (uint64_t)r->count * x->page_size;
        struct span s = { .offset = (uint64_t)r->page * x->page_size, .left = bytes,
                          .data = r->zero ? NULL : data + used };
        int rc = 0;

        if (!r->zero)
            rc = vh__ws_fetch_await(p->fetch, used += bytes, w, err);
        if (rc == 0)
            rc = install_span(p, s, err);
        if (rc)
            return rc;
    }
    return 0;
}

/* Before anything is installed, so that no served page is taken for a missing one. */
static void note_working_set(vh__pager *p, const vh__ws_index *x)
{
    for (size_t i = 0; i < x->n; i++)
        for (uint32_t k = 0; k < x->runs[i].count; k++)
            vh__bits_set(p->in_ws, (uint64_t)x->runs[i].page + k);
    vh__pager_add(&p->ws_pages, x->pages);
    vh__pager_add(&p->ws_runs, x->n);
}

static int install(vh__pager *p, vh_error *err)
{
    vh__wait until_stopped = { .deadline_ns = INT64_MAX, .cancel = p->stop };
    int rc = vh__ws_fetch_await(p->fetch, 0, &until_stopped, err);
    const vh__ws_index *x = vh__ws_fetch_index(p->fetch);
    size_t done = 0;

    if (rc)
        return rc;
    if (x->page_size != p->page_size || x->memory_size != p->memory_size)
        return vh_error_set(err, VH_EINVALID, "install working set: made for %llu bytes in pages of %u",
                            (unsigned long long)x->memory_size, x->page_size);
    note_working_set(p, x);
    atomic_store(&p->install_start_ns, vh__clock_mono_ns());
    rc = install_runs(p, x, &until_stopped, &done, err);
    if (rc == 0)
        rc = vh__ws_fetch_join(p->fetch, &until_stopped, err);
    atomic_store(&p->install_end_ns, vh__clock_mono_ns());
    if (rc)
        record_runs(p, x, done);
    else
        vh__ws_fetch_drop_data(p->fetch);
    return rc;
}

void *vh__pager_install_main(void *arg)
{
    vh__pager *p = arg;
    vh_error err = { 0 };
    uint64_t one = 1;
    int rc = install(p, &err);

    pthread_mutex_lock(&p->lock);
    p->install_rc = rc;
    p->install_err = err;
    pthread_mutex_unlock(&p->lock);
    atomic_store(&p->install_ended, true);
    if (write(p->installed_fd, &one, sizeof(one)) < 0) {
        /* impossible: the counter is 0 */
    }
    return NULL;
}
