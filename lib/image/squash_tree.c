/*
 * Inode and directory table of a tree. Two walks in the same order, children before their directory: the first sorts,
 * numbers and counts links, since a directory's inode names its parent's number; the second writes. In a directory
 * its subdirectories come first, so that the inodes of its files lie side by side.
 *
 * Both recurse, over at most VH_TREE_PATH_MAX / 2 levels, with small frames.
 */
#include "squash_priv.h"

#include <sqfs/error.h>
#include <sqfs/inode.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "auto.h"

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const vh__node *const *)a)->name, (*(const vh__node *const *)b)->name);
}

static bool is_dir(const vh__node *v)
{
    return S_ISDIR(v->inode->mode);
}

/* Drops ghosts from the children of |dir| and puts the others in order. */
static int sort_children(vh__node *dir)
{
    vh_auto_free vh__node **list = NULL;
    size_t n = 0;

    for (vh__node *c = dir->children; c; c = c->sibling)
        n += c->inode != NULL;
    if (n > 0 && !(list = malloc(n * sizeof(*list))))
        return SQFS_ERROR_ALLOC;
    n = 0;
    for (vh__node *c = dir->children; c; c = c->sibling)
        if (c->inode)
            list[n++] = c;
    if (n > 0)
        qsort(list, n, sizeof(*list), by_name);
    dir->children = NULL;
    while (n > 0) {
        list[--n]->sibling = dir->children;
        dir->children = list[n];
    }
    return 0;
}

static int number_dir(vh__node *dir, uint32_t *last)
{
    int rc = sort_children(dir);

    dir->inode->nlink = 2;
    for (vh__node *c = dir->children; rc == 0 && c; c = c->sibling) {
        c->inode = vh__inode_real(c->inode);
        if (is_dir(c)) {
            rc = number_dir(c, last);
            dir->inode->nlink++;
        }
    }
    for (vh__node *c = dir->children; rc == 0 && c; c = c->sibling)
        if (!is_dir(c) && c->inode->nlink++ == 0)
            c->inode->number = ++*last;
    dir->inode->number = ++*last;
    return rc;
}

/* As the kernel's new_encode_dev(). */
static uint32_t device_number(dev_t d)
{
    return (minor(d) & 0xff) | (major(d) << 8) | ((minor(d) & ~0xffu) << 12);
}

static sqfs_inode_generic_t *special_inode(const vh__inode *i)
{
    size_t extra = S_ISLNK(i->mode) ? strlen(i->target) : 0;
    sqfs_inode_generic_t *g = calloc(1, sizeof(*g) + extra);

    if (!g)
        return NULL;
    if (S_ISLNK(i->mode)) {
        g->base.type = SQFS_INODE_SLINK;
        g->data.slink.nlink = i->nlink;
        g->data.slink.target_size = (sqfs_u32)extra;
        memcpy(g->extra, i->target, extra);
    } else if (S_ISFIFO(i->mode)) {
        g->base.type = SQFS_INODE_FIFO;
        g->data.ipc.nlink = i->nlink;
    } else {
        g->base.type = S_ISCHR(i->mode) ? SQFS_INODE_CDEV : SQFS_INODE_BDEV;
        g->data.dev.nlink = i->nlink;
        g->data.dev.devno = device_number(i->rdev);
    }
    return g;
}

/* A basic file inode has no link count: it means one. */
static int count_file_links(sqfs_inode_generic_t *g, uint32_t nlink)
{
    int rc = nlink > 1 ? sqfs_inode_make_extended(g) : 0;

    if (rc == 0 && g->base.type == SQFS_INODE_EXT_FILE)
        g->data.file_ext.nlink = nlink;
    return rc;
}

static int write_inode(vh__squash *s, vh__inode *i, sqfs_inode_generic_t *g)
{
    sqfs_u64 block;
    sqfs_u32 offset;
    int rc;

    g->base.mode = (sqfs_u16)i->mode;
    g->base.mod_time = 0;
    g->base.inode_number = i->number;
    rc = sqfs_inode_set_xattr_index(g, i->xattr);
    if (rc == 0)
        rc = sqfs_id_table_id_to_index(s->ids, i->uid, &g->base.uid_idx);
    if (rc == 0)
        rc = sqfs_id_table_id_to_index(s->ids, i->gid, &g->base.gid_idx);
    if (rc)
        return rc;
    sqfs_meta_writer_get_position(s->inodes, &block, &offset);
    i->ref = block << 16 | offset;
    i->written = true;
    return sqfs_meta_writer_write_inode(s->inodes, g);
}

static int write_leaf(vh__squash *s, vh__inode *i)
{
    vh_auto_free sqfs_inode_generic_t *own = NULL;
    sqfs_inode_generic_t *g = i->file;
    int rc = 0;

    if (i->written)
        return 0; /* under another name of it */
    if (S_ISREG(i->mode))
        rc = count_file_links(g, i->nlink);
    else
        g = own = special_inode(i);
    if (rc)
        return rc;
    return g ? write_inode(s, i, g) : SQFS_ERROR_ALLOC;
}

static int write_listing(vh__squash *s, const vh__node *dir)
{
    int rc = sqfs_dir_writer_begin(s->dir_writer, 0);

    for (const vh__node *c = dir->children; rc == 0 && c; c = c->sibling)
        rc = sqfs_dir_writer_add_entry(s->dir_writer, c->name, c->inode->number, c->inode->ref,
                                       (sqfs_u16)c->inode->mode);
    return rc ? rc : sqfs_dir_writer_end(s->dir_writer);
}

static int write_dir(vh__squash *s, const vh__node *dir, uint32_t parent)
{
    vh_auto_free sqfs_inode_generic_t *g = NULL;
    int rc = 0;

    for (const vh__node *c = dir->children; rc == 0 && c; c = c->sibling)
        if (is_dir(c))
            rc = write_dir(s, c, dir->inode->number);
    for (const vh__node *c = dir->children; rc == 0 && c; c = c->sibling)
        if (!is_dir(c))
            rc = write_leaf(s, c->inode);
    if (rc == 0)
        rc = write_listing(s, dir);
    if (rc)
        return rc;
    g = sqfs_dir_writer_create_inode(s->dir_writer, 0, dir->inode->xattr, parent);
    if (!g)
        return SQFS_ERROR_ALLOC;
    if (g->base.type == SQFS_INODE_DIR)
        g->data.dir.nlink = dir->inode->nlink;
    else
        g->data.dir_ext.nlink = dir->inode->nlink;
    return write_inode(s, dir->inode, g);
}

static int write_tables(vh__squash *s, vh__tree *tree)
{
    uint32_t last = 0;
    int rc = number_dir(tree->root, &last);

    s->super.inode_count = last;
    s->super.inode_table_start = s->out.size;
    if (rc == 0)
        rc = write_dir(s, tree->root, last + 1); /* as mksquashfs: the root's parent is no inode of this one */
    if (rc == 0)
        rc = sqfs_meta_writer_flush(s->inodes);
    if (rc == 0)
        rc = sqfs_meta_writer_flush(s->dirs);
    if (rc)
        return rc;
    s->super.root_inode_ref = tree->root->inode->ref;
    s->super.directory_table_start = s->out.size;
    return sqfs_meta_write_write_to_file(s->dirs);
}

int vh__squash_write_tree(vh__squash *s, vh__tree *tree, vh_error *err)
{
    int rc = write_tables(s, tree);

    return rc ? vh__squash_fail(s, rc, "inodes and directories", err) : 0;
}
