#include "convert.h"

#include <errno.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>

#include "auto.h"
#include "squash.h"

/* libsquashfs puts a file's list of blocks on the stack, 4 bytes for each 128 KiB: this makes it 1 MiB. */
#define FILE_MAX (32ULL << 30)

/* A layer is read again while that finds more of what hard links want; chains of links to links are rare. */
enum { PASSES_MAX = 4 };

enum { REPORT_EVERY = 1 << 20 };

typedef struct conversion {
    vh__convert_job *job;
    const vh__wait *wait;
    vh__squash *squash;
    vh__tree tree;
    vh__tree wanted;   /* flat: the name of a node is the path of a file that hard links wait for */
    size_t waiting;    /* of them, still without content */
    int layer;         /* at work */
    bool again;        /* this pass reads only what is wanted */
    bool passed_over;  /* this pass left out a hidden file, which a link may turn out to want */
    size_t wants;      /* new ones of this pass */
    vh__entry entry;
    uint64_t done, reported, total; /* bytes of blobs, for progress */
} conversion;

/* The inode that hard links to |path| share; made, empty, if no layer from here up has the file. */
static int want(conversion *c, const char *path, vh__inode **inode, vh_error *err)
{
    size_t len = strlen(path);
    vh__node *v = vh__tree_child(&c->wanted, c->wanted.root, path, len);
    int rc = v ? 0 : vh__tree_add(&c->wanted, c->wanted.root, path, len, &v, err);

    if (rc)
        return rc;
    /* One that an upper layer's file satisfied is not what this layer's link means. */
    if (!v->inode || (vh__inode_known(v->inode) && v->layer != c->layer)) {
        rc = vh__tree_inode(&c->tree, &v->inode, err);
        if (rc)
            return rc;
        c->waiting++;
        c->wants++;
    }
    *inode = v->inode;
    return 0;
}

/* If links wait for |path|: their inode, to be filled from the current entry. */
static vh__inode *take_wanted(conversion *c, const char *path)
{
    vh__node *v = c->waiting > 0 ? vh__tree_child(&c->wanted, c->wanted.root, path, strlen(path)) : NULL;

    if (!v || !v->inode || vh__inode_known(v->inode))
        return NULL;
    v->layer = (int16_t)c->layer;
    return v->inode;
}

static void report(conversion *c, uint64_t now)
{
    c->reported = now;
    if (c->job->report)
        c->job->report(c->job->arg, now, c->total);
}

static void report_within(conversion *c, const vh__layer *l)
{
    uint64_t now = c->done + vh__layer_position(l);

    if (!c->again && now >= c->reported + REPORT_EVERY)
        report(c, now);
}

static int read_data(conversion *c, vh__layer *l, vh__inode *inode, vh_error *err)
{
    uint64_t size = 0;
    const void *bytes;
    size_t n;
    int rc = vh__squash_file_begin(c->squash, &inode->file, err), more;

    if (rc)
        return rc;
    while ((more = vh__layer_data(l, &bytes, &n, err)) > 0) {
        size += n;
        if (size > FILE_MAX)
            return vh_error_set(err, VH_ELIMIT, "\"%.200s\" is larger than 32 GiB", c->entry.path);
        rc = vh__squash_file_append(c->squash, bytes, n, err);
        if (rc)
            return rc;
        report_within(c, l);
    }
    return more < 0 ? more : vh__squash_file_end(c->squash, err);
}

static int read_xattrs(conversion *c, vh__layer *l, vh__inode *inode, vh_error *err)
{
    const char *name;
    const void *value;
    size_t n;
    int rc = vh__squash_xattr_begin(c->squash, err), more;

    if (rc)
        return rc;
    while ((more = vh__layer_xattr(l, &name, &value, &n, err)) > 0) {
        rc = vh__squash_xattr_add(c->squash, name, value, n, err);
        if (rc)
            return rc;
    }
    return more < 0 ? more : vh__squash_xattr_end(c->squash, &inode->xattr, err);
}

