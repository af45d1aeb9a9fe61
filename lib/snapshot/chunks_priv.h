/* Guest memory in chunks: read past the holes, told whether all zero, digested; on two threads. */
#ifndef VH_SNAPSHOT_CHUNKS_PRIV_H
#define VH_SNAPSHOT_CHUNKS_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "digest.h"
#include "wait.h"

/** Bytes of a chunk; the last one may be shorter. Part of the format. */
#define VH_CHUNK (2U << 20)
/** What memory is made of, and holes: part of the format, whatever the host's page size. */
#define VH_CHUNK_PAGE 4096U

typedef struct vh__chunk {
    size_t index;
    uint64_t off;
    size_t len;
    const unsigned char *bytes; /* NULL: all zero */
    const char *digest;         /* of the bytes, "" if all zero: those are not worth hashing */
} vh__chunk;

/** Uses one chunk. Called from several threads at once, for different chunks. */
typedef int (*vh__chunk_fn)(const vh__chunk *chunk, void *arg, vh_error *err);

/** Number of chunks of |size| bytes. */
size_t vh__chunks_count(uint64_t size);

/**
 * Calls |fn| for every chunk of the first |size| bytes of |fd| (its file position moves), in no order. |what| names
 * the file. Returns the first error, of its own or of |fn|; VH_ECORRUPT when the file is shorter.
 */
VH_MUST_CHECK int vh__chunks_each(int fd, uint64_t size, const char *what, const vh__wait *w, vh__chunk_fn fn,
                                  void *arg, vh_error *err);

/** Whether |len| bytes (not 0) are all zero. */
bool vh__chunks_zero(const unsigned char *bytes, size_t len);

#endif
