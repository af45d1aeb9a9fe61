/*
 * Members of a tar file by name, read where they lie: one pass over the headers notes their places. A compressed file
 * is unpacked into an unnamed one first. Nothing is ever extracted under a member's name. One thread at a time.
 */
#ifndef VH_IMAGE_TARBALL_H
#define VH_IMAGE_TARBALL_H

#include <stddef.h>
#include <stdint.h>
#include <vhive/error.h>

#include "buf.h"
#include "wait.h"

/** Most members of a file; each layer of an image has three. */
#define VH_TARBALL_MEMBERS_MAX 16384

typedef struct vh__tarball vh__tarball;

/** A member's data in the file. */
typedef struct vh__member {
    uint64_t at, size;
} vh__member;

/**
 * Opens the file |path|. If it is compressed, it may have up to |max| bytes unpacked, which go to the directory
 * |spool| (made if need be). On success the caller owns |*out|. VH_ENOTFOUND, VH_EIMAGE (no tar), VH_ELIMIT, -errno.
 */
VH_MUST_CHECK int vh__tarball_open(const char *path, const char *spool, uint64_t max, const vh__wait *w,
                                   vh__tarball **out, vh_error *err);
/** Closes |t|; NULL is fine. */
void vh__tarball_close(vh__tarball *t);

/** Finds the file |name|, through a few links of the tar's own if need be; false if there is none. */
bool vh__tarball_find(const vh__tarball *t, const char *name, vh__member *out);
/** Reads at most |max| bytes of |m| into |out|; a larger one is VH_ELIMIT. */
VH_MUST_CHECK int vh__tarball_read(const vh__tarball *t, const vh__member *m, size_t max, vh__buf *out,
                                   vh_error *err);
/** A descriptor that is at the start of |m|; what is behind its end must not be read. The caller owns |*fd|. All of
 *  them share one position. */
VH_MUST_CHECK int vh__tarball_seek(const vh__tarball *t, const vh__member *m, int *fd, vh_error *err);

#endif
