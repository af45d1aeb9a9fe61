#include "squash.h"

#include <errno.h>
#include <sqfs/block.h>
#include <sqfs/block_processor.h>
#include <sqfs/block_writer.h>
#include <sqfs/compressor.h>
#include <sqfs/error.h>
#include <sqfs/frag_table.h>
#include <sqfs/super.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "auto.h"
#include "squash_priv.h"

enum { BLOCK = 1 << 17, BACKLOG = 16, WORKERS = 1, PAD = 4096 };

int vh__squash_fail(const vh__squash *s, int rc, const char *what, vh_error *err)
{
    if (s->out.error)
        return vh_error_set(err, s->out.error, "%s of the squashfs", what);
    if (rc == SQFS_ERROR_ALLOC)
        return vh_error_set(err, -ENOMEM, "%s of the squashfs", what);
    if (rc == SQFS_ERROR_OVERFLOW)
        return vh_error_set(err, VH_ELIMIT, "%s of the squashfs: more than its format has room for", what);
    return vh_error_set(err, -EIO, "%s of the squashfs: libsquashfs error %d", what, rc);
}

static int compressors(vh__squash *s)
{
    sqfs_compressor_config_t c;
    int rc = sqfs_compressor_config_init(&c, SQFS_COMP_LZ4, BLOCK, 0);

    if (rc == 0)
        rc = sqfs_compressor_create(&c, &s->cmp);
    if (rc)
        return rc;
    s->cmp = vh__squash_lz4(s->cmp);
    if (!s->cmp)
        return SQFS_ERROR_ALLOC;
    c.flags |= SQFS_COMP_FLAG_UNCOMPRESS;
    return sqfs_compressor_create(&c, &s->uncmp);
}

/* The super block is written first to take its room, and again with everything known at the end. */
static int head(vh__squash *s)
{
    int rc = sqfs_super_init(&s->super, BLOCK, 0, SQFS_COMP_LZ4);

    if (rc == 0)
        rc = sqfs_super_write(&s->super, &s->out.base);
    if (rc == 0)
        rc = s->cmp->write_options(s->cmp, &s->out.base);
    if (rc < 0)
        return rc;
    if (rc > 0)
        s->super.flags |= SQFS_FLAG_COMPRESSOR_OPTIONS;
    return 0;
}

static int parts(vh__squash *s)
{
    sqfs_block_processor_desc_t d = { .size = sizeof(d), .max_block_size = BLOCK, .num_workers = WORKERS,
                                      .max_backlog = BACKLOG };

    s->blocks = sqfs_block_writer_create(&s->out.base, PAD, 0);
    s->frags = sqfs_frag_table_create(0);
    s->ids = sqfs_id_table_create(0);
    s->xattrs = sqfs_xattr_writer_create(0);
    s->inodes = sqfs_meta_writer_create(&s->out.base, s->cmp, 0);
    s->dirs = sqfs_meta_writer_create(&s->out.base, s->cmp, SQFS_META_WRITER_KEEP_IN_MEMORY);
    if (!s->blocks || !s->frags || !s->ids || !s->xattrs || !s->inodes || !s->dirs)
        return SQFS_ERROR_ALLOC;
    s->dir_writer = sqfs_dir_writer_create(s->dirs, 0);
    if (!s->dir_writer)
        return SQFS_ERROR_ALLOC;
    d.cmp = s->cmp;
    d.wr = s->blocks;
    d.tbl = s->frags;
    /* With these two, equal hashes of tails are believed only after a look at the bytes. */
    d.file = &s->out.base;
    d.uncmp = s->uncmp;
    return sqfs_block_processor_create_ex(&d, &s->data);
}

