/*
 * reap: serves the page faults of a restored VM from its memory file, records which pages it touches, and
 * before the next run fetches and installs those pages in a batch (REAP: record and prefetch).
 *
 * It gets a userfaultfd, a region table and a memory file; it has never heard of a VMM. In a restore:
 *
 *     vh__ws_fetch_start(dirfd, &id, &fetch, &err);          -ENOENT: nothing recorded yet, so record
 *     ... spawn the VMM; it connects and hands its userfaultfd over ...
 *     vh__handshake_recv(sock, &wait, memory_size, &uffd, &regions, &err);
 *     vh__pager_start(&options, &pager, &err);               mode REPLAY with |fetch|, or RECORD
 *     vh__pager_install_wait(pager, &wait, &err);            REPLAY; an error costs speed, never correctness
 *     ... resume; watch vh__pager_event_fd(): readable means kill the VMM ...
 *     vh__pager_record_take(pager, &pages, &n, &err);        RECORD; after the first answer, serving goes on
 *     vh__ws_write(dirfd, &id, memory_fd, pages, n, NULL, &err);
 *     ... the VMM is dead ...
 *     vh__pager_free(pager);
 *
 * Missing pages and death: memory whose last userfaultfd is closed reads as zeros. A VMM must therefore keep
 * its own descriptor (Firecracker and uffd-preload.so do): then a dead pager freezes it instead of feeding it
 * zeros. A userfaultfd does not tell when its target dies; that is for the caller to watch (pidfd, handshake
 * socket).
 *
 * Threads: each object may be used from any thread, by one at a time, except where a function says otherwise.
 */
#ifndef VH_REAP_REAP_H
#define VH_REAP_REAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vhive/error.h>

#include "wait.h"

/* ---- regions: guest memory in the VMM's address space and in the memory file ---- */

#define VH_REGIONS_MAX 16
/** Page sizes that make sense: the machine's smallest up to a 1 GiB huge page. */
#define VH_PAGE_SIZE_MIN 4096u
#define VH_PAGE_SIZE_MAX (1u << 30)

/** |size| bytes at address |base| of the target are those at |offset| of the memory file. */
typedef struct vh__region {
    uint64_t base, size, offset;
} vh__region;

/** Plain data, in ascending order of |base|. */
typedef struct vh__regions {
    size_t n;
    uint32_t page_size; /* of all of them */
    vh__region v[VH_REGIONS_MAX];
} vh__regions;

/** Where a fault belongs: address and place in the memory file of its page, multiples of the page size. */
typedef struct vh__page {
    uint64_t address, offset;
} vh__page;

/**
 * Sorts |r| by address and checks it: 1..VH_REGIONS_MAX regions, page size a power of two in bounds,
 * everything aligned to it, no overflow, no overlap of addresses or of file ranges, all inside |memory_size|
 * bytes of file.
 * Returns 0 or VH_EINVALID.
 */
VH_MUST_CHECK int vh__regions_check(vh__regions *r, uint64_t memory_size, vh_error *err);

/** The page that |address| lies in. False if no region has it. */
bool vh__regions_find(const vh__regions *r, uint64_t address, vh__page *page);

/**
 * Where byte |offset| of the memory file is in the target: |*address|, with |*run| bytes contiguous in both
 * from there on. False if no region maps it.
 */
bool vh__regions_address(const vh__regions *r, uint64_t offset, uint64_t *address, uint64_t *run);

/* ---- the kernel's side ---- */

/**
 * Opens /dev/userfaultfd, which a VMM makes its userfaultfd from, and sees that it gives one. The caller owns |*fd|.
 * VH_EMISSING with cause and remedy.
 */
VH_MUST_CHECK int vh__uffd_device_open(int *fd, vh_error *err);

/* ---- handshake: Firecracker's, spoken by uffd-preload.so too ---- */

/** Longest accepted payload. */
#define VH_HANDSHAKE_MAX 65536

