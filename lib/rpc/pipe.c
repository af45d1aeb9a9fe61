#include "pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"

/* A block with its header is a page, so a stream that holds one byte costs no more than that. */
#define BLOCK 4096
/* Spare blocks that are kept: half a megabyte. */
#define SPARE_MAX 128

struct vh__block {
    struct vh__block *next;
    char bytes[BLOCK - sizeof(struct vh__block *)];
};

#define ROOM sizeof(((struct vh__block *)0)->bytes)

static struct vh__block *take(vh__blocks *blocks)
{
    struct vh__block *b = blocks->spare;

    if (b) {
        blocks->spare = b->next;
        blocks->nspare--;
    } else {
        b = malloc(sizeof(*b));
        if (!b)
            return NULL;
    }
    b->next = NULL;
    blocks->used += BLOCK;
    blocks->most = VH_MAX(blocks->most, blocks->used);
    return b;
}

static void give(vh__blocks *blocks, struct vh__block *b)
{
    blocks->used -= BLOCK;
    if (blocks->nspare == SPARE_MAX) {
        free(b);
        return;
    }
    b->next = blocks->spare;
    blocks->spare = b;
    blocks->nspare++;
}

void vh__blocks_fini(vh__blocks *blocks)
{
    while (blocks->spare) {
        struct vh__block *b = blocks->spare;

        blocks->spare = b->next;
        free(b);
    }
    blocks->nspare = 0;
}

/* Makes |tail| a block with room. */
static int extend(vh__pipe *pipe, vh__blocks *blocks)
{
    struct vh__block *b;

    if (pipe->tail && pipe->fill < ROOM)
        return 0;
    b = take(blocks);
    if (!b)
        return -ENOMEM;
    if (pipe->tail)
        pipe->tail->next = b;
    else
        pipe->head = b;
    pipe->tail = b;
    pipe->fill = 0;
    return 0;
}

int vh__pipe_put(vh__pipe *pipe, vh__blocks *blocks, const void *bytes, size_t n)
{
    const char *from = bytes;

    while (n) {
        size_t part;

        if (extend(pipe, blocks))
            return -ENOMEM;
        part = VH_MIN(n, ROOM - pipe->fill);
        memcpy(pipe->tail->bytes + pipe->fill, from, part);
        pipe->fill += part;
        pipe->len += part;
        from += part;
        n -= part;
    }
    return 0;
}

static void drop_head(vh__pipe *pipe, vh__blocks *blocks)
{
    struct vh__block *b = pipe->head;

    pipe->head = b->next;
    pipe->from = 0;
    if (!pipe->head)
        pipe->tail = NULL;
    give(blocks, b);
}

void vh__pipe_move(vh__pipe *pipe, vh__blocks *blocks, vh__buf *out, size_t n)
{
    while (n) {
        size_t end = pipe->head == pipe->tail ? pipe->fill : ROOM;
        size_t part = VH_MIN(n, end - pipe->from);

        vh__buf_append(out, pipe->head->bytes + pipe->from, part);
        pipe->from += part;
        pipe->len -= part;
        n -= part;
        if (pipe->from == end)
            drop_head(pipe, blocks);
    }
}

size_t vh__pipe_drop(vh__pipe *pipe, vh__blocks *blocks)
{
    size_t n = pipe->len;

    while (pipe->head)
        drop_head(pipe, blocks);
    pipe->len = 0;
    return n;
}
