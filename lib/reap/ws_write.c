#include "reap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "fd.h"
#include "reap_priv.h"

enum { CHUNK = 1 << 20 }; /* read from the memory file at once, or one page if that is larger */

struct writer {
    int dirfd, memory_fd; /* borrowed */
    int data_fd;
    char data_tmp[48], index_tmp[48]; /* names in the directory; empty: there is no such file */
    vh__ws_index index;
    uint32_t *pages; /* sorted, each once */
    size_t n;
    char *chunk;
    size_t chunk_pages;
    XXH3_state_t *hash;
};

static void writer_fini(struct writer *w)
{
    if (w->data_tmp[0])
        (void)unlinkat(w->dirfd, w->data_tmp, 0); /* an error is on its way already */
    if (w->index_tmp[0])
        (void)unlinkat(w->dirfd, w->index_tmp, 0); /* as above */
    vh__fd_close(&w->data_fd);
    vh__ws_index_fini(&w->index);
    free(w->pages);
    free(w->chunk);
    XXH3_freeState(w->hash);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static int sort_pages(struct writer *w, const uint32_t *pages, size_t n, vh_error *err)
{
    uint64_t limit = w->index.memory_size / w->index.page_size;

    memcpy(w->pages, pages, n * sizeof(*pages));
    qsort(w->pages, n, sizeof(*pages), by_number);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || w->pages[i] != w->pages[i - 1])
            w->pages[w->n++] = w->pages[i];
    if (w->pages[w->n - 1] >= limit)
        return vh_error_set(err, VH_EINVALID, "working set of %s: page %u of %llu", w->index.snapshot,
                            w->pages[w->n - 1], (unsigned long long)limit);
    return 0;
}

static int writer_init(struct writer *w, const vh__ws_identity *id, const uint32_t *pages, size_t n,
                       vh_error *err)
{
    w->index.memory_size = id->memory_size;
    w->index.page_size = id->page_size;
    strcpy(w->index.snapshot, id->snapshot);
    w->chunk_pages = VH_MAX(CHUNK / id->page_size, 1u);
    w->pages = malloc(n * sizeof(*w->pages));
    w->index.runs = malloc(n * sizeof(*w->index.runs)); /* there are no more runs than pages */
    w->chunk = malloc(w->chunk_pages * id->page_size);
    w->hash = XXH3_createState();
    if (!w->pages || !w->index.runs || !w->chunk || !w->hash)
        return vh_error_set(err, -ENOMEM, "working set of %s", id->snapshot);
    XXH3_128bits_reset(w->hash);
    return sort_pages(w, pages, n, err);
}

