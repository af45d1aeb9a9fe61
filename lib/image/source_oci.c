/* "oci:DIR[:TAG]": an OCI image layout in a directory. */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auto.h"
#include "fd.h"
#include "path.h"

typedef struct layout {
    vh__source base; /* first: it is cast to */
    char *dir;       /* absolute */
    char tag[129];   /* "": none was given */
} layout;

static bool is_tag(const char *s)
{
    static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t n = strspn(s, word);

    return n > 0 && n <= 128 && s[n] == '\0' && *s != '.' && *s != '-';
}

int vh__oci_split(const char *rest, size_t *dir_len, const char **tag, vh_error *err)
{
    const char *slash = strrchr(rest, '/'), *colon = strrchr(slash ? slash : rest, ':');

    *tag = colon ? colon + 1 : NULL;
    *dir_len = colon ? (size_t)(colon - rest) : strlen(rest);
    if (*dir_len == 0)
        return vh_error_set(err, VH_EINVALID, "image reference \"oci:%.200s\" names no directory: write it as "
                            "oci:DIR[:TAG]", rest);
    if (*tag && !is_tag(*tag))
        return vh_error_set(err, VH_EINVALID, "image reference \"oci:%.200s\": \"%.128s\" is not a tag (letters, "
                            "digits, \"_\", \".\", \"-\")", rest, *tag);
    return 0;
}

static void layout_close(vh__source *s)
{
    layout *l = (layout *)s;

    free(l->dir);
    free(l);
}

/* The reference is kept with an absolute directory: it is shown, and looked for, from elsewhere later. */
static int set_dir(layout *l, const char *rest, size_t n, vh_error *err)
{
    vh_auto_free char *dir = strndup(rest, n);

    if (!dir)
        return vh_error_set(err, -ENOMEM, "image reference");
    l->dir = realpath(dir, NULL);
    if (!l->dir && errno != ENOENT && errno != ENOTDIR)
        return vh_error_set(err, -errno, "image layout %s", dir);
    if (!l->dir && rest[n] && access(rest, F_OK) == 0)
        return vh_error_set(err, VH_ENOTFOUND, "there is no image layout %s; if the directory is %s, write its tag "
                            "out: oci:%s:TAG", dir, rest, rest);
    if (!l->dir)
        return vh_error_set(err, VH_ENOTFOUND, "there is no image layout %s: name a directory with an index.json",
                            dir);
    n = (size_t)snprintf(l->base.ref, sizeof(l->base.ref), "oci:%s%s%s", l->dir, *l->tag ? ":" : "", l->tag);
    if (n >= sizeof(l->base.ref))
        return vh_error_set(err, VH_EINVALID, "image layout %s: its full path is too long", dir);
    return 0;
}

static int layout_open(const vh__source_context *context, const char *rest, vh__source **out, vh_error *err)
{
    const char *tag;
    size_t n;
    layout *l;
    int rc = vh__oci_split(rest, &n, &tag, err);

    (void)context; /* nothing of it concerns files */
    if (rc)
        return rc;
    l = calloc(1, sizeof(*l));
    if (!l)
        return vh_error_set(err, -ENOMEM, "image reference");
    l->base.ops = &vh__source_oci;
    if (tag)
        strcpy(l->tag, tag); /* is_tag() has measured it */
    rc = set_dir(l, rest, n, err);
    if (rc) {
        layout_close(&l->base);
        return rc;
    }
    *out = &l->base;
    return 0;
}

static int layout_resolve(vh__source *s, size_t max, const vh__wait *w, vh__oci_descriptor *out, vh_error *err)
{
    layout *l = (layout *)s;
    vh_auto_free char *path = vh__path_join(l->dir, "index.json");
    vh_auto_buf vh__buf text = { 0 };
    int rc = path ? vh__wait_check(w, s->ref, err) : vh_error_set(err, -ENOMEM, "%s", s->ref);

    if (rc)
        return rc;
    rc = vh__file_read(path, max, &text, err);
    if (rc == -ENOENT)
        return vh_error_set(err, VH_ENOTFOUND, "%s is not an image layout: it has no index.json", l->dir);
    if (rc == -ENOTDIR)
        return vh_error_set(err, VH_ENOTFOUND,
                            "%s is a file: oci: takes the directory of a layout, docker-archive: what `docker save` writes",
                            l->dir);
    if (rc == 0)
        rc = vh__oci_index_pick(text.data, text.len, *l->tag ? l->tag : NULL, out, err);
    return rc ? vh_error_wrap(err, rc, "%s", s->ref) : 0;
}

/* The digest is valid, so its hex digits are a safe name. A special file would block or never end: refused. */
static int layout_open_blob(vh__source *s, const vh__oci_descriptor *d, const vh__wait *w, int *fd, vh_error *err)
{
    layout *l = (layout *)s;
    vh_auto_free char *path = vh__strf("%s/blobs/sha256/%s", l->dir, d->digest + 7);
    vh_auto_fd int f = -1;
    struct stat st;

    (void)w; /* a local file does not block */
    if (!path)
        return vh_error_set(err, -ENOMEM, "%s", s->ref);
    f = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (f < 0 && errno == ENOENT)
        return vh_error_set(err, VH_ECORRUPT, "blob %s is missing in %s: fetch the image again", d->digest, l->dir);
    if (f < 0 || fstat(f, &st))
        return vh_error_set(err, -errno, "open %s", path);
    if (!S_ISREG(st.st_mode))
        return vh_error_set(err, VH_ECORRUPT, "blob %s in %s is not a file: fetch the image again", d->digest,
                            l->dir);
    *fd = vh_steal_fd(&f);
    return 0;
}

const vh__source_ops vh__source_oci = {
    .scheme = "oci:",
    .open = layout_open,
    .resolve = layout_resolve,
    .open_blob = layout_open_blob,
    .close = layout_close,
};
