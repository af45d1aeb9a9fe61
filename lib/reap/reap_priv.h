/* What the files of reap share among themselves. */
#ifndef VH_REAP_PRIV_H
#define VH_REAP_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "auto.h"
#include "buf.h"
#include "reap.h"

/* ---- small things ---- */

/** Whether |size| is a power of two within VH_PAGE_SIZE_MIN..MAX. */
bool vh__reap_page_size_ok(uint32_t size);
/** Whether |n| > 0 bytes are all zero. */
bool vh__reap_is_zero(const void *bytes, size_t n);
/** XXH3-128 of |n| bytes in canonical (big-endian) form. */
void vh__reap_hash(const void *bytes, size_t n, uint8_t out[16]);

/* ---- working set ---- */

/** Checks an identity that a caller gave. */
VH_MUST_CHECK int vh__ws_identity_check(const vh__ws_identity *id, vh_error *err);
/** Appends the bytes of a ws.idx; |index| is trusted. Out of memory is sticky in |out|. */
void vh__ws_index_encode(const vh__ws_index *index, vh__buf *out);
/** Largest ws.idx: a run for each page of the largest working set, and as many zero runs between them. */
#define VH_WS_INDEX_MAX (4 * VH_WS_DATA_MAX / VH_PAGE_SIZE_MIN * 8)
/** Pieces of |bytes| of data. */
#define VH_WS_PIECES(bytes) (((bytes) + VH_WS_PIECE - 1) / VH_WS_PIECE)

/**
 * Reads |n| bytes from the start of |fd| to the page-aligned |to|, several extents at a time by io_uring, by
 * pread where that is refused, and past the page cache if |fd| has O_DIRECT and its filesystem keeps the
 * promise. |arrived| is told of every piece that is there, in any order and perhaps again; what it returns ends the
 * read if it is not 0. Ends early with VH_ECANCELED once |*stop|. Touches |to| no more when it returns.
 */
typedef struct vh__ws_read_job {
    int fd;
    void *to;
    size_t n;
    const atomic_bool *stop;
    int (*arrived)(size_t piece, void *arg, vh_error *err);
    void *arg;
    bool direct, uring; /* out: how it was done */
} vh__ws_read_job;
VH_MUST_CHECK int vh__ws_read(vh__ws_read_job *job, vh_error *err);

/* ---- userfaultfd calls ---- */

typedef enum vh__uffd_result {
    VH_UFFD_DONE,     /* at least one page was placed, and its waiters are awake */
    VH_UFFD_PRESENT,  /* the first page was there already; whoever waits for it still sleeps */
    VH_UFFD_AGAIN,    /* nothing placed: the target is changing its mappings and an event tells of it */
    VH_UFFD_UNMAPPED, /* the range is not, or not as a whole, in one registered mapping */
    VH_UFFD_GONE,     /* the target is dead */
    VH_UFFD_FAILED,   /* errno says why */
} vh__uffd_result;

/** Copies |len| bytes from |src| to missing pages at |dst|; |*done| bytes of them were placed if DONE. */
vh__uffd_result vh__uffd_copy(int uffd, uint64_t dst, const void *src, uint64_t len, uint64_t *done);
/** The same with zero pages; not for huge pages of hugetlbfs. */
vh__uffd_result vh__uffd_zero(int uffd, uint64_t dst, uint64_t len, uint64_t *done);
/** Wakes those who wait for pages of the range; each looks again and, if need be, faults again. */
void vh__uffd_wake(int uffd, uint64_t at, uint64_t len);

#endif