/* Makes a file under a temporary name, which is left in |tmp| while it exists. */
static int create_tmp(struct writer *w, const char *name, char tmp[48], int *fd, vh_error *err)
{
    char path[48];

    snprintf(path, sizeof(path), "%s.tmp-%d-%d", name, (int)getpid(), (int)gettid());
    (void)unlinkat(w->dirfd, path, 0); /* of an earlier process with this number, if at all */
    *fd = openat(w->dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (*fd < 0)
        return vh_error_set(err, -errno, "create %s", path);
    strcpy(tmp, path);
    return 0;
}

/* Adds one page to the last run if it continues it, else to a new one. */
static void add_to_runs(vh__ws_index *x, uint32_t page, bool zero)
{
    vh__ws_run *last = x->n ? &x->runs[x->n - 1] : NULL;

    x->pages++;
    x->zero_pages += zero;
    if (last && last->zero == zero && last->page + last->count == page)
        last->count++;
    else
        x->runs[x->n++] = (vh__ws_run){ .page = page, .count = 1, .zero = zero };
}

static int append_data(struct writer *w, const char *from, size_t n, vh_error *err)
{
    if (w->index.data_bytes + n > VH_WS_DATA_MAX)
        return vh_error_set(err, VH_ELIMIT, "working set of %s: larger than %llu bytes", w->index.snapshot,
                            (unsigned long long)VH_WS_DATA_MAX);
    XXH3_128bits_update(w->hash, from, n);
    w->index.data_bytes += n;
    return vh__fd_pwrite_full(w->data_fd, from, n, w->index.data_bytes - n, VH_WS_FILE, err);
}

/* Writes |count| pages from |first| on, which are contiguous and fit the chunk. */
static int write_contiguous(struct writer *w, uint32_t first, size_t count, vh_error *err)
{
    size_t size = w->index.page_size, from = 0;
    int rc = vh__fd_pread_full(w->memory_fd, w->chunk, count * size, (uint64_t)first * size, "memory file",
                               err);

    for (size_t i = 0; rc == 0 && i < count; i++) {
        bool zero = vh__reap_is_zero(w->chunk + i * size, size);

        add_to_runs(&w->index, first + (uint32_t)i, zero);
        if (zero && i > from)
            rc = append_data(w, w->chunk + from * size, (i - from) * size, err);
        if (zero)
            from = i + 1;
    }
    if (rc == 0 && count > from)
        rc = append_data(w, w->chunk + from * size, (count - from) * size, err);
    return rc;
}

static int write_data(struct writer *w, vh_error *err)
{
    XXH128_canonical_t hash;
    int rc = create_tmp(w, VH_WS_FILE, w->data_tmp, &w->data_fd, err);

    for (size_t i = 0; rc == 0 && i < w->n;) {
        size_t k = 1;

        while (i + k < w->n && k < w->chunk_pages && w->pages[i + k] == w->pages[i] + k)
            k++;
        rc = write_contiguous(w, w->pages[i], k, err);
        i += k;
    }
    if (rc == 0 && fsync(w->data_fd) < 0)
        rc = vh_error_set(err, -errno, "sync %s", w->data_tmp);
    XXH128_canonicalFromHash(&hash, XXH3_128bits_digest(w->hash));
    memcpy(w->index.data_hash, hash.digest, sizeof(w->index.data_hash));
    return rc;
}

static int write_index(struct writer *w, vh_error *err)
{
    vh_auto_buf vh__buf b = { 0 };
    vh_auto_fd int fd = -1;
    int rc;

    vh__ws_index_encode(&w->index, &b);
    rc = vh__buf_check(&b, VH_WS_INDEX_FILE, err);
    if (rc == 0 && b.len > VH_WS_INDEX_MAX)
        rc = vh_error_set(err, VH_ELIMIT, "working set of %s: more than %llu bytes of index",
                          w->index.snapshot,
                          (unsigned long long)VH_WS_INDEX_MAX);
    if (rc == 0)
        rc = create_tmp(w, VH_WS_INDEX_FILE, w->index_tmp, &fd, err);
    if (rc == 0)
        rc = vh__fd_pwrite_full(fd, b.data, b.len, 0, w->index_tmp, err);
    if (rc == 0 && fsync(fd) < 0)
        rc = vh_error_set(err, -errno, "sync %s", w->index_tmp);
    return rc;
}

/* Data before index: between the two an old index meets new data, whose checksum it does not carry. */
static int publish(struct writer *w, vh_error *err)
{
    if (renameat(w->dirfd, w->data_tmp, w->dirfd, VH_WS_FILE) < 0)
        return vh_error_set(err, -errno, "rename %s to " VH_WS_FILE, w->data_tmp);
    w->data_tmp[0] = '\0';
    if (renameat(w->dirfd, w->index_tmp, w->dirfd, VH_WS_INDEX_FILE) < 0)
        return vh_error_set(err, -errno, "rename %s to " VH_WS_INDEX_FILE, w->index_tmp);
    w->index_tmp[0] = '\0';
    if (fsync(w->dirfd) < 0)
        return vh_error_set(err, -errno, "sync directory of " VH_WS_INDEX_FILE);
    return 0;
}

int vh__ws_write(int dirfd, const vh__ws_identity *id, int memory_fd, const uint32_t *pages, size_t n,
                 vh__ws_info *info, vh_error *err)
{
    __attribute__((cleanup(writer_fini))) struct writer w = { .dirfd = dirfd, .memory_fd = memory_fd,
                                                             .data_fd = -1 };
    int rc = vh__ws_identity_check(id, err);

    if (rc)
        return rc;
    if (n == 0)
        return vh_error_set(err, VH_EINVALID, "working set of %s: no page was recorded", id->snapshot);
    rc = writer_init(&w, id, pages, n, err);
    if (rc == 0)
        rc = write_data(&w, err);
    if (rc == 0)
        rc = write_index(&w, err);
    if (rc == 0)
        rc = publish(&w, err);
    if (rc == 0 && info)
        *info = (vh__ws_info){ .pages = w.index.pages, .zero_pages = w.index.zero_pages, .runs = w.index.n,
                               .data_bytes = w.index.data_bytes };
    return rc;
}
