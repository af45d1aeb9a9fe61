/*
 * "docker-archive:FILE[:REF]": what `docker save` and skopeo write, in a tar file that may be compressed.
 *
 * Such an archive has no manifest as registries have it, so one is made, the same for the same config and layers: its
 * digest is the image's name in the store. A layer that is a plain tar goes by its diff_id, which the config has; it
 * is verified when it is read, like all others. An archive that is just an OCI layout in a tar is read as that.
 */
#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive_manifest.h"
#include "auto.h"
#include "path.h"
#include "tarball.h"

typedef struct blob {
    char digest[VH_DIGEST_TEXT];
    vh__oci_kind kind;
    vh__member place;
} blob;

typedef struct saved {
    vh__source base; /* first: it is cast to */
    char *path;      /* absolute */
    char *tag;       /* NULL: none was given */
    char *spool;
    uint64_t max_bytes;
    vh__tarball *tar; /* NULL until it is resolved */
    vh__buf manifest; /* made from manifest.json; empty: it is an OCI layout */
    char manifest_digest[VH_DIGEST_TEXT];
    size_t n;
    blob blobs[VH_OCI_LAYERS_MAX + 1]; /* layers, and the config at the end */
} saved;

static void saved_close(vh__source *s)
{
    saved *a = (saved *)s;

    vh__tarball_close(a->tar);
    vh__buf_fini(&a->manifest);
    free(a->path);
    free(a->tag);
    free(a->spool);
    free(a);
}

static int no_memory(vh_error *err)
{
    return vh_error_set(err, -ENOMEM, "image reference");
}

static int set_up(saved *a, const vh__source_context *context, const char *rest, vh_error *err)
{
    size_t n = strcspn(rest, ":");
    vh_auto_free char *file = strndup(rest, n);

    if (!file)
        return no_memory(err);
    if (n == 0)
        return vh_error_set(err, VH_EINVALID, "image reference \"docker-archive:%.200s\" names no file: write it as "
                            "docker-archive:FILE[:NAME:TAG]", rest);
    a->base.ops = &vh__source_archive;
    a->max_bytes = context->max_bytes;
    a->path = realpath(file, NULL);
    if (!a->path)
        return vh_error_set(err, errno == ENOENT || errno == ENOTDIR ? VH_ENOTFOUND : -errno, "there is no file %s "
                            "(its name ends at the first \":\")", file);
    a->tag = rest[n] ? strdup(rest + n + 1) : NULL;
    a->spool = vh__path_join(vh_env_state_dir(context->env), "images");
    if ((rest[n] && !a->tag) || !a->spool)
        return no_memory(err);
    n = (size_t)snprintf(a->base.ref, sizeof(a->base.ref), "docker-archive:%s%s%s", a->path, a->tag ? ":" : "",
                         a->tag ? a->tag : "");
    if (n >= sizeof(a->base.ref))
        return vh_error_set(err, VH_EINVALID, "image reference: the full path of %.200s is too long", file);
    return 0;
}

static int saved_open(const vh__source_context *context, const char *rest, vh__source **out, vh_error *err)
{
    saved *a = calloc(1, sizeof(*a));
    int rc = a ? set_up(a, context, rest, err) : no_memory(err);

    if (rc) {
        if (a)
            saved_close(&a->base);
        return rc;
    }
    *out = &a->base;
    return 0;
}

static int find(const saved *a, const char *name, vh__member *out, vh_error *err)
{
    if (vh__tarball_find(a->tar, name, out))
        return 0;
    return vh_error_set(err, VH_ECORRUPT, "its member %.200s is missing: save the image again", name);
}

/* Nothing says how a layer is compressed but its first bytes. */
static int look_at_layer(const saved *a, blob *b, vh_error *err)
{
    vh__member head = { .at = b->place.at, .size = VH_MIN(b->place.size, 4) };
    vh_auto_buf vh__buf bytes = { 0 };
    int rc = vh__tarball_read(a->tar, &head, 4, &bytes, err);

    if (rc)
        return rc;
    b->kind = VH_OCI_TAR;
    if (bytes.len >= 2 && memcmp(bytes.data, "\x1f\x8b", 2) == 0)
        b->kind = VH_OCI_TAR_GZIP;
    else if (bytes.len == 4 && memcmp(bytes.data, "\x28\xb5\x2f\xfd", 4) == 0)
        b->kind = VH_OCI_TAR_ZSTD;
    return 0;
}