/** Length of the JSON array at the start of |bytes|, closing bracket included; 0 while it is incomplete. */
size_t vh__handshake_length(const char *bytes, size_t n);

/**
 * Parses a whole payload: a JSON array of {base_host_virt_addr, size, offset, page_size} (bytes;
 * "page_size_kib", which holds bytes too, and 4096 stand in for older Firecrackers), and checks it as
 * vh__regions_check().
 * Returns 0; VH_EINVALID  not such an array, or regions that cannot be;  VH_EUNSUPPORTED  guest_memfd.
 */
VH_MUST_CHECK int vh__handshake_parse(const char *bytes, size_t n, uint64_t memory_size, vh__regions *out,
                                      vh_error *err);

/**
 * Receives one handshake from the connected Unix stream |sock| (borrowed), in however many pieces it comes:
 * the payload and exactly one descriptor. On success the caller owns |*uffd|; on error every received one is
 * closed.
 * Returns as vh__handshake_parse(), and VH_EPROTOCOL for a missing or surplus descriptor, an early end or
 * more than VH_HANDSHAKE_MAX bytes; VH_ETIMEDOUT; VH_ECANCELED; -errno.
 */
VH_MUST_CHECK int vh__handshake_recv(int sock, const vh__wait *w, uint64_t memory_size, int *uffd,
                                     vh__regions *out,
                                     vh_error *err);

/* ---- working set on disk: "ws" (page data) and "ws.idx" (what is where), beside the memory file ---- */

#define VH_WS_FILE       "ws"
#define VH_WS_INDEX_FILE "ws.idx"
/** Longest snapshot id. */
#define VH_WS_SNAPSHOT_MAX 64
/** A larger working set is neither written nor fetched: it is held in memory as a whole. */
#define VH_WS_DATA_MAX (1ull << 30)

/** What a working set belongs to. Data of any other snapshot must never be installed. */
typedef struct vh__ws_identity {
    const char *snapshot; /* borrowed; 1..VH_WS_SNAPSHOT_MAX bytes */
    uint64_t memory_size; /* of the memory file */
    uint32_t page_size;
} vh__ws_identity;

/** |count| pages from number |page| of the memory file on: in the ws file one after another, or all zero. */
typedef struct vh__ws_run {
    uint32_t page, count;
    bool zero;
} vh__ws_run;

/** The ws file is checked, and handed on, in pieces of this size; the last one may be shorter. */
#define VH_WS_PIECE (512u << 10)

/** A decoded ws.idx. Runs are in the order in which they are needed, and do not overlap. vh__ws_index_fini(). */
typedef struct vh__ws_index {
    char snapshot[VH_WS_SNAPSHOT_MAX + 1];
    uint64_t memory_size;
    uint64_t pages, zero_pages; /* zero ones included; of these zero */
    uint64_t data_bytes;        /* length of the ws file */
    uint32_t page_size;
    size_t n, npieces;
    vh__ws_run *runs;        /* owned */
    uint8_t (*hashes)[16];   /* owned; XXH3-128, canonical, of each piece of the ws file */
} vh__ws_index;

/**
 * Decodes and validates the bytes of a ws.idx. On success the caller owns |*out|. Returns 0; VH_ECORRUPT  not
 * an index, damaged, or saying what cannot be;  VH_EUNSUPPORTED  another format version;  VH_ELIMIT;
 *  -ENOMEM.
 */
VH_MUST_CHECK int vh__ws_index_decode(const void *bytes, size_t n, vh__ws_index *out, vh_error *err);
void vh__ws_index_fini(vh__ws_index *index);

/** Whether |index| is of this very snapshot: 0, or VH_EINVALID saying what differs. */
VH_MUST_CHECK int vh__ws_index_match(const vh__ws_index *index, const vh__ws_identity *id, vh_error *err);

/** What vh__ws_write() made. */
typedef struct vh__ws_info {
    uint64_t pages, zero_pages, runs, data_bytes;
} vh__ws_info;

