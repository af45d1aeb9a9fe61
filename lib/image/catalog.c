/* Stored images by name: find, list, inspect, remove. */
#include "image_priv.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "auto.h"
#include "known.h"
#include "log.h"

/* A reference that is only looked up reads a file or two. */
enum { LOOKUP_MS = 10000, PREFIX_MIN = 6 };

/* How long a registry is asked whether a tag has moved, when the image it last led to is at hand. */
enum { ASK_MS = 20000 };

static int is_image(const struct dirent *e)
{
    return strspn(e->d_name, "0123456789abcdef") == 64 && e->d_name[64] == '\0';
}

/* Calls |fn| with the digest of each directory of an image, in order, until it returns non-zero. */
static int each(const vh_images *images, int (*fn)(const char *digest, void *arg), void *arg, vh_error *err)
{
    struct dirent **list = NULL;
    int n = scandir(images->dir, &list, is_image, alphasort), rc = 0;

    if (n < 0 && errno == ENOENT)
        return 0;
    if (n < 0)
        return vh_error_set(err, -errno, "list images in %s", images->dir);
    for (int i = 0; i < n; i++) {
        char digest[VH_DIGEST_TEXT + 256];

        (void)snprintf(digest, sizeof(digest), "sha256:%s", list[i]->d_name);
        if (rc == 0)
            rc = fn(digest, arg);
        free(list[i]);
    }
    free(list);
    return rc;
}

typedef struct search {
    const vh_images *images;
    const char *text; /* prefix of hex digits, or a reference */
    size_t found;
    int64_t newest;
    char digest[VH_DIGEST_TEXT];
} search;

static int match_prefix(const char *digest, void *arg)
{
    search *s = arg;

    if (strncmp(vh__image_hex(digest), s->text, strlen(s->text)) == 0) {
        s->found++;
        strcpy(s->digest, digest);
    }
    return 0;
}

/* Several may have been made from one reference over time: the newest counts. */
static int match_reference(const char *digest, void *arg)
{
    search *s = arg;
    vh_image_info info;

    if (vh__image_info_read(s->images, digest, &info, NULL) == 0 && strcmp(info.ref, s->text) == 0 &&
        info.converted_s >= s->newest) {
        s->found++;
        s->newest = info.converted_s;
        strcpy(s->digest, digest);
    }
    return 0;
}

static bool is_hex(const char *s)
{
    size_t n = strspn(s, "0123456789abcdef");

    return s[n] == '\0' && n >= PREFIX_MIN && n <= 64;
}

static int find_prefix(const vh_images *images, const char *prefix, char *digest, vh_error *err)
{
    search s = { .images = images, .text = prefix };
    int rc = each(images, match_prefix, &s, err);

    if (rc)
        return rc;
    if (s.found == 0)
        return vh_error_set(err, VH_ENOTFOUND, "no stored image has the digest %s; `vhive-ctl image ls` lists them", prefix);
    if (s.found > 1)
        return vh_error_set(err, VH_EINVALID, "%zu stored images have digests that begin with %s: write more digits",
                            s.found, prefix);
    strcpy(digest, s.digest);
    return 0;
}

/* The stored image that the remote reference of |s| must mean, or last led to. |*sure|: it needs no asking. */
static int find_known(const vh_images *images, const vh__source *s, char *digest, bool *sure, vh_error *err)
{
    vh_image_info info;

    *sure = s->digest[0] != '\0'; /* content never changes under its digest */
    if (*sure && vh__image_info_read(images, s->digest, &info, NULL) == 0) {
        strcpy(digest, s->digest);
        return 0;
    }
    return vh__known_get(images, s->ref, digest, err);
}

/* A damaged image is made anew by whoever opens its reference, which takes the registry. */
static bool is_whole(const vh_images *images, const char *digest)
{
    vh_image image = { .lock = -1 };
    int rc = vh__image_load(images, digest, &image, NULL);

    if (rc == 0)
        vh__image_unload(&image);
    return rc == 0;
}

/* 1: the stored image |digest| will do; 0: |*manifest| is to be opened; or an error. */
static int ask_registry(const vh_images *images, vh__source *s, const vh__wait *w, char *digest,
                        vh__oci_descriptor *manifest, vh_error *err)
{
    bool sure = false, known = find_known(images, s, digest, &sure, NULL) == 0 && is_whole(images, digest);
    vh__wait little = vh__wait_within(w, ASK_MS);
    vh_error why = { 0 };
    int rc;

    if (known && sure)
        return 1;
    rc = vh__source_manifest(s, images->max_config, known ? &little : w, manifest, &why);
    if (rc && known && vh__registry_unreachable(rc)) {
        vh__log(images->env, VH_LOG_WARN, "image", NULL, "%s: the stored image %s is used, for the registry cannot be "
                "asked: %s", s->ref, digest, why.msg);
        return 1;
    }
    if (rc && err)
        *err = why;
    return rc;
}