static int hash_member(const saved *a, const vh__member *m, const vh__wait *w, char digest[VH_DIGEST_TEXT],
                       vh_error *err)
{
    enum { STEP = 1 << 20 };
    vh__digest *d = NULL;
    int rc = vh__digest_new(&d, err);

    for (uint64_t at = 0; rc == 0 && at < m->size; at += STEP) {
        vh__member piece = { .at = m->at + at, .size = VH_MIN(m->size - at, STEP) };
        vh_auto_buf vh__buf bytes = { 0 };

        rc = vh__wait_check(w, "read the archive", err);
        if (rc == 0)
            rc = vh__tarball_read(a->tar, &piece, STEP, &bytes, err);
        if (rc == 0)
            rc = vh__digest_update(d, bytes.data, bytes.len, err);
    }
    if (rc == 0)
        rc = vh__digest_final(d, digest, err);
    vh__digest_free(d);
    return rc;
}

static int take_layer(saved *a, const char *name, const char *diff_id, const vh__wait *w, vh_error *err)
{
    blob *b = &a->blobs[a->n];
    int rc = find(a, name, &b->place, err);

    if (rc == 0)
        rc = look_at_layer(a, b, err);
    if (rc)
        return rc;
    if (b->kind == VH_OCI_TAR)
        strcpy(b->digest, diff_id);
    else
        rc = hash_member(a, &b->place, w, b->digest, err);
    a->n += rc == 0;
    return rc;
}

static void print_blob(vh__buf *to, const char *type, const blob *b)
{
    vh__buf_printf(to, "{\"mediaType\":\"application/vnd.oci.image.%s\",\"digest\":\"%s\",\"size\":%llu}", type,
                   b->digest, (unsigned long long)b->place.size);
}

static const char *layer_type(vh__oci_kind kind)
{
    return kind == VH_OCI_TAR_GZIP   ? "layer.v1.tar+gzip"
           : kind == VH_OCI_TAR_ZSTD ? "layer.v1.tar+zstd"
                                     : "layer.v1.tar";
}

