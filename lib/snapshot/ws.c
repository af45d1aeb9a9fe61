/* The catalogue's view of working sets, whose files are reap's. */
#include "catalogue_priv.h"

#include <errno.h>
#include <fcntl.h>

#include "reap.h"

/* Largest index: each page of the largest working set a run of its own, and as many runs of zeros between them. */
#define INDEX_MAX (4 * VH_WS_DATA_MAX / VH_PAGE_SIZE_MIN * 8)

/* Decodes the index. -ENOENT without a message: there is none. */
static int read_index(int dir, vh__ws_index *index, vh_error *err)
{
    vh_auto_buf vh__buf bytes = { 0 };
    struct stat st;
    int rc;

    if (fstatat(dir, VH_WS_INDEX_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
        return -ENOENT;
    rc = vh__snapshot_file_read(dir, VH_WS_INDEX_FILE, INDEX_MAX, &bytes, err);
    return rc ? rc : vh__ws_index_decode(bytes.data, bytes.len, index, err);
}

/* The page size is the recorder's business: taken as the index says. */
static vh__ws_identity identity_of(const vh__manifest *m, const vh__ws_index *index)
{
    return (vh__ws_identity){ .snapshot = vh__manifest_ws_owner(m),
                              .memory_size = m->info.memory_bytes,
                              .page_size = index->page_size };
}

void vh__snapshot_look_at_ws(int dir, const vh__manifest *m, vh_snapshot_info *info)
{
    vh__ws_index index = { 0 };
    vh__ws_identity id;

    if (read_index(dir, &index, NULL))
        return;
    id = identity_of(m, &index);
    if (vh__ws_index_match(&index, &id, NULL) == 0) {
        info->ws_pages = index.pages;
        info->ws_bytes = index.data_bytes;
    }
    vh__ws_index_fini(&index);
}

int vh__snapshot_check_ws(int dir, const vh__manifest *m, const vh__wait *w, vh_error *err)
{
    vh__ws_index index = { 0 };
    vh__ws_fetch *fetch = NULL;
    vh__ws_identity id;
    int rc = read_index(dir, &index, err);

    if (rc)
        return rc == -ENOENT ? 0 : rc;
    id = identity_of(m, &index);
    rc = vh__ws_fetch_start(dir, &id, &fetch, err);
    if (rc == 0)
        rc = vh__ws_fetch_join(fetch, w, err);
    vh__ws_fetch_free(fetch);
    vh__ws_index_fini(&index);
    if (rc != VH_EINVALID && rc != -ENOENT)
        return rc;
    if (err)
        err->code = VH_ECORRUPT; /* of another saving, or an index without its data */
    return VH_ECORRUPT;
}
