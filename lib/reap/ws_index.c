/*
 * The file ws.idx, all numbers little-endian:
 *
 *       0  magic "vhive-ws"
 *       8  u32 format version, u32 page size
 *      16  u64 size of the memory file
 *      24  u64 pages, u64 zero pages among them
 *      40  u64 number of runs
 *      48  snapshot id, 64 bytes, padded with NUL
 *     112  runs, in the order in which they are needed: u32 first page, u32 number of pages, top bit set for zero ones
 *     ...  XXH3-128 of each piece of the file ws
 *     end  XXH3-128 of all before
 */
#include "reap.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reap_priv.h"

#define MAGIC    "vhive-ws"
#define VERSION  2u
#define RUN_ZERO (1u << 31)

enum { OFF_VERSION = 8, OFF_PAGE_SIZE = 12, OFF_MEMORY_SIZE = 16, OFF_PAGES = 24, OFF_ZERO_PAGES = 32,
       OFF_RUNS = 40, OFF_SNAPSHOT = 48, HEADER = 112, RUN = 8, HASH = 16 };

static uint32_t get32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

static uint64_t get64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

static void put32(uint8_t *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof(v));
}

static void put64(uint8_t *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof(v));
}

static int corrupt(vh_error *err, const char *why)
{
    return vh_error_set(err, VH_ECORRUPT, VH_WS_INDEX_FILE ": %s", why);
}

/* What must hold before any field can be believed. */
static int check_envelope(const uint8_t *p, size_t n, vh_error *err)
{
    uint8_t hash[HASH];

    if (n < HEADER + HASH || memcmp(p, MAGIC, OFF_VERSION) != 0)
        return corrupt(err, "not a working-set index");
    if (get32(p + OFF_VERSION) != VERSION)
        return vh_error_set(err, VH_EUNSUPPORTED,
                            VH_WS_INDEX_FILE ": format version %u, this program knows %u",
                            get32(p + OFF_VERSION), VERSION);
    vh__reap_hash(p, n - HASH, hash);
    if (memcmp(hash, p + n - HASH, HASH) != 0)
        return corrupt(err, "checksum does not match");
    return 0;
}

static int decode_header(const uint8_t *p, size_t n, vh__ws_index *x, vh_error *err)
{
    x->page_size = get32(p + OFF_PAGE_SIZE);
    x->memory_size = get64(p + OFF_MEMORY_SIZE);
    x->pages = get64(p + OFF_PAGES);
    x->zero_pages = get64(p + OFF_ZERO_PAGES);
    x->n = get64(p + OFF_RUNS);
    memcpy(x->snapshot, p + OFF_SNAPSHOT, VH_WS_SNAPSHOT_MAX);
    if (!vh__reap_page_size_ok(x->page_size) || x->memory_size % x->page_size ||
        x->memory_size / x->page_size > UINT32_MAX)
        return corrupt(err, "impossible page or memory size");
    if (x->pages > x->memory_size / x->page_size || x->zero_pages > x->pages)
        return corrupt(err, "more pages than the memory has");
    x->data_bytes = (x->pages - x->zero_pages) * x->page_size;
    if (x->data_bytes > VH_WS_DATA_MAX)
        return vh_error_set(err, VH_ELIMIT, VH_WS_INDEX_FILE ": %llu bytes of data, at most %llu are used",
                            (unsigned long long)x->data_bytes, (unsigned long long)VH_WS_DATA_MAX);
    x->npieces = VH_WS_PIECES(x->data_bytes);
    if (x->n > n / RUN || n != HEADER + x->n * RUN + x->npieces * HASH + HASH)
        return corrupt(err, "length and number of runs disagree");
    return 0;
}

static int by_page(const void *a, const void *b)
{
    uint32_t x = ((const vh__ws_run *)a)->page, y = ((const vh__ws_run *)b)->page;

    return x < y ? -1 : x > y;
}

/* No page is in two runs: a second copy would overwrite what the guest has written since. */
static int check_apart(const vh__ws_index *x, vh_error *err)
{
    vh_auto_free vh__ws_run *sorted = malloc((x->n ? x->n : 1) * sizeof(*sorted));

    if (!sorted)
        return vh_error_set(err, -ENOMEM, VH_WS_INDEX_FILE);
    memcpy(sorted, x->runs, x->n * sizeof(*sorted));
    qsort(sorted, x->n, sizeof(*sorted), by_page);
    for (size_t i = 1; i < x->n; i++)
        if (sorted[i].page < sorted[i - 1].page + sorted[i - 1].count)
            return corrupt(err, "runs overlap");
    return 0;
}