int vh__squash_new(int fd, vh__squash **out, vh_error *err)
{
    vh__squash *s = calloc(1, sizeof(*s));
    int rc;

    if (!s)
        return vh_error_set(err, -ENOMEM, "writer of a squashfs");
    vh__squash_out_init(&s->out, fd);
    rc = compressors(s);
    if (rc == 0)
        rc = head(s);
    if (rc == 0)
        rc = parts(s);
    if (rc) {
        rc = vh__squash_fail(s, rc, "start", err);
        vh__squash_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

static void destroy(void *object)
{
    if (object)
        sqfs_destroy(object);
}

/*
 * libsquashfs 1.2 leaks the blocks that are with its worker when it is destroyed in the middle, up to 2 MiB: get them
 * back first. Each failing attempt gives back one at least.
 */
static void drain(sqfs_block_processor_t *data)
{
    for (int i = 0; data && i <= BACKLOG && sqfs_block_processor_sync(data) != 0; i++)
        ;
}

void vh__squash_free(vh__squash *s)
{
    if (!s)
        return;
    drain(s->data);
    destroy(s->data); /* first: its worker uses the others */
    destroy(s->dir_writer);
    destroy(s->dirs);
    destroy(s->inodes);
    destroy(s->xattrs);
    destroy(s->ids);
    destroy(s->frags);
    destroy(s->blocks);
    destroy(s->uncmp);
    destroy(s->cmp);
    free(s);
}

int vh__squash_file_begin(vh__squash *s, struct sqfs_inode_generic_t **file, vh_error *err)
{
    int rc = sqfs_block_processor_begin_file(s->data, file, NULL, 0);

    return rc ? vh__squash_fail(s, rc, "file", err) : 0;
}

int vh__squash_file_append(vh__squash *s, const void *bytes, size_t n, vh_error *err)
{
    int rc = n > 0 ? sqfs_block_processor_append(s->data, bytes, n) : 0; /* libsquashfs 1.2 crashes on 0 bytes */

    return rc ? vh__squash_fail(s, rc, "file data", err) : 0;
}

int vh__squash_file_end(vh__squash *s, vh_error *err)
{
    int rc = sqfs_block_processor_end_file(s->data);

    return rc ? vh__squash_fail(s, rc, "file data", err) : 0;
}

int vh__squash_xattr_begin(vh__squash *s, vh_error *err)
{
    int rc = sqfs_xattr_writer_begin(s->xattrs, 0);

    return rc ? vh__squash_fail(s, rc, "extended attributes", err) : 0;
}

int vh__squash_xattr_add(vh__squash *s, const char *name, const void *value, size_t n, vh_error *err)
{
    int rc = sqfs_xattr_writer_add(s->xattrs, name, value, n);

    return rc ? vh__squash_fail(s, rc, "extended attribute", err) : 0;
}

int vh__squash_xattr_end(vh__squash *s, uint32_t *xattr, vh_error *err)
{
    int rc = sqfs_xattr_writer_end(s->xattrs, xattr);

    return rc ? vh__squash_fail(s, rc, "extended attributes", err) : 0;
}

/* Loop devices and virtio-blk want whole sectors. */
static int pad(vh__squash *s)
{
    static const char zeros[PAD];
    size_t over = s->out.size % PAD;

    return over ? s->out.base.write_at(&s->out.base, s->out.size, zeros, PAD - over) : 0;
}

static int tables(vh__squash *s)
{
    int rc = sqfs_frag_table_write(s->frags, &s->out.base, &s->super, s->cmp);

    if (rc == 0)
        rc = sqfs_id_table_write(s->ids, &s->out.base, &s->super, s->cmp);
    if (rc == 0)
        rc = sqfs_xattr_writer_flush(s->xattrs, &s->out.base, &s->super, s->cmp);
    if (rc)
        return rc;
    s->super.bytes_used = s->out.size;
    rc = sqfs_super_write(&s->super, &s->out.base);
    return rc ? rc : pad(s);
}

int vh__squash_finish(vh__squash *s, vh__tree *tree, vh_error *err)
{
    int rc = sqfs_block_processor_finish(s->data);

    if (rc)
        return vh__squash_fail(s, rc, "file data", err);
    rc = vh__squash_write_tree(s, tree, err);
    if (rc)
        return rc;
    rc = tables(s);
    return rc ? vh__squash_fail(s, rc, "tables", err) : 0;
}
