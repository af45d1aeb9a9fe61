/*
 * Writer of one squashfs on libsquashfs: file data first, in order of arrival, then the tables of a finished tree.
 * Equal calls give equal bytes: times are 0, names sorted, ids numbered by their first use.
 * LZ4, blocks of 128 KiB, tails in fragments, duplicates stored once, no export table.
 *
 * One thread at a time; it owns one worker thread for the compression.
 */
#ifndef VH_IMAGE_SQUASH_H
#define VH_IMAGE_SQUASH_H

#include <stddef.h>
#include <stdint.h>
#include <vhive/error.h>

#include "tree.h"

typedef struct vh__squash vh__squash;

/** Starts a squashfs in the empty file |fd| (borrowed). On success the caller owns |*out|. */
VH_MUST_CHECK int vh__squash_new(int fd, vh__squash **out, vh_error *err);
/** Frees |s|, finished or not; NULL is fine. Files that were begun must outlive it: free it before their tree. */
void vh__squash_free(vh__squash *s);

/** Starts the data of a file; |*file| (stable address) belongs to the tree and is complete after the finish. */
VH_MUST_CHECK int vh__squash_file_begin(vh__squash *s, struct sqfs_inode_generic_t **file, vh_error *err);
VH_MUST_CHECK int vh__squash_file_append(vh__squash *s, const void *bytes, size_t n, vh_error *err);
VH_MUST_CHECK int vh__squash_file_end(vh__squash *s, vh_error *err);

/** Collects a set of extended attributes: begin, add..., end gives its number for vh__inode.xattr. */
VH_MUST_CHECK int vh__squash_xattr_begin(vh__squash *s, vh_error *err);
VH_MUST_CHECK int vh__squash_xattr_add(vh__squash *s, const char *name, const void *value, size_t n, vh_error *err);
VH_MUST_CHECK int vh__squash_xattr_end(vh__squash *s, uint32_t *xattr, vh_error *err);

/** Writes what is left: the tables of |tree| (numbered and sorted on the way) and the super block. */
VH_MUST_CHECK int vh__squash_finish(vh__squash *s, vh__tree *tree, vh_error *err);

#endif
