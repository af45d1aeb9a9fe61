#ifndef VH_IMAGE_SQUASH_PRIV_H
#define VH_IMAGE_SQUASH_PRIV_H

#include <sqfs/dir_writer.h>
#include <sqfs/id_table.h>
#include <sqfs/io.h>
#include <sqfs/meta_writer.h>
#include <sqfs/super.h>
#include <sqfs/xattr_writer.h>

#include "squash.h"

/* libsquashfs's view of our descriptor; unlike its own it keeps the errno. */
typedef struct vh__squash_out {
    sqfs_file_t base; /* first: it is cast to */
    int fd;
    uint64_t size;
    int error; /* first -errno */
} vh__squash_out;

void vh__squash_out_init(vh__squash_out *o, int fd);

/** LZ4 made safe (see squash_lz4.c). Takes |inner|; NULL if that is NULL or memory is out. */
sqfs_compressor_t *vh__squash_lz4(sqfs_compressor_t *inner);

struct vh__squash {
    vh__squash_out out;
    sqfs_super_t super;
    sqfs_compressor_t *cmp, *uncmp;
    sqfs_block_writer_t *blocks;
    sqfs_frag_table_t *frags;
    sqfs_id_table_t *ids;
    sqfs_xattr_writer_t *xattrs;
    sqfs_meta_writer_t *inodes, *dirs;
    sqfs_dir_writer_t *dir_writer;
    sqfs_block_processor_t *data;
};

/** Translates libsquashfs's |rc|, or what the file met before it, and returns our code. */
int vh__squash_fail(const vh__squash *s, int rc, const char *what, vh_error *err);

/** Writes inode and directory table of |tree|; all file data is out. */
VH_MUST_CHECK int vh__squash_write_tree(vh__squash *s, vh__tree *tree, vh_error *err);

#endif
