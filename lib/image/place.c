/* Where entries of a layer go in the tree, and what hides them. */
#include "tree.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int refuse(const char *name, const char *why, vh_error *err)
{
    return vh_error_set(err, VH_EIMAGE, "entry \"%.200s\" %s: the layer cannot be applied, rebuild the image", name,
                        why);
}

int vh__tree_clean(const char *name, char *out, vh_error *err)
{
    const char *part = name;
    size_t used = 0;

    while (*part) {
        size_t len = strcspn(part, "/");

        if (len == 2 && memcmp(part, "..", 2) == 0)
            return refuse(name, "climbs with \"..\"", err);
        if (len > VH_TREE_NAME_MAX)
            return refuse(name, "has a name over 255 bytes", err);
        if (len > 0 && !(len == 1 && *part == '.')) {
            if (used + (used > 0) + len > VH_TREE_PATH_MAX)
                return refuse(name, "is longer than 4095 bytes", err);
            if (used > 0)
                out[used++] = '/';
            memcpy(out + used, part, len);
            used += len;
        }
        part += len + (part[len] == '/');
    }
    out[used] = '\0';
    return 0;
}

static bool is_dir(const vh__node *v)
{
    return v->inode && S_ISDIR(v->inode->mode);
}

/* Raises the mark: layers below |layer| show nothing at (|at|) and below |v|. */
static void raise_floor(vh__node *v, int layer, bool at)
{
    if (at && v->floor < layer)
        v->floor = (int16_t)layer;
    if (v->floor_below < layer)
        v->floor_below = (int16_t)layer;
}

/* A step down the path: *v becomes the child, which is made if it is missing, or NULL if nothing shows there. */
static int step_into(vh__tree *t, const char *path, const char *part, size_t len, int layer, vh__node **v,
                     vh_error *err)
{
    vh__node *up = *v, *down;

    if (up->floor_below > layer) {
        *v = NULL;
        return 0;
    }
    if (up->inode && !is_dir(up)) {
        *v = NULL; /* an upper layer's file hides a lower one's directory */
        return up->made == layer ? refuse(path, "lies below a file or symlink of the same layer", err) : 0;
    }
    down = vh__tree_child(t, up, part, len);
    if (!down) {
        int rc = vh__tree_add(t, up, part, len, &down, err);

        if (rc)
            return rc;
    }
    *v = down;
    return 0;
}

/* Walks to the node of |path|, making it and what is above it as ghosts. *out NULL: hidden from |layer|. */
static int walk(vh__tree *t, const char *path, int layer, vh__node **out, vh_error *err)
{
    vh__node *v = t->root;
    const char *part = path;

    while (v && *part) {
        size_t len = strcspn(part, "/");
        int rc = step_into(t, path, part, len, layer, &v, err);

        if (rc)
            return rc;
        part += len + (part[len] == '/');
    }
    *out = v;
    return 0;
}

/* What is above a node that shows must show too. */
static int imply_parents(vh__tree *t, vh__node *v, int layer, vh_error *err)
{
    int rc = 0;

    for (v = v->parent; rc == 0 && v && !v->inode; v = v->parent)
        rc = vh__tree_imply_dir(t, v, layer, err);
    return rc;
}

static int take_dir(vh__tree *t, vh__node *v, int layer, vh__node **node, vh_error *err)
{
    int rc = 0;

    if (v->layer > layer)
        return 0; /* described by an upper layer */
    if (!v->inode)
        rc = vh__tree_imply_dir(t, v, layer, err);
    if (rc)
        return rc;
    v->layer = (int16_t)layer;
    *node = v;
    return 0;
}

int vh__tree_place(vh__tree *t, const char *path, int layer, bool dir, vh__node **node, vh_error *err)
{
    vh__node *v;
    int rc = walk(t, path, layer, &v, err);

    *node = NULL;
    if (rc || !v || v->floor > layer)
        return rc;
    if (v->inode && is_dir(v) != dir) {
        if (v->made == layer || v == t->root)
            return refuse(path, "is a directory and something else in one layer", err);
        if (is_dir(v))
            raise_floor(v, layer, true); /* it replaces the directory of the layers below it, unseen from above */
        return 0;
    }
    if (v->inode && !dir && v->made > layer)
        return 0;
    rc = imply_parents(t, v, layer, err);
    if (rc)
        return rc;
    if (dir)
        return take_dir(t, v, layer, node, err);
    v->layer = v->made = (int16_t)layer;
    *node = v;
    return 0;
}

int vh__tree_hide(vh__tree *t, const char *path, int layer, bool opaque, vh_error *err)
{
    vh__node *v;
    int rc = walk(t, path, layer, &v, err);

    if (rc == 0 && v)
        raise_floor(v, layer, !opaque);
    return rc;
}
