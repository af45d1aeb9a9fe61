/*
 * The pager's inside, shared by its three files: pager.c (life, results), pager_serve.c (fault thread) and
 * pager_install.c (installer).
 *
 * The one ordering that matters is between a REMOVE event and an installation. Once the event was read the
 * target frees the range, and from then on the file's content for it is stale. So {read events, mark what
 * they remove} and {look whether removed, install} exclude one another by |removal|; a late piece of the
 * batch would otherwise bring stale bytes back. The fault thread does both by itself in sequence, so only its
 * reading takes the lock (as writer, preferred); the installer takes it (as reader) for one small piece at a
 * time.
 */
#ifndef VH_REAP_PAGER_PRIV_H
#define VH_REAP_PAGER_PRIV_H

#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "reap_priv.h"

enum { PAGER_MESSAGES = 64 /* per read */, PAGER_STALL_MS = 10000 /* of EAGAIN alone,
      then it is a failure */ };

/* One bit per page of the memory. Any thread. */
typedef _Atomic uint64_t vh__bits;

static inline bool vh__bits_test(const vh__bits *bits, uint64_t n)
{
    return atomic_load_explicit(&bits[n / 64], memory_order_relaxed) >> n % 64 & 1;
}

/* Returns whether it was clear before. */
static inline bool vh__bits_set(vh__bits *bits, uint64_t n)
{
    uint64_t bit = 1ull << n % 64;

    return !(atomic_fetch_or_explicit(&bits[n / 64], bit, memory_order_relaxed) & bit);
}

/* Counters of vh__pager_stats that threads of the pager add to. */
#define PAGER_COUNTERS(X)                                                                                    \
    X(faults) X(served_pages) X(served_zeros) X(early) X(ws_pages) X(ws_runs) X(installed_pages)             \
    X(installed_zeros) X(present) X(removed_pages) X(retries) X(bytes_read)

struct vh__pager {
    int uffd, memory_fd;
    int event_fd;     /* eventfd: failed */
    int installed_fd; /* eventfd: the installer is done, one way or the other */
    vh__regions regions;
    uint64_t memory_size;
    size_t pages; /* of the memory */
    uint32_t page_size;
    vh__pager_mode mode;
    vh__ws_fetch *fetch;
    vh_cancel *stop; /* ends waits; |stopping| says the same without a system call */
    pthread_t fault_thread, install_thread;
    bool fault_started, install_started;

    pthread_rwlock_t removal; /* see above */
    vh__bits *removed;  /* given back by the target: zero ever after */
    vh__bits *demanded; /* RECORD, REPLAY: served by the fault thread, or installed before the installer failed */
    vh__bits *in_ws;    /* REPLAY */

    pthread_mutex_t lock; /* of the next five */
    uint32_t *record;     /* room for |pages| of them; NULL once taken */
    size_t nrecord;
    vh_error failure; /* code 0: none */
    int install_rc;
    vh_error install_err;

    atomic_bool failed, stopping, install_ended;
    _Atomic int64_t first_fault_ns, install_start_ns, install_end_ns;
#define X(name) _Atomic uint64_t name;
    PAGER_COUNTERS(X)
#undef X

    /* The fault thread's own. */
    struct uffd_msg messages[PAGER_MESSAGES];
    char *page;               /* one page of the memory file */
    int64_t fault_stall_ns;   /* since when only EAGAIN; 0: not so */
    char *huge_zeros;         /* a page of zeros where the kernel has no zero page; read-only,
        for both threads */
};

static inline void vh__pager_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/** Number of the page at |offset| of the memory file. */
static inline uint64_t vh__pager_number(const vh__pager *p, uint64_t offset)
{
    return offset / p->page_size;
}

/** Places |len| bytes from |src|, or zeros if that is NULL, at |address|; |*done| as in vh__uffd_copy(). */
vh__uffd_result vh__pager_place(const vh__pager *p, uint64_t address, const void *src, uint64_t len,
                                uint64_t *done);

/** Notes the first failure and makes the event descriptor readable. Both threads end soon after. */
void vh__pager_fail(vh__pager *p, const vh_error *why);

/**
 * To be asked after EAGAIN with the thread's own stamp: gives the target time to go on. False, with the pager
 * failed, once there was nothing but EAGAIN for PAGER_STALL_MS.
 */
bool vh__pager_may_retry(vh__pager *p, int64_t *stall_ns);

/** Adds a page to the record, unless it is there already or the record was taken. Not for LAZY. */
void vh__pager_record(vh__pager *p, uint64_t number);

/** Thread mains; the argument is the pager. */
void *vh__pager_serve_main(void *arg);
void *vh__pager_install_main(void *arg);

#endif
