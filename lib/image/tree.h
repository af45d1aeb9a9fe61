/*
 * The tree of a root file system while layers are applied, the uppermost first: what an upper layer has, or hides, is
 * not touched by a lower one. Layers are numbered from 0, the lowest.
 *
 * A node is a name in a directory; an inode is what it names, shared by hard links. A node without an inode is a
 * ghost: it only remembers what is hidden. Memory comes from an arena of the tree and is bounded.
 * One thread at a time.
 */
#ifndef VH_IMAGE_TREE_H
#define VH_IMAGE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vhive/attr.h>
#include <vhive/error.h>

/** Longest path, without NUL. */
#define VH_TREE_PATH_MAX 4095
/** Longest name in a directory: SquashFS's and Linux's limit. */
#define VH_TREE_NAME_MAX 255
/** No extended attributes. */
#define VH_TREE_NO_XATTR UINT32_MAX

struct sqfs_inode_generic_t;

typedef struct vh__inode {
    struct vh__inode *next;            /* all of the tree, for vh__tree_fini() */
    struct vh__inode *alias;           /* it turned out to be that one: see vh__inode_real() */
    struct sqfs_inode_generic_t *file; /* regular: libsquashfs's record of its data; owned */
    const char *target;                /* symlink */
    uint64_t ref;                      /* place in the inode table */
    uint32_t mode;                     /* type and permissions; 0: nothing known yet */
    uint32_t uid, gid, rdev, xattr;
    uint32_t nlink, number;
    bool written; /* to the inode table, at |ref| */
} vh__inode;

typedef struct vh__node {
    struct vh__node *parent, *sibling, *children;
    struct vh__node *chain; /* of its hash bucket */
    vh__inode *inode;       /* NULL: ghost */
    uint32_t hash;
    int16_t layer;       /* of the entry that gave |inode| its content; -1: an implied directory */
    int16_t made;        /* layer that put an inode here */
    int16_t floor;       /* layers below it show nothing here */
    int16_t floor_below; /* nor below here */
    uint16_t name_len;
    char name[];
} vh__node;

typedef struct vh__tree {
    vh__node *root;
    size_t nodes, max_nodes;
    size_t bytes, max_bytes; /* of the arena */
    uint64_t seed;           /* of the hash: a stranger's names must not collide on purpose */
    vh__node **buckets;
    size_t n_buckets;
    struct vh__tree_chunk *chunks;
    vh__inode *inodes;
} vh__tree;

/** Makes a tree with an implied root for at most |max_nodes| names. On error |t| is empty and needs no fini. */
VH_MUST_CHECK int vh__tree_init(vh__tree *t, size_t max_nodes, vh_error *err);
/** Frees all nodes and inodes; an empty (zeroed) tree is fine. */
void vh__tree_fini(vh__tree *t);

/**
 * Turns a name from an archive into a path of this tree: no leading "/" or "./", no empty or "." parts, "" the root.
 * |out| has room for VH_TREE_PATH_MAX + 1 bytes. VH_EIMAGE for "..", parts over 255 bytes, paths over the limit.
 */
VH_MUST_CHECK int vh__tree_clean(const char *name, char *out, vh_error *err);

/**
 * Finds the place of an entry of |layer| for the clean |path| and makes missing parents. |*node| becomes NULL when
 * upper layers hide it. For a directory (|dir|) the node has an inode then, ready to take the entry's metadata; else
 * the caller sets node->inode. VH_EIMAGE when |layer| itself has something else there or a non-directory above it,
 * VH_ELIMIT, -ENOMEM.
 */
VH_MUST_CHECK int vh__tree_place(vh__tree *t, const char *path, int layer, bool dir, vh__node **node, vh_error *err);

/** Hides |path| (|opaque|: only what is below it) from the layers below |layer|. */
VH_MUST_CHECK int vh__tree_hide(vh__tree *t, const char *path, int layer, bool opaque, vh_error *err);

/** The node of the clean |path|, NULL if there is none (it may be a ghost). */
vh__node *vh__tree_find(const vh__tree *t, const char *path);
/** The child |name| of |parent|, NULL if there is none. */
vh__node *vh__tree_child(const vh__tree *t, const vh__node *parent, const char *name, size_t len);
/** Makes the child |name| of |parent|, which has none of that name, as a ghost. VH_ELIMIT, -ENOMEM. */
VH_MUST_CHECK int vh__tree_add(vh__tree *t, vh__node *parent, const char *name, size_t len, vh__node **node,
                               vh_error *err);

/** Makes the ghost |v| a directory nobody has described: root's, 0755. */
VH_MUST_CHECK int vh__tree_imply_dir(vh__tree *t, vh__node *v, int layer, vh_error *err);

/** A fresh inode of the tree, nothing known. */
VH_MUST_CHECK int vh__tree_inode(vh__tree *t, vh__inode **inode, vh_error *err);
/** Copies |s| into the tree's memory. */
VH_MUST_CHECK int vh__tree_string(vh__tree *t, const char *s, const char **out, vh_error *err);

/** What |inode| turned out to be. */
vh__inode *vh__inode_real(vh__inode *inode);
static inline bool vh__inode_known(const vh__inode *inode)
{
    return inode->mode || inode->alias;
}

#endif
