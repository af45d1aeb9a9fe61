#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <xxhash.h>

enum { CHUNK = 1 << 16, BUCKETS_MIN = 1 << 10 };

/* Names and targets of links may have 4 KiB each, but a node with its inode takes 170 bytes in a common image. */
enum { BYTES_PER_NODE = 256, BYTES_MIN = 1 << 20 };

struct vh__tree_chunk {
    struct vh__tree_chunk *next;
    size_t used;
    _Alignas(16) char data[CHUNK];
};

/* |*out| becomes a pointer to |n| zeroed bytes, which live as long as the tree. */
static int arena_alloc(vh__tree *t, size_t n, void *out, vh_error *err)
{
    struct vh__tree_chunk *c = t->chunks;

    n = (n + 15) & ~(size_t)15; /* n is at most VH_TREE_PATH_MAX and a header: far below CHUNK */
    if (t->bytes + n > t->max_bytes)
        return vh_error_set(err, VH_ELIMIT, "names and links of the image take more than %zu bytes", t->max_bytes);
    if (!c || c->used + n > CHUNK) {
        c = malloc(sizeof(*c));
        if (!c)
            return vh_error_set(err, -ENOMEM, "tree of the image");
        c->used = 0;
        c->next = t->chunks;
        t->chunks = c;
    }
    *(void **)out = memset(c->data + c->used, 0, n);
    t->bytes += n;
    c->used += n;
    return 0;
}

static uint32_t hash_name(const vh__tree *t, const vh__node *parent, const char *name, size_t len)
{
    return (uint32_t)XXH3_64bits_withSeed(name, len, t->seed ^ (uint64_t)(uintptr_t)parent);
}

/* Growing is optional after the first time: without memory the chains only get longer. */
static void grow_buckets(vh__tree *t)
{
    size_t n = t->n_buckets * 2;
    vh__node **grown = calloc(n, sizeof(*grown));

    if (!grown)
        return;
    for (size_t i = 0; i < t->n_buckets; i++) {
        for (vh__node *v = t->buckets[i], *next; v; v = next) {
            next = v->chain;
            v->chain = grown[v->hash & (n - 1)];
            grown[v->hash & (n - 1)] = v;
        }
    }
    free(t->buckets);
    t->buckets = grown;
    t->n_buckets = n;
}

static int new_node(vh__tree *t, vh__node *parent, const char *name, size_t len, vh__node **node, vh_error *err)
{
    vh__node *v;
    int rc;

    if (t->nodes >= t->max_nodes)
        return vh_error_set(err, VH_ELIMIT, "the image has more than %zu names: raise image.max_entries", t->max_nodes);
    rc = arena_alloc(t, sizeof(*v) + len + 1, &v, err);
    if (rc)
        return rc;
    t->nodes++;
    v->parent = parent;
    v->layer = v->made = -1;
    v->name_len = (uint16_t)len;
    memcpy(v->name, name, len);
    *node = v;
    return 0;
}

int vh__tree_add(vh__tree *t, vh__node *parent, const char *name, size_t len, vh__node **node, vh_error *err)
{
    vh__node *v = NULL;
    int rc = new_node(t, parent, name, len, &v, err);

    if (rc)
        return rc;
    if (t->nodes > t->n_buckets)
        grow_buckets(t);
    v->hash = hash_name(t, parent, name, len);
    v->chain = t->buckets[v->hash & (t->n_buckets - 1)];
    t->buckets[v->hash & (t->n_buckets - 1)] = v;
    v->sibling = parent->children;
    parent->children = v;
    *node = v;
    return 0;
}

int vh__tree_inode(vh__tree *t, vh__inode **inode, vh_error *err)
{
    vh__inode *i;
    int rc = arena_alloc(t, sizeof(*i), &i, err);

    if (rc)
        return rc;
    i->xattr = VH_TREE_NO_XATTR;
    i->next = t->inodes;
    t->inodes = i;
    *inode = i;
    return 0;
}

int vh__tree_string(vh__tree *t, const char *s, const char **out, vh_error *err)
{
    size_t n = strlen(s) + 1;
    char *copy;
    int rc = arena_alloc(t, n, &copy, err);

    if (rc)
        return rc;
    *out = memcpy(copy, s, n);
    return 0;
}

int vh__tree_imply_dir(vh__tree *t, vh__node *v, int layer, vh_error *err)
{
    int rc = vh__tree_inode(t, &v->inode, err);

    if (rc)
        return rc;
    v->inode->mode = S_IFDIR | 0755;
    v->made = (int16_t)layer;
    return 0;
}

int vh__tree_init(vh__tree *t, size_t max_nodes, vh_error *err)
{
    vh__tree n = {
        .max_nodes = max_nodes,
        .max_bytes = BYTES_MIN + max_nodes * BYTES_PER_NODE,
        .n_buckets = BUCKETS_MIN,
    };
    int rc;

    if (getrandom(&n.seed, sizeof(n.seed), GRND_NONBLOCK) < 0)
        n.seed = (uintptr_t)&n; /* early in boot: address space layout is all there is */
    n.buckets = calloc(n.n_buckets, sizeof(*n.buckets));
    rc = n.buckets ? new_node(&n, NULL, "", 0, &n.root, err) : vh_error_set(err, -ENOMEM, "tree of the image");
    if (rc == 0)
        rc = vh__tree_imply_dir(&n, n.root, INT16_MAX, err);
    if (rc) {
        vh__tree_fini(&n);
        return rc;
    }
    *t = n;
    return 0;
}

void vh__tree_fini(vh__tree *t)
{
    for (vh__inode *i = t->inodes; i; i = i->next)
        free(i->file);
    while (t->chunks) {
        struct vh__tree_chunk *c = t->chunks;

        t->chunks = c->next;
        free(c);
    }
    free(t->buckets);
    memset(t, 0, sizeof(*t));
}

vh__node *vh__tree_child(const vh__tree *t, const vh__node *parent, const char *name, size_t len)
{
    uint32_t hash = hash_name(t, parent, name, len);
    vh__node *v = t->buckets[hash & (t->n_buckets - 1)];

    while (v && !(v->hash == hash && v->parent == parent && v->name_len == len && memcmp(v->name, name, len) == 0))
        v = v->chain;
    return v;
}

vh__node *vh__tree_find(const vh__tree *t, const char *path)
{
    vh__node *v = t->root;

    while (v && *path) {
        size_t len = strcspn(path, "/");

        v = vh__tree_child(t, v, path, len);
        path += len + (path[len] == '/');
    }
    return v;
}

vh__inode *vh__inode_real(vh__inode *inode)
{
    while (inode->alias)
        inode = inode->alias;
    return inode;
}