static int find_reference(const vh_images *images, const char *name, const vh__wait *w, char *digest,
                          vh__source **source, vh__oci_descriptor *manifest, vh_error *err)
{
    vh_auto_source vh__source *s = NULL;
    int rc = vh__source_open(&images->context, name, &s, err);

    if (rc == 0)
        rc = s->ops->fetch ? ask_registry(images, s, w, digest, manifest, err)
                           : vh__source_manifest(s, images->max_config, w, manifest, err);
    if (rc < 0)
        return rc;
    if (rc > 0)
        return 0;
    strcpy(digest, manifest->digest);
    *source = vh_steal_ptr(s);
    return 0;
}

/* Digest of the stored image that |name| begins, if it is a digest or the beginning of one. False: it is none. */
static bool find_digest(const vh_images *images, const char *name, char *digest, int *rc, vh_error *err)
{
    const char *hex = strncmp(name, "sha256:", 7) == 0 ? name + 7 : name;

    if (!is_hex(hex))
        return false;
    *rc = find_prefix(images, hex, digest, err);
    return true;
}

int vh__image_find(const vh_images *images, const char *name, const vh__wait *w, char *digest, vh__source **source,
                   vh__oci_descriptor *manifest, vh_error *err)
{
    int rc;

    *source = NULL;
    if (find_digest(images, name, digest, &rc, err))
        return rc;
    return find_reference(images, name, w, digest, source, manifest, err);
}

/* A local reference is followed; when its files have gone, it is looked for among those that images were made from. */
static int find_local(const vh_images *images, vh__source *s, char *digest, vh_error *err)
{
    vh__wait w = vh__wait_from(NULL, LOOKUP_MS);
    vh__oci_descriptor manifest;
    int rc = vh__source_manifest(s, images->max_config, &w, &manifest, err);

    if (rc == 0)
        strcpy(digest, manifest.digest);
    return rc;
}

/* As vh__image_find(), of stored images only; no registry is asked. */
static int find_stored(const vh_images *images, const char *name, char *digest, vh_error *err)
{
    search s = { .images = images, .text = name };
    vh_auto_source vh__source *source = NULL;
    bool sure;
    int rc, scanned;

    if (find_digest(images, name, digest, &rc, err))
        return rc;
    rc = vh__source_open(&images->context, name, &source, err);
    if (rc == 0 && source->ops->fetch)
        return find_known(images, source, digest, &sure, err);
    if (rc == 0)
        rc = find_local(images, source, digest, err);
    if (rc != VH_ENOTFOUND)
        return rc;
    scanned = each(images, match_reference, &s, err);
    if (scanned)
        return scanned;
    if (s.found == 0)
        return rc;
    strcpy(digest, s.digest);
    return 0;
}

typedef struct listing {
    const vh_images *images;
    vh_images_list_fn fn;
    void *arg;
} listing;

static int list_one(const char *digest, void *arg)
{
    listing *l = arg;
    vh_image_info info;
    vh_error err = { 0 };
    int rc = vh__image_info_read(l->images, digest, &info, &err);

    if (rc == 0)
        return l->fn(&info, l->arg);
    if (rc != VH_ENOTFOUND) /* that one was removed meanwhile */
        vh__log(l->images->env, VH_LOG_WARN, "image", NULL, "%s", err.msg);
    return 0;
}

int vh_images_list(vh_images *images, vh_images_list_fn fn, void *arg, vh_error *err)
{
    listing l = { .images = images, .fn = fn, .arg = arg };

    return each(images, list_one, &l, err);
}

int vh_images_inspect(vh_images *images, const char *name, vh_image_info *info, vh_error *err)
{
    char digest[VH_DIGEST_TEXT];
    int rc = find_stored(images, name, digest, err);

    return rc ? rc : vh__image_info_read(images, digest, info, err);
}

/* Whether there is anything of it to remove: a damaged image is, and must be removable. */
static int check_stored(const vh_images *images, const char *digest, vh_error *err)
{
    vh_image_info info;
    vh_error why = { 0 };
    int rc = vh__image_info_read(images, digest, &info, &why);

    if (rc == 0 || rc == VH_ECORRUPT)
        return 0;
    if (err)
        *err = why;
    return rc;
}

int vh_images_remove(vh_images *images, const char *name, vh_error *err)
{
    char digest[VH_DIGEST_TEXT];
    vh_auto_fd int lock = -1;
    int rc = find_stored(images, name, digest, err);

    if (rc)
        return rc;
    rc = vh__image_lock(images, digest, LOCK_EX, &lock, err);
    if (rc == -EWOULDBLOCK)
        return vh_error_set(err, VH_ESTATE, "image %s is in use: stop the VMs that run it first", digest);
    if (rc)
        return rc;
    rc = check_stored(images, digest, err);
    if (rc == 0)
        rc = vh__image_drop(images, digest, err);
    if (rc == 0)
        vh__known_forget(images, digest);
    vh__image_lock_forget(images, digest);
    return rc;
}
