/* Reads a squashfs back, by libsquashfs's reader. */
#ifndef VH_TESTS_IMAGE_LOOK_H
#define VH_TESTS_IMAGE_LOOK_H

#include "testenv.h"

#include <sqfs/compressor.h>
#include <sqfs/data_reader.h>
#include <sqfs/dir.h>
#include <sqfs/dir_reader.h>
#include <sqfs/error.h>
#include <sqfs/id_table.h>
#include <sqfs/inode.h>
#include <sqfs/io.h>
#include <sqfs/super.h>
#include <sqfs/xattr.h>
#include <sqfs/xattr_reader.h>
#include <stdlib.h>
#include <string.h>

typedef struct squash_look {
    sqfs_super_t super;
    sqfs_file_t *file;
    sqfs_compressor_t *cmp;
    sqfs_id_table_t *ids;
    sqfs_dir_reader_t *dirs;
    sqfs_data_reader_t *data;
    sqfs_xattr_reader_t *xattrs;
} squash_look;

/** What is at a path; |data| is the content of a file or the target of a symlink, NUL-terminated. Free it. */
typedef struct seen {
    bool exists;
    unsigned mode; /* with type */
    unsigned uid, gid, nlink, number, mtime, devno;
    size_t size;
    char *data;
} seen;

static void look_open(squash_look *s, const char *path)
{
    sqfs_compressor_config_t cfg;

    memset(s, 0, sizeof(*s));
    s->file = sqfs_open_file(path, SQFS_FILE_OPEN_READ_ONLY);
    assert_non_null(s->file);
    assert_int_equal(sqfs_super_read(&s->super, s->file), 0);
    assert_int_equal(sqfs_compressor_config_init(&cfg, s->super.compression_id, s->super.block_size,
                                                 SQFS_COMP_FLAG_UNCOMPRESS), 0);
    assert_int_equal(sqfs_compressor_create(&cfg, &s->cmp), 0);
    s->ids = sqfs_id_table_create(0);
    assert_int_equal(sqfs_id_table_read(s->ids, s->file, &s->super, s->cmp), 0);
    s->dirs = sqfs_dir_reader_create(&s->super, s->cmp, s->file, 0);
    s->data = sqfs_data_reader_create(s->file, s->super.block_size, s->cmp, 0);
    s->xattrs = sqfs_xattr_reader_create(0);
    assert_non_null(s->dirs);
    assert_non_null(s->data);
    assert_int_equal(sqfs_data_reader_load_fragment_table(s->data, &s->super), 0);
    assert_int_equal(sqfs_xattr_reader_load(s->xattrs, &s->super, s->file, s->cmp), 0);
}

static void look_close(squash_look *s)
{
    sqfs_destroy(s->xattrs);
    sqfs_destroy(s->data);
    sqfs_destroy(s->dirs);
    sqfs_destroy(s->ids);
    sqfs_destroy(s->cmp);
    sqfs_destroy(s->file);
}

static sqfs_inode_generic_t *look_inode(squash_look *s, const char *path)
{
    sqfs_inode_generic_t *inode = NULL;
    int rc;

    rc = sqfs_dir_reader_find_by_path(s->dirs, NULL, path, &inode);
    if (rc == SQFS_ERROR_NO_ENTRY || rc == SQFS_ERROR_NOT_DIR)
        return NULL;
    assert_int_equal(rc, 0);
    return inode;
}

static unsigned look_nlink(const sqfs_inode_generic_t *i)
{
    switch (i->base.type) {
    case SQFS_INODE_DIR:
        return i->data.dir.nlink;
    case SQFS_INODE_EXT_DIR:
        return i->data.dir_ext.nlink;
    case SQFS_INODE_FILE:
        return 1;
    case SQFS_INODE_EXT_FILE:
        return i->data.file_ext.nlink;
    default:
        return i->data.slink.nlink; /* first member of all others */
    }
}

static void look_content(squash_look *s, const sqfs_inode_generic_t *i, seen *out)
{
    sqfs_u64 size = 0;

    if (S_ISLNK(i->base.mode)) {
        out->size = i->data.slink.target_size;
        out->data = calloc(1, out->size + 1);
        memcpy(out->data, i->extra, out->size);
    } else if (S_ISREG(i->base.mode)) {
        assert_int_equal(sqfs_inode_get_file_size(i, &size), 0);
        out->size = (size_t)size;
        out->data = calloc(1, out->size + 1);
        for (size_t at = 0; at < out->size;) {
            size_t want = out->size - at > 1 << 20 ? 1 << 20 : out->size - at;
            sqfs_s32 got = sqfs_data_reader_read(s->data, i, at, out->data + at, (sqfs_u32)want);

            assert_true(got > 0);
            at += (size_t)got;
        }
    } else if (S_ISCHR(i->base.mode) || S_ISBLK(i->base.mode)) {
        out->devno = i->data.dev.devno;
    }
}

/** Looks at |path| (no leading slash). */
static seen look(squash_look *s, const char *path)
{
    sqfs_inode_generic_t *i = look_inode(s, path);
    seen out = { 0 };
    sqfs_u32 id;

    if (!i)
        return out;
    out.exists = true;
    out.mode = i->base.mode;
    out.number = i->base.inode_number;
    out.mtime = i->base.mod_time;
    out.nlink = look_nlink(i);
    assert_int_equal(sqfs_id_table_index_to_id(s->ids, i->base.uid_idx, &id), 0);
    out.uid = id;
    assert_int_equal(sqfs_id_table_index_to_id(s->ids, i->base.gid_idx, &id), 0);
    out.gid = id;
    look_content(s, i, &out);
    sqfs_free(i);
    return out;
}

/** Value of an extended attribute (NUL-terminated, |*n| bytes), NULL if |path| does not have it. Free it. */
static __attribute__((unused)) char *look_xattr(squash_look *s, const char *path, const char *name, size_t *n)
{
    sqfs_inode_generic_t *i = look_inode(s, path);
    sqfs_xattr_id_t desc;
    sqfs_u32 index;
    char *found = NULL;

    assert_non_null(i);
    assert_int_equal(sqfs_inode_get_xattr_index(i, &index), 0);
    sqfs_free(i);
    if (index == 0xFFFFFFFF)
        return NULL;
    assert_int_equal(sqfs_xattr_reader_get_desc(s->xattrs, index, &desc), 0);
    assert_int_equal(sqfs_xattr_reader_seek_kv(s->xattrs, &desc), 0);
    for (unsigned k = 0; k < desc.count; k++) {
        sqfs_xattr_entry_t *key;
        sqfs_xattr_value_t *value;

        assert_int_equal(sqfs_xattr_reader_read_key(s->xattrs, &key), 0);
        assert_int_equal(sqfs_xattr_reader_read_value(s->xattrs, key, &value), 0);
        if (!found && strcmp((const char *)key->key, name) == 0) {
            *n = value->size;
            found = calloc(1, *n + 1);
            memcpy(found, value->value, *n);
        }
        sqfs_free(key);
        sqfs_free(value);
    }
    return found;
}

/** Asserts that the file or symlink at |path| has the content |text|. */
static void assert_content(squash_look *s, const char *path, const char *text)
{
    seen f = look(s, path);

    if (!f.exists)
        fail_msg("%s is missing", path);
    assert_non_null(f.data);
    assert_string_equal(f.data, text);
    assert_int_equal(f.mtime, 0);
    free(f.data);
}

static void assert_missing(squash_look *s, const char *path)
{
    seen f = look(s, path);

    free(f.data);
    if (f.exists)
        fail_msg("%s should not be there", path);
}

#endif
