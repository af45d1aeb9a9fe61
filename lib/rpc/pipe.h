/*
 * Bytes on their way from one connection to another, in blocks that all pipes of a thread share: what one lets go of
 * the next one takes, so that in the long run nothing is allocated, and a pipe that is empty holds nothing.
 */
#ifndef VH_RPC_PIPE_H
#define VH_RPC_PIPE_H

#include <stddef.h>
#include <vhive/attr.h>

#include "buf.h"

struct vh__block;

/** Spare blocks. Zero-initialise; vh__blocks_fini() once no pipe has any. */
typedef struct vh__blocks {
    struct vh__block *spare;
    size_t nspare;
    size_t used, most; /* bytes of blocks in pipes, now and at the worst moment */
} vh__blocks;

void vh__blocks_fini(vh__blocks *blocks);

/** Zero-initialise; vh__pipe_drop() at the end. */
typedef struct vh__pipe {
    struct vh__block *head, *tail;
    size_t from; /* bytes of |head| that are gone already */
    size_t fill; /* bytes of |tail| that are there */
    size_t len;
} vh__pipe;

/** Appends |n| bytes. -ENOMEM; the pipe then holds a part of them. */
VH_MUST_CHECK int vh__pipe_put(vh__pipe *pipe, vh__blocks *blocks, const void *bytes, size_t n);
/** Moves the first |n| bytes (n <= len) to the end of |out|, whose failure is sticky. */
void vh__pipe_move(vh__pipe *pipe, vh__blocks *blocks, vh__buf *out, size_t n);
/** Forgets what it holds; returns how many bytes that were. */
size_t vh__pipe_drop(vh__pipe *pipe, vh__blocks *blocks);

#endif
