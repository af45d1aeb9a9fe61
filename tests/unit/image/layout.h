/* Builds OCI image layouts for tests: tar layers by libarchive's writer, blobs, manifest, index. */
#ifndef VH_TESTS_IMAGE_LAYOUT_H
#define VH_TESTS_IMAGE_LAYOUT_H

#include "testenv.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "buf.h"
#include "digest.h"
#include "fd.h"
#include "path.h"

#define UNUSED __attribute__((unused))
#define LAYERS_MAX 8

/** A layer in the making; zero-initialise, tar_end() before it is used. */
typedef struct tar {
    struct archive *a;
    vh__buf bytes;
} tar;

static la_ssize_t tar_write(struct archive *a, void *arg, const void *bytes, size_t n)
{
    (void)a;
    vh__buf_append(arg, bytes, n);
    return (la_ssize_t)n;
}

UNUSED static void tar_begin_as(tar *t, int format)
{
    *t = (tar){ .a = archive_write_new() };
    assert_non_null(t->a);
    assert_int_equal(archive_write_set_format(t->a, format), ARCHIVE_OK);
    assert_int_equal(archive_write_set_bytes_in_last_block(t->a, 1), ARCHIVE_OK);
    assert_int_equal(archive_write_open(t->a, &t->bytes, NULL, tar_write, NULL), ARCHIVE_OK);
}

UNUSED static void tar_begin(tar *t)
{
    tar_begin_as(t, ARCHIVE_FORMAT_TAR_PAX_RESTRICTED);
}

UNUSED static void tar_end(tar *t)
{
    assert_int_equal(archive_write_free(t->a), ARCHIVE_OK);
    t->a = NULL;
}

/** An entry to be completed by the caller, then tar_put(). */
UNUSED static struct archive_entry *tar_entry(const char *name, mode_t mode)
{
    struct archive_entry *e = archive_entry_new();

    assert_non_null(e);
    archive_entry_copy_pathname(e, name);
    archive_entry_set_mode(e, mode);
    archive_entry_set_mtime(e, 1234567890, 0);
    archive_entry_set_size(e, 0);
    return e;
}

/** Writes the entry and |n| bytes of data, and frees it. */
UNUSED static void tar_put(tar *t, struct archive_entry *e, const void *data, size_t n)
{
    if (n > 0)
        archive_entry_set_size(e, (la_int64_t)n);
    assert_true(archive_write_header(t->a, e) >= ARCHIVE_WARN); /* it warns of names that are not UTF-8 */
    if (n > 0)
        assert_int_equal(archive_write_data(t->a, data, n), n);
    archive_entry_free(e);
}

UNUSED static void tar_file(tar *t, const char *name, mode_t mode, const char *text)
{
    tar_put(t, tar_entry(name, S_IFREG | mode), text, strlen(text));
}

UNUSED static void tar_dir(tar *t, const char *name, mode_t mode)
{
    tar_put(t, tar_entry(name, S_IFDIR | mode), NULL, 0);
}

UNUSED static void tar_symlink(tar *t, const char *name, const char *target)
{
    struct archive_entry *e = tar_entry(name, S_IFLNK | 0777);

    archive_entry_copy_symlink(e, target);
    tar_put(t, e, NULL, 0);
}

UNUSED static void tar_link(tar *t, const char *name, const char *target)
{
    struct archive_entry *e = tar_entry(name, S_IFREG | 0644);

    archive_entry_copy_hardlink(e, target);
    tar_put(t, e, NULL, 0);
}

/** An image in the making; zero-initialise what is not set. */
typedef struct layout {
    const char *dir;
    const char *tag;      /* NULL: none */
    const char *config;   /* the config's "config" member as JSON; NULL: a command */
    const char *platform; /* "architecture" of the config; NULL: amd64 */
    const char *compress; /* NULL, "gzip" or "zstd" */
    bool lie;             /* the config names other diff_ids */
    tar layers[LAYERS_MAX];
    size_t n;
    size_t tar_bytes; /* of all layers, when written */
    char manifest[VH_DIGEST_TEXT];
    char blobs[LAYERS_MAX][VH_DIGEST_TEXT]; /* of the layers, lowest first */
    char diff_ids[LAYERS_MAX][VH_DIGEST_TEXT];
} layout;

/** Starts the next layer, above the others. */
UNUSED static tar *layout_layer(layout *l)
{
    assert_true(l->n < LAYERS_MAX);
    tar_begin(&l->layers[l->n]);
    return &l->layers[l->n++];
}

UNUSED static void put_file(const char *dir, const char *name, const void *bytes, size_t n)
{
    char *path = vh__path_join(dir, name);
    vh_error err = { 0 };

    assert_non_null(path);
    assert_ok(vh__file_write_atomic(path, bytes, n, 0644, &err), err);
    free(path);
}