/* Gives |inode| the metadata and the data of the current entry. */
static int fill(conversion *c, vh__layer *l, vh__inode *inode, vh_error *err)
{
    const vh__entry *e = &c->entry;
    int rc = read_xattrs(c, l, inode, err);

    if (rc == 0 && e->symlink)
        rc = vh__tree_string(&c->tree, e->symlink, &inode->target, err);
    if (rc == 0 && S_ISREG(e->mode))
        rc = read_data(c, l, inode, err);
    if (rc)
        return rc;
    inode->mode = e->mode;
    inode->uid = e->uid;
    inode->gid = e->gid;
    inode->rdev = e->rdev;
    return 0;
}

/* The file a hard link of this layer means: this layer's if it has passed and shows, else one to come. */
static int link_target(conversion *c, vh__inode **inode, vh_error *err)
{
    vh__node *v = vh__tree_find(&c->tree, c->entry.hard_link);

    if (v && v->inode && v->made == c->layer && !S_ISDIR(v->inode->mode)) {
        *inode = v->inode;
        return 0;
    }
    return want(c, c->entry.hard_link, inode, err);
}

static int apply_hard_link(conversion *c, vh__node *node, vh__inode *wanted, vh_error *err)
{
    vh__inode *inode;
    int rc;

    if (strcmp(c->entry.hard_link, c->entry.path) == 0)
        return vh_error_set(err, VH_EIMAGE, "\"%.200s\" is a hard link to itself: rebuild the image", c->entry.path);
    rc = link_target(c, &inode, err);
    if (rc)
        return rc;
    if (node)
        node->inode = inode;
    if (wanted && vh__inode_real(wanted) != vh__inode_real(inode)) { /* a ring of links never gets content */
        wanted->alias = inode;
        c->waiting--;
    }
    return 0;
}

static int apply_file(conversion *c, vh__layer *l, vh_error *err)
{
    vh__node *node = NULL;
    vh__inode *wanted = take_wanted(c, c->entry.path), *inode = wanted;
    int rc = c->again ? 0 : vh__tree_place(&c->tree, c->entry.path, c->layer, false, &node, err);

    if (rc)
        return rc;
    if (!node && !wanted) {
        c->passed_over = true;
        return 0;
    }
    if (c->entry.is_hard_link)
        return apply_hard_link(c, node, wanted, err);
    if (!inode)
        rc = vh__tree_inode(&c->tree, &inode, err);
    if (rc == 0)
        rc = fill(c, l, inode, err);
    if (rc)
        return rc;
    if (wanted)
        c->waiting--;
    if (node)
        node->inode = inode;
    return 0;
}

static int apply_dir(conversion *c, vh__layer *l, vh_error *err)
{
    vh__node *node;
    int rc = vh__tree_place(&c->tree, c->entry.path, c->layer, true, &node, err);

    return rc || !node ? rc : fill(c, l, node->inode, err);
}

/* Whiteouts are told by name: ".wh.NAME" hides NAME, ".wh..wh..opq" what its directory has below. */
static int apply_whiteout(conversion *c, char *name, vh_error *err)
{
    char *path = c->entry.path;

    if (strcmp(name, ".wh..wh..opq") == 0) {
        name[name > path ? -1 : 0] = '\0';
        return vh__tree_hide(&c->tree, path, c->layer, true, err);
    }
    if (strncmp(name, ".wh..wh.", 8) == 0)
        return 0; /* aufs's own files */
    if (name[4] == '\0' || strcmp(name + 4, ".") == 0 || strcmp(name + 4, "..") == 0)
        return vh_error_set(err, VH_EIMAGE, "whiteout \"%.200s\" names no file: rebuild the image", path);
    memmove(name, name + 4, strlen(name + 4) + 1);
    return vh__tree_hide(&c->tree, path, c->layer, false, err);
}

static int apply_entry(conversion *c, vh__layer *l, vh_error *err)
{
    char *slash = strrchr(c->entry.path, '/'), *name = slash ? slash + 1 : c->entry.path;

    if (strncmp(name, ".wh.", 4) == 0)
        return c->again ? 0 : apply_whiteout(c, name, err);
    if (S_ISDIR(c->entry.mode) && !c->entry.is_hard_link)
        return c->again ? 0 : apply_dir(c, l, err);
    return apply_file(c, l, err);
}

