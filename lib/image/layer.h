/*
 * Reader of one layer: compressed blob in, tar entries out, by libarchive. Blob and tar stream are both hashed while
 * they pass; vh__layer_finish() says whether they were what they should be, so what was read before is not to
 * be believed until then. Type flags that tar does not know are files, as POSIX has it.
 *
 *     vh__layer_open(fd, blob, diff_id, &budget, w, &l, err);
 *     while ((rc = vh__layer_next(l, &entry, err)) > 0)
 *         while ((rc = vh__layer_data(l, &bytes, &n, err)) > 0) ...
 *     rc = vh__layer_finish(l, err);
 *
 * One thread at a time. Names are bytes: run it with the C locale in force on its thread (vh__convert() does), since
 * libarchive would translate names of pax headers into another one.
 */
#ifndef VH_IMAGE_LAYER_H
#define VH_IMAGE_LAYER_H

#include <sys/types.h>

#include "oci.h"
#include "tree.h"
#include "wait.h"

typedef struct vh__layer vh__layer;

/** What all layers of an image may use up together. */
typedef struct vh__budget {
    uint64_t bytes, max_bytes;     /* of tar streams, and of the holes of sparse files */
    uint64_t entries, max_entries;
    uint64_t xattr_bytes;          /* bounded by VH_LAYER_XATTRS_MAX */
} vh__budget;

/** Extended attributes of one image, in bytes: they are kept in memory until the end. */
#define VH_LAYER_XATTRS_MAX (16u << 20)

/** One entry; the strings are valid until the next one. */
typedef struct vh__entry {
    char path[VH_TREE_PATH_MAX + 1];      /* clean */
    char hard_link[VH_TREE_PATH_MAX + 1]; /* clean target; |is_hard_link| says whether it is one */
    bool is_hard_link;
    const char *symlink; /* as it is */
    uint32_t mode, uid, gid, rdev;
} vh__entry;

/**
 * Starts to read the layer |blob|, which unpacks to |diff_id|, from |fd|. All are borrowed for the layer's life. On
 * success the caller owns |*out|. Errors do not name the layer: the caller does.
 */
VH_MUST_CHECK int vh__layer_open(int fd, const vh__oci_descriptor *blob, const char *diff_id, vh__budget *budget,
                                 const vh__wait *w, vh__layer **out, vh_error *err);
void vh__layer_close(vh__layer *l);

/** Goes to the next entry: 1, 0 at the end, or an error (VH_ECORRUPT, VH_EIMAGE, VH_ELIMIT, ...). */
VH_MUST_CHECK int vh__layer_next(vh__layer *l, vh__entry *entry, vh_error *err);
/** Next piece of the current entry's data: 1, 0 at the end, or an error. Holes come as zeros. */
VH_MUST_CHECK int vh__layer_data(vh__layer *l, const void **bytes, size_t *n, vh_error *err);
/** Next extended attribute of the current entry that is kept: 1, 0 at the end, or VH_ELIMIT. */
VH_MUST_CHECK int vh__layer_xattr(vh__layer *l, const char **name, const void **value, size_t *n, vh_error *err);

/** Reads the rest, checks size and digest of the blob, and the diff_id. VH_ECORRUPT: what was expected and found. */
VH_MUST_CHECK int vh__layer_finish(vh__layer *l, vh_error *err);

/** Bytes read of the blob so far. */
uint64_t vh__layer_position(const vh__layer *l);

#endif