/**
 * Writes the working set of |n| pages (numbers in the memory file, in the order in which they are needed; repetitions
 * are fine) with their content from |memory_fd|, replacing an older one in the directory |dirfd|. Neighbouring pages
 * are one run, which comes when the first of them is needed. All are borrowed; |info| may be NULL. Durable when it
 * returns. At no time does an index stand beside data of another recording without its checksum telling. Blocks for as
 * long as the disk takes.
 * Returns 0; VH_EINVALID  a page outside of the memory, a bad identity, nothing to write;  VH_ECORRUPT  the
 * memory file is shorter than |id| says;  VH_ELIMIT  more than VH_WS_DATA_MAX;  -ENOMEM;  -errno. On error
 * nothing is left behind.
 */
VH_MUST_CHECK int vh__ws_write(int dirfd, const vh__ws_identity *id, int memory_fd, const uint32_t *pages,
                               size_t n,
                               vh__ws_info *info, vh_error *err);

/** A read of a working set under way, on a thread of its own. */
typedef struct vh__ws_fetch vh__ws_fetch;

typedef struct vh__ws_fetch_stats {
    int64_t start_ns, end_ns; /* CLOCK_MONOTONIC; end_ns 0 while it runs */
    int64_t read_ns;          /* of these: reading the ws file; the rest is index and checksum */
    uint64_t bytes;           /* read from the ws file */
    bool direct, uring;       /* past the page cache; by io_uring rather than pread */
} vh__ws_fetch_stats;

/**
 * Starts reading the working set in the directory |dirfd| (borrowed for the call) into memory. Returns at
 * once, so that the VMM can be spawned meanwhile. |id| is copied. On success the caller owns |*fetch|.
 * Returns 0; -ENOENT  nothing recorded;  -ENOMEM;  -errno. Whether the data is good shows at the end of the
 * fetch.
 */
VH_MUST_CHECK int vh__ws_fetch_start(int dirfd, const vh__ws_identity *id, vh__ws_fetch **fetch,
                                     vh_error *err);

/**
 * Waits for the end of the fetch. Returns 0; VH_EINVALID  a working set of another snapshot;  VH_ECORRUPT
 * damaged; VH_EUNSUPPORTED, VH_ELIMIT, -ENOMEM, -errno  see vh__ws_index_decode() and read(2);  VH_ETIMEDOUT,
 * VH_ECANCELED (it goes on). After an end, any further call returns the same.
 */
VH_MUST_CHECK int vh__ws_fetch_join(vh__ws_fetch *fetch, const vh__wait *w, vh_error *err);

/**
 * Waits until the first |upto| bytes of the data have been read and checked; 0: until the index has. They, and the
 * index, may be used then while the rest is on its way. For one thread at a time; returns as vh__ws_fetch_join().
 */
VH_MUST_CHECK int vh__ws_fetch_await(vh__ws_fetch *fetch, size_t upto, const vh__wait *w, vh_error *err);

/** Any thread, any time. */
void vh__ws_fetch_stats_get(const vh__ws_fetch *fetch, vh__ws_fetch_stats *out);

/** What was fetched, after vh__ws_fetch_join() or as far as vh__ws_fetch_await() succeeded; borrowed from |fetch|. */
const vh__ws_index *vh__ws_fetch_index(const vh__ws_fetch *fetch);
const void *vh__ws_fetch_data(const vh__ws_fetch *fetch);
/** Gives the memory of the data back early, after an end; index and stats stay. */
void vh__ws_fetch_drop_data(vh__ws_fetch *fetch);

/** Ends the fetch, waiting for reads already with the disk, and frees it. NULL is fine. */
void vh__ws_fetch_free(vh__ws_fetch *fetch);

/* ---- pager ---- */

typedef enum vh__pager_mode {
    VH_PAGER_LAZY,   /* every page when it is touched */
    VH_PAGER_RECORD, /* the same, and remembers which */
    VH_PAGER_REPLAY, /* installs a working set, serves and remembers what is touched beside it */
} vh__pager_mode;