/* The manifest of layers 0 .. n - 1 and the config behind them; its bytes decide the image's digest. */
static int print_manifest(saved *a, vh__oci_descriptor *out, vh_error *err)
{
    vh__buf *m = &a->manifest;
    int rc;

    vh__buf_clear(m);
    vh__buf_puts(m, "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":");
    print_blob(m, "config.v1+json", &a->blobs[a->n]);
    vh__buf_puts(m, ",\"layers\":[");
    for (size_t i = 0; i < a->n; i++) {
        vh__buf_puts(m, i ? "," : "");
        print_blob(m, layer_type(a->blobs[i].kind), &a->blobs[i]);
    }
    vh__buf_puts(m, "]}");
    rc = vh__buf_check(m, "manifest", err);
    if (rc == 0)
        rc = vh__digest_bytes(m->data, m->len, a->manifest_digest, err);
    if (rc)
        return rc;
    *out = (vh__oci_descriptor){ .kind = VH_OCI_MANIFEST, .size = m->len };
    strcpy(out->digest, a->manifest_digest);
    return 0;
}

static int take_layers(saved *a, const vh__archive_image *image, const vh__oci_config *config, const vh__wait *w,
                       vh_error *err)
{
    int rc = 0;

    if (config->n != image->n)
        return vh_error_set(err, VH_EIMAGE, "its manifest.json has %zu layers, its config %zu: save the image again",
                            image->n, config->n);
    a->n = 0;
    for (size_t i = 0; rc == 0 && i < image->n; i++)
        rc = take_layer(a, image->layers[i], config->diff_ids[i], w, err);
    return rc;
}

static int make_manifest(saved *a, const vh__archive_image *image, size_t max, const vh__wait *w,
                         vh__oci_descriptor *out, vh_error *err)
{
    vh_auto_buf vh__buf text = { 0 };
    vh__oci_config config = { 0 };
    blob b = { .kind = VH_OCI_CONFIG };
    int rc = find(a, image->config, &b.place, err);

    if (rc == 0)
        rc = vh__tarball_read(a->tar, &b.place, max, &text, err);
    if (rc == 0)
        rc = vh__digest_bytes(text.data ? text.data : "", text.len, b.digest, err);
    if (rc == 0)
        rc = vh__oci_config_parse(text.data ? text.data : "", text.len, &config, err);
    if (rc == 0)
        rc = take_layers(a, image, &config, w, err);
    vh__oci_config_fini(&config);
    a->blobs[a->n] = b;
    return rc ? rc : print_manifest(a, out, err);
}

static int resolve_saved(saved *a, const vh__buf *text, size_t max, const vh__wait *w, vh__oci_descriptor *out,
                         vh_error *err)
{
    vh_auto_free vh__archive_image *image = calloc(1, sizeof(*image)); /* large for a stack */
    int rc = image ? vh__archive_image_pick(text->data ? text->data : "", text->len, a->tag, image, err)
                   : no_memory(err);

    if (rc)
        return rc;
    rc = make_manifest(a, image, max, w, out, err);
    vh__archive_image_fini(image);
    return rc;
}

static int resolve(saved *a, size_t max, const vh__wait *w, vh__oci_descriptor *out, vh_error *err)
{
    bool layout = false;
    vh_auto_buf vh__buf text = { 0 };
    vh__member m;
    int rc;

    if (!vh__tarball_find(a->tar, "manifest.json", &m)) {
        layout = vh__tarball_find(a->tar, "index.json", &m);
        if (!layout)
            return vh_error_set(err, VH_EIMAGE, "it has no manifest.json: make it by docker save or by skopeo copy");
    }
    rc = vh__tarball_read(a->tar, &m, max, &text, err);
    if (rc)
        return rc;
    return layout ? vh__oci_index_pick(text.data ? text.data : "", text.len, a->tag, out, err)
                  : resolve_saved(a, &text, max, w, out, err);
}

static int saved_resolve(vh__source *s, size_t max, const vh__wait *w, vh__oci_descriptor *out, vh_error *err)
{
    saved *a = (saved *)s;
    int rc = a->tar ? 0 : vh__tarball_open(a->path, a->spool, a->max_bytes, w, &a->tar, err);

    if (rc == 0)
        rc = resolve(a, max, w, out, err);
    return rc ? vh_error_wrap(err, rc, "%s", a->path) : 0;
}

/* Of what manifest.json named by its digest, else where a layout has it: the digest is valid, so it is a safe name. */
static int place_of(const saved *a, const vh__oci_descriptor *d, vh__member *out, vh_error *err)
{
    char name[VH_DIGEST_TEXT + 16];

    for (size_t i = 0; a->manifest.len && i <= a->n; i++)
        if (strcmp(a->blobs[i].digest, d->digest) == 0) {
            *out = a->blobs[i].place;
            return 0;
        }
    (void)snprintf(name, sizeof(name), "blobs/sha256/%s", d->digest + 7);
    return find(a, name, out, err);
}

static int saved_open_blob(vh__source *s, const vh__oci_descriptor *d, const vh__wait *w, int *fd, vh_error *err)
{
    saved *a = (saved *)s;
    vh_auto_buf vh__buf text = { 0 };
    vh__member m;
    int rc;

    (void)w; /* a local file does not block */
    if (a->manifest.len && strcmp(a->manifest_digest, d->digest) == 0)
        return vh__source_memory(a->manifest.data, a->manifest.len, fd, err);
    rc = place_of(a, d, &m, err);
    if (rc)
        return rc;
    if (d->kind != VH_OCI_INDEX && d->kind != VH_OCI_MANIFEST && d->kind != VH_OCI_CONFIG)
        return vh__tarball_seek(a->tar, &m, fd, err); /* a layer, of which no more than its size is read */
    rc = vh__tarball_read(a->tar, &m, (size_t)d->size, &text, err);
    return rc ? rc : vh__source_memory(text.data ? text.data : "", text.len, fd, err);
}

const vh__source_ops vh__source_archive = {
    .scheme = "docker-archive:",
    .open = saved_open,
    .resolve = saved_resolve,
    .open_blob = saved_open_blob,
    .close = saved_close,
};