/* Apart, inside of the memory, and adding up to what the header says. */
static int decode_runs(const uint8_t *p, vh__ws_index *x, vh_error *err)
{
    uint64_t pages = 0, zeros = 0;

    for (size_t i = 0; i < x->n; i++, p += RUN) {
        vh__ws_run r = { .page = get32(p), .count = get32(p + 4) & ~RUN_ZERO,
                        .zero = get32(p + 4) & RUN_ZERO };

        if (r.count == 0 || (uint64_t)r.page + r.count > x->memory_size / x->page_size)
            return corrupt(err, "a run is empty or reaches beyond the memory");
        pages += r.count;
        zeros += r.zero ? r.count : 0;
        x->runs[i] = r;
    }
    if (pages != x->pages || zeros != x->zero_pages)
        return corrupt(err, "runs do not add up");
    memcpy(x->hashes, p, x->npieces * HASH);
    return check_apart(x, err);
}

int vh__ws_index_decode(const void *bytes, size_t n, vh__ws_index *out, vh_error *err)
{
    vh__ws_index x = { 0 };
    int rc = check_envelope(bytes, n, err);

    if (rc == 0)
        rc = decode_header(bytes, n, &x, err);
    if (rc)
        return rc;
    x.runs = calloc(x.n ? x.n : 1, sizeof(*x.runs));
    x.hashes = calloc(x.npieces ? x.npieces : 1, sizeof(*x.hashes));
    rc = x.runs && x.hashes ? decode_runs((const uint8_t *)bytes + HEADER, &x, err)
                            : vh_error_set(err, -ENOMEM, VH_WS_INDEX_FILE);
    if (rc) {
        vh__ws_index_fini(&x);
        return rc;
    }
    *out = x;
    return 0;
}

void vh__ws_index_fini(vh__ws_index *index)
{
    free(index->runs);
    free(index->hashes);
    *index = (vh__ws_index){ 0 };
}

void vh__ws_index_encode(const vh__ws_index *x, vh__buf *out)
{
    size_t hashes = HEADER + x->n * RUN, n = hashes + x->npieces * HASH + HASH;
    uint8_t *p = vh__buf_reserve(out, n);

    if (!p)
        return;
    memset(p, 0, HEADER);
    memcpy(p, MAGIC, OFF_VERSION);
    put32(p + OFF_VERSION, VERSION);
    put32(p + OFF_PAGE_SIZE, x->page_size);
    put64(p + OFF_MEMORY_SIZE, x->memory_size);
    put64(p + OFF_PAGES, x->pages);
    put64(p + OFF_ZERO_PAGES, x->zero_pages);
    put64(p + OFF_RUNS, x->n);
    memcpy(p + OFF_SNAPSHOT, x->snapshot, strlen(x->snapshot));
    for (size_t i = 0; i < x->n; i++) {
        put32(p + HEADER + i * RUN, x->runs[i].page);
        put32(p + HEADER + i * RUN + 4, x->runs[i].count | (x->runs[i].zero ? RUN_ZERO : 0));
    }
    memcpy(p + hashes, x->hashes, x->npieces * HASH);
    vh__reap_hash(p, n - HASH, p + n - HASH);
    out->len += n;
}

int vh__ws_identity_check(const vh__ws_identity *id, vh_error *err)
{
    size_t len = strnlen(id->snapshot, VH_WS_SNAPSHOT_MAX + 1);

    if (len == 0 || len > VH_WS_SNAPSHOT_MAX)
        return vh_error_set(err, VH_EINVALID, "working set: snapshot id must have 1..%d bytes",
                            VH_WS_SNAPSHOT_MAX);
    if (!vh__reap_page_size_ok(id->page_size) || id->memory_size == 0 || id->memory_size % id->page_size ||
        id->memory_size / id->page_size > UINT32_MAX / 2)
        return vh_error_set(err, VH_EINVALID,
                            "working set of %s: memory of %llu bytes in pages of %u is impossible",
                            id->snapshot, (unsigned long long)id->memory_size, id->page_size);
    return 0;
}

int vh__ws_index_match(const vh__ws_index *x, const vh__ws_identity *id, vh_error *err)
{
    if (strcmp(x->snapshot, id->snapshot) != 0)
        return vh_error_set(err, VH_EINVALID, VH_WS_INDEX_FILE ": of snapshot %s, not of %s", x->snapshot,
                            id->snapshot);
    if (x->memory_size != id->memory_size || x->page_size != id->page_size)
        return vh_error_set(err, VH_EINVALID,
                            VH_WS_INDEX_FILE ": of a memory of %llu bytes in pages of %u, not of %llu in %u",
                            (unsigned long long)x->memory_size, x->page_size,
                                (unsigned long long)id->memory_size,
                            id->page_size);
    return 0;
}