UNUSED static void blob_path(char *to, size_t n, const char *dir, const char *digest)
{
    snprintf(to, n, "%s/blobs/sha256/%.64s", dir, digest + 7);
}

/** Writes a blob and tells its digest. */
UNUSED static void put_blob(const char *dir, const void *bytes, size_t n, char digest[VH_DIGEST_TEXT])
{
    char name[128];
    vh_error err = { 0 };

    assert_ok(vh__digest_bytes(bytes, n, digest, &err), err);
    snprintf(name, sizeof(name), "blobs/sha256/%s", digest + 7);
    put_file(dir, name, bytes, n);
}

/** |in| compressed by |filter| ("gzip", "zstd"; NULL: as it is). */
UNUSED static void compress_bytes(const vh__buf *in, const char *filter, vh__buf *out)
{
    struct archive *a;
    struct archive_entry *e;

    if (!filter) {
        vh__buf_append(out, in->data, in->len);
        return;
    }
    a = archive_write_new();
    e = tar_entry("data", S_IFREG | 0644);
    assert_int_equal(archive_write_set_format_raw(a), ARCHIVE_OK);
    assert_int_equal(archive_write_add_filter_by_name(a, filter), ARCHIVE_OK);
    assert_int_equal(archive_write_set_bytes_in_last_block(a, 1), ARCHIVE_OK);
    assert_int_equal(archive_write_open(a, out, NULL, tar_write, NULL), ARCHIVE_OK);
    assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
    assert_int_equal(archive_write_data(a, in->data, in->len), in->len);
    assert_int_equal(archive_write_free(a), ARCHIVE_OK);
    archive_entry_free(e);
}

static void put_layer(layout *l, size_t i, vh__buf *descriptors, vh__buf *ids)
{
    vh__buf packed = { 0 };
    vh_error err = { 0 };

    assert_ok(vh__digest_bytes(l->layers[i].bytes.data, l->layers[i].bytes.len, l->diff_ids[i], &err), err);
    if (l->lie)
        memset(l->diff_ids[i] + 7, '0', 64);
    compress_bytes(&l->layers[i].bytes, l->compress, &packed);
    l->tar_bytes += l->layers[i].bytes.len;
    put_blob(l->dir, packed.data, packed.len, l->blobs[i]);
    vh__buf_printf(descriptors, "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar%s%s\",\"digest\":\"%s\","
                   "\"size\":%zu}", i ? "," : "", l->compress ? "+" : "", l->compress ? l->compress : "", l->blobs[i],
                   packed.len);
    vh__buf_printf(ids, "%s\"%s\"", i ? "," : "", l->diff_ids[i]);
    vh__buf_fini(&packed);
}

/** Writes index.json for the manifest of |size| bytes. */
UNUSED static void put_index(const layout *l, size_t size)
{
    vh__buf b = { 0 };

    vh__buf_printf(&b, "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"
                   "\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\",\"size\":%zu", l->manifest, size);
    if (l->tag)
        vh__buf_printf(&b, ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"%s\"}", l->tag);
    vh__buf_puts(&b, "}]}");
    put_file(l->dir, "index.json", b.data, b.len);
    vh__buf_fini(&b);
}

/** Ends the layers, writes the layout to |l->dir| and frees them. */
UNUSED static void layout_write(layout *l)
{
    vh__buf layers = { 0 }, ids = { 0 }, config = { 0 }, manifest = { 0 };
    char digest[VH_DIGEST_TEXT], path[256];
    vh_error err = { 0 };

    snprintf(path, sizeof(path), "%s/blobs/sha256", l->dir);
    assert_ok(vh__path_mkdirs(path, 0755, &err), err);
    for (size_t i = 0; i < l->n; i++) {
        if (l->layers[i].a)
            tar_end(&l->layers[i]);
        put_layer(l, i, &layers, &ids);
        vh__buf_fini(&l->layers[i].bytes);
    }
    vh__buf_printf(&config, "{\"architecture\":\"%s\",\"os\":\"linux\",\"created\":\"2024-02-03T04:05:06.7Z\","
                   "\"config\":%s,\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]}}",
                   l->platform ? l->platform : "amd64", l->config ? l->config : "{\"Cmd\":[\"/bin/true\"]}",
                   ids.len ? ids.data : "");
    put_blob(l->dir, config.data, config.len, digest);
    vh__buf_printf(&manifest, "{\"schemaVersion\":2,\"config\":{\"mediaType\":"
                   "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[%s]}",
                   digest, config.len, layers.len ? layers.data : "");
    put_blob(l->dir, manifest.data, manifest.len, l->manifest);
    put_index(l, manifest.len);
    vh__buf_fini(&layers);
    vh__buf_fini(&ids);
    vh__buf_fini(&config);
    vh__buf_fini(&manifest);
}

#endif