static int read_entries(conversion *c, vh__layer *l, vh_error *err)
{
    int more, rc;

    while ((more = vh__layer_next(l, &c->entry, err)) > 0) {
        rc = apply_entry(c, l, err);
        if (rc)
            return rc;
        report_within(c, l);
    }
    return more < 0 ? more : vh__layer_finish(l, err);
}

static int read_layer(conversion *c, vh__budget *budget, vh_error *err)
{
    const vh__convert_job *job = c->job;
    size_t i = (size_t)c->layer;
    vh_auto_fd int fd = -1;
    vh__layer *l = NULL;
    int rc = job->open(job->arg, i, c->wait, &fd, err);

    if (rc)
        return rc;
    c->wants = 0;
    c->passed_over = false;
    rc = vh__layer_open(fd, &job->layers[i], job->diff_ids[i], budget, c->wait, &l, err);
    if (rc == 0)
        rc = read_entries(c, l, err);
    vh__layer_close(l);
    return rc ? vh__oci_layer_failed(job->layers, job->n, i, rc, err) : 0;
}

/* What is read again was charged the first time. */
static int read_again(conversion *c, vh_error *err)
{
    const vh__budget *b = &c->job->budget;
    vh__budget once = { .max_bytes = b->max_bytes, .max_entries = b->max_entries };
    int rc;

    c->again = true;
    rc = read_layer(c, &once, err);
    c->again = false;
    return rc;
}

static int apply_layer(conversion *c, vh_error *err)
{
    int rc = read_layer(c, &c->job->budget, err);
    bool more = c->passed_over;

    for (int pass = 1; rc == 0 && more && c->wants > 0 && c->waiting > 0 && pass < PASSES_MAX; pass++)
        rc = read_again(c, err);
    c->done += c->job->layers[c->layer].size;
    if (rc == 0)
        report(c, c->done);
    return rc;
}

static int check_links(const conversion *c, vh_error *err)
{
    for (const vh__node *v = c->wanted.root->children; c->waiting > 0 && v; v = v->sibling)
        if (v->inode && !vh__inode_known(v->inode))
            return vh_error_set(err, VH_EIMAGE, "hard link to \"%.200s\": no layer has such a file: rebuild the "
                                "image", v->name);
    return 0;
}

static int apply_layers(conversion *c, vh_error *err)
{
    int rc = 0;

    for (c->layer = (int)c->job->n - 1; rc == 0 && c->layer >= 0; c->layer--)
        rc = apply_layer(c, err);
    if (rc == 0)
        rc = check_links(c, err);
    return rc ? rc : vh__squash_finish(c->squash, &c->tree, err);
}

static int convert(conversion *c, int fd, vh_error *err)
{
    size_t max = (size_t)c->job->budget.max_entries;
    int rc = vh__tree_init(&c->tree, max, err);

    if (rc == 0)
        rc = vh__tree_init(&c->wanted, max, err);
    if (rc == 0)
        rc = vh__squash_new(fd, &c->squash, err);
    if (rc == 0)
        rc = apply_layers(c, err);
    vh__squash_free(c->squash); /* before the tree, whose inodes it fills */
    vh__tree_fini(&c->wanted);
    vh__tree_fini(&c->tree);
    return rc;
}

int vh__convert(vh__convert_job *job, int fd, const vh__wait *w, vh_error *err)
{
    conversion c = { .job = job, .wait = w };
    locale_t bytes = newlocale(LC_CTYPE_MASK, "C", (locale_t)0), before;
    int rc;

    if (!bytes)
        return vh_error_set(err, -ENOMEM, "C locale");
    for (size_t i = 0; i < job->n; i++)
        c.total += job->layers[i].size;
    before = uselocale(bytes); /* see layer.h */
    rc = convert(&c, fd, err);
    (void)uselocale(before);
    freelocale(bytes);
    return rc;
}