typedef struct vh__pager_options {
    int uffd;                   /* taken on success; API handshake done, MISSING mode registered */
    int memory_fd;              /* borrowed, duplicated */
    uint64_t memory_size;       /* bytes the file must have: vh__pager_start() refuses a shorter one */
    const vh__regions *regions; /* checked ones, copied */
    vh__pager_mode mode;
    vh__ws_fetch *fetch; /* REPLAY: taken on success, under way or ended */
} vh__pager_options;

/** Counters and stamps. Pages are of the regions' size. */
typedef struct vh__pager_stats {
    uint64_t faults;       /* messages about a missing page */
    uint64_t served_pages; /* pages brought on demand, with data */
    uint64_t served_zeros; /* pages brought on demand that are zero, removed ones included */
    uint64_t early;        /* REPLAY: of the served ones, those before the install had ended */
    uint64_t residual;     /* REPLAY: different pages demanded that are not in the working set */
    uint64_t ws_pages;     /* REPLAY: pages, runs of the working set, once it is known */
    uint64_t ws_runs;
    uint64_t installed_pages; /* by the installer, with data */
    uint64_t installed_zeros; /* by the installer */
    uint64_t present;         /* found in place already (EEXIST) and woken */
    uint64_t removed_pages;   /* that the target gave back: zero ever after */
    uint64_t retries;         /* EAGAIN while the target changed its mappings */
    uint64_t bytes_read;      /* from the memory file */
    int64_t first_fault_ns;   /* CLOCK_MONOTONIC; 0: not yet. So with the next two */
    int64_t install_start_ns, install_end_ns;
    vh__ws_fetch_stats fetch; /* REPLAY */
} vh__pager_stats;

typedef struct vh__pager vh__pager;

/**
 * Starts serving |o->uffd|: a fault thread, and in REPLAY an installer beside it. The two never wait for one
 * another for longer than one small ioctl, so demand overtakes the batch. Allocates all it will ever need. On
 * success the caller owns |*p| (vh__pager_free()) and |*p| owns what the options give; on error nothing was
 * taken.
 * Returns 0; VH_EINVALID  bad options;  VH_ECORRUPT  memory file too short;  -ENOMEM;  -errno.
 */
VH_MUST_CHECK int vh__pager_start(const vh__pager_options *o, vh__pager **p, vh_error *err);

/**
 * Readable once the pager has failed: it could not bring a page truthfully, and stopped. The target then
 * stands still for ever and must be killed. Borrowed, for poll sets; never read it.
 */
int vh__pager_event_fd(const vh__pager *p);

/** 0 while the pager is well, else why it failed. Any thread. */
VH_MUST_CHECK int vh__pager_check(vh__pager *p, vh_error *err);

/** Any thread. */
void vh__pager_stats_get(vh__pager *p, vh__pager_stats *out);

/**
 * Waits until the installer is done. Any thread. Returns 0; what vh__ws_fetch_join() says about a working set
 * that was not installed (the pager goes on by demand and has recorded since its start); VH_ESTATE  not in
 * REPLAY; VH_ETIMEDOUT; VH_ECANCELED; what vh__pager_check() says of a failed pager.
 */
VH_MUST_CHECK int vh__pager_install_wait(vh__pager *p, const vh__wait *w, vh_error *err);

/**
 * Ends the recording, while serving goes on, and gives the numbers of the pages brought on demand in order of
 * first touch: |*pages| (free()) has |*n| of them. In REPLAY these are the pages demanded beside or before
 * the installation, and those installed by one that failed half-way. Any thread. Returns 0; VH_ESTATE  LAZY, or
 * taken before.
 */
VH_MUST_CHECK int vh__pager_record_take(vh__pager *p, uint32_t **pages, size_t *n, vh_error *err);

/** Stops serving, joins the threads. The target stands still at its next fault. Idempotent. */
void vh__pager_stop(vh__pager *p);

/** Stops and frees. Kill the target first, unless it keeps a userfaultfd of its own. NULL is fine. */
void vh__pager_free(vh__pager *p);

#endif
