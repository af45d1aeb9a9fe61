/*
 * LZ4 as libsquashfs has it, less a defect of version 1.2: when there is room in the output it calls a block
 * compressed that has grown, which unsquashfs refuses to read. Such a block is stored as it is here.
 */
#include "squash_priv.h"

#include <sqfs/compressor.h>
#include <stdlib.h>

typedef struct lz4 {
    sqfs_compressor_t base; /* first: it is cast to */
    sqfs_compressor_t *inner;
} lz4;

static sqfs_compressor_t *inner_of(const sqfs_compressor_t *c)
{
    return ((const lz4 *)c)->inner;
}

static void get_configuration(const sqfs_compressor_t *c, sqfs_compressor_config_t *cfg)
{
    inner_of(c)->get_configuration(inner_of(c), cfg);
}

static int write_options(sqfs_compressor_t *c, sqfs_file_t *file)
{
    return inner_of(c)->write_options(inner_of(c), file);
}

static int read_options(sqfs_compressor_t *c, sqfs_file_t *file)
{
    return inner_of(c)->read_options(inner_of(c), file);
}

static sqfs_s32 do_block(sqfs_compressor_t *c, const sqfs_u8 *in, sqfs_u32 size, sqfs_u8 *out, sqfs_u32 out_size)
{
    sqfs_s32 n = inner_of(c)->do_block(inner_of(c), in, size, out, out_size);

    return n >= 0 && (sqfs_u32)n >= size ? 0 : n; /* 0: store it uncompressed */
}

static void destroy(sqfs_object_t *o)
{
    lz4 *c = (lz4 *)o;

    if (c->inner)
        sqfs_destroy(c->inner);
    free(c);
}

static sqfs_object_t *copy(const sqfs_object_t *o);

sqfs_compressor_t *vh__squash_lz4(sqfs_compressor_t *inner)
{
    lz4 *c = calloc(1, sizeof(*c));

    if (c && inner) {
        c->base = (sqfs_compressor_t){
            .base = { .destroy = destroy, .copy = copy },
            .get_configuration = get_configuration,
            .write_options = write_options,
            .read_options = read_options,
            .do_block = do_block,
        };
        c->inner = inner;
        return &c->base;
    }
    free(c);
    if (inner)
        sqfs_destroy(inner);
    return NULL;
}

static sqfs_object_t *copy(const sqfs_object_t *o)
{
    return (sqfs_object_t *)vh__squash_lz4(sqfs_copy(((const lz4 *)o)->inner));
}
