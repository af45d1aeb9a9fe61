/* The fault thread: reads events, applies what was removed, brings pages one by one. Allocates nothing. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"
#include "pager_priv.h"

static void note_removed(vh__pager *p, uint64_t start, uint64_t end)
{
    vh__page page;

    for (uint64_t at = start; at < end; at += p->page_size)
        if (vh__regions_find(&p->regions, at, &page) &&
            vh__bits_set(p->removed, vh__pager_number(p, page.offset)))
            vh__pager_add(&p->removed_pages, 1);
}

static bool refuse_event(vh__pager *p, const struct uffd_msg *m)
{
    vh_error err = { 0 };

    if (m->event == UFFD_EVENT_FORK)
        (void)close((int)m->arg.fork.ufd); /* came with the message; nobody asked for it */
    (void)vh_error_set(&err, VH_EPROTOCOL, "userfaultfd: event 0x%x, which no handshake announces", m->event);
    vh__pager_fail(p, &err);
    return false;
}

/* First pass over a batch, which may be out of order: what is removed holds for all faults beside it. */
static bool apply_events(vh__pager *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct uffd_msg *m = &p->messages[i];

        if (m->event == UFFD_EVENT_REMOVE || m->event == UFFD_EVENT_UNMAP)
            note_removed(p, m->arg.remove.start, m->arg.remove.end);
        else if (m->event != UFFD_EVENT_PAGEFAULT)
            return refuse_event(p, m);
    }
    return true;
}

/* False if the pager failed. */
static bool read_messages(vh__pager *p, size_t *n)
{
    vh_error err = { 0 };
    ssize_t got;
    bool good;

    pthread_rwlock_wrlock(&p->removal);
    got = read(p->uffd, p->messages, sizeof(p->messages));
    *n = got > 0 ? (size_t)got / sizeof(p->messages[0]) : 0;
    good = apply_events(p, *n);
    pthread_rwlock_unlock(&p->removal);
    if (got >= 0 || errno == EAGAIN || errno == EINTR)
        return good;
    (void)vh_error_set(&err, -errno, "userfaultfd: read");
    vh__pager_fail(p, &err);
    return false;
}

/* Before the page is placed: whoever was let on by it finds it recorded. */
static void note_demanded(vh__pager *p, uint64_t number, bool removed)
{
    if (p->mode != VH_PAGER_LAZY && !removed) /* of a removed page it is not the file's content that is wanted */
        vh__pager_record(p, number);
}

static void note_served(vh__pager *p, bool zero, bool early)
{
    p->fault_stall_ns = 0;
    vh__pager_add(zero ? &p->served_zeros : &p->served_pages, 1);
    vh__pager_add(&p->early, early);
}

/* The page's content, or NULL for zeros. False if the pager failed: then nothing may be placed. */
static bool load_page(vh__pager *p, const vh__page *page, bool removed, const void **content)
{
    vh_error err = { 0 };

    *content = NULL;
    if (removed)
        return true;
    /* pread, not a mapping: a file that was cut within a page would read as zeros there */
    if (vh__fd_pread_full(p->memory_fd, p->page, p->page_size, page->offset, "memory file", &err)) {
        vh__pager_fail(p, &err);
        return false;
    }
    vh__pager_add(&p->bytes_read, p->page_size);
    if (!vh__reap_is_zero(p->page, p->page_size))
        *content = p->page;
    return true;
}

/* False if there is nothing more to serve: failed, or the target is gone. */
static bool bring_page(vh__pager *p, const vh__page *page)
{
    uint64_t number = vh__pager_number(p, page->offset), done;
    bool removed = vh__bits_test(p->removed, number);
    bool early = p->mode == VH_PAGER_REPLAY && !atomic_load(&p->install_ended);
    vh_error err = { 0 };
    const void *content;

    if (!load_page(p, page, removed, &content))
        return false;
    note_demanded(p, number, removed);
    switch (vh__pager_place(p, page->address, content, p->page_size, &done)) {
    case VH_UFFD_DONE:
        note_served(p, !content, early);
        return true;
    case VH_UFFD_PRESENT: /* the installer or an earlier message was first, perhaps before this one slept */
        vh__pager_add(&p->present, 1);
        p->fault_stall_ns = 0;
        vh__uffd_wake(p->uffd, page->address, p->page_size);
        return true;
    case VH_UFFD_AGAIN: /* woken, it faults again, behind the event that is to be read first */
        vh__uffd_wake(p->uffd, page->address, p->page_size);
        return vh__pager_may_retry(p, &p->fault_stall_ns);
    case VH_UFFD_UNMAPPED: /* no longer ours to serve */
        vh__uffd_wake(p->uffd, page->address, p->page_size);
        return true;
    case VH_UFFD_GONE:
        return false;
    case VH_UFFD_FAILED:
        break;
    }
    (void)vh_error_set(&err, -errno, "userfaultfd: place page at 0x%llx", (unsigned long long)page->address);
    vh__pager_fail(p, &err);
    return false;
}

static bool serve_fault(vh__pager *p, uint64_t address)
{
    vh_error err = { 0 };
    vh__page page;

    vh__pager_add(&p->faults, 1);
    if (atomic_load(&p->first_fault_ns) == 0)
        atomic_store(&p->first_fault_ns, vh__clock_mono_ns());
    if (vh__regions_find(&p->regions, address, &page))
        return bring_page(p, &page);
    (void)vh_error_set(&err, VH_EPROTOCOL, "userfaultfd: fault at 0x%llx, outside of all memory regions",
                       (unsigned long long)address);
    vh__pager_fail(p, &err);
    return false;
}

static bool serve_batch(vh__pager *p)
{
    size_t n;

    if (!read_messages(p, &n))
        return false;
    for (size_t i = 0; i < n; i++)
        if (p->messages[i].event == UFFD_EVENT_PAGEFAULT &&
            !serve_fault(p, p->messages[i].arg.pagefault.address))
            return false;
    return true;
}

void *vh__pager_serve_main(void *arg)
{
    vh__pager *p = arg;
    struct pollfd set[2] = { { .fd = p->uffd, .events = POLLIN },
                             { .fd = vh__cancel_fd(p->stop), .events = POLLIN } };

    while (!atomic_load(&p->failed)) {
        if (poll(set, 2, -1) < 0)
            continue; /* EINTR, or no memory for the moment */
        if (set[1].revents || !serve_batch(p))
            break;
    }
    return NULL;
}
