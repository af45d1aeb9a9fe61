#include "source.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "auto.h"
#include "fd.h"

static const vh__source_ops *const sources[] = { &vh__source_oci, &vh__source_registry,
                                              &vh__source_archive };

/* An index may lead to an index; nobody nests them deeper. */
enum { INDEX_DEPTH = 3 };

/* What is missing may have been meant otherwise: "build/hello" is a registry's image, not a directory. */
static int open_plain(const vh__source_context *context, const char *ref, vh__source **out, vh_error *err)
{
    vh__registry_ref unused;
    int rc = vh__registry_ref_parse(ref, &unused, err);

    return rc ? vh_error_wrap(err, rc, "no scheme (docker://, oci:) is written, so it is docker://")
              : vh__source_registry.open(context, ref, out, err);
}

int vh__source_open(const vh__source_context *context, const char *ref, vh__source **out, vh_error *err)
{
    if (strlen(ref) >= VH_IMAGE_REF)
        return vh_error_set(err, VH_EINVALID, "image reference \"%.60s...\" is longer than %d bytes", ref,
                            VH_IMAGE_REF - 1);
    for (size_t i = 0; i < VH_ARRAY_LEN(sources); i++) {
        size_t n = strlen(sources[i]->scheme);

        if (strncmp(ref, sources[i]->scheme, n) == 0)
            return sources[i]->open(context, ref + n, out, err);
    }
    return open_plain(context, ref, out, err);
}

int vh__source_memory(const void *bytes, size_t n, int *fd, vh_error *err)
{
    vh_auto_fd int f = memfd_create("vhive-blob", MFD_CLOEXEC);
    int rc;

    if (f < 0)
        return vh_error_set(err, -errno, "memory for a document");
    rc = vh__fd_pwrite_full(f, bytes, n, 0, "a document in memory", err);
    if (rc == 0)
        *fd = vh_steal_fd(&f);
    return rc;
}

void vh__source_close(vh__source *s)
{
    if (s)
        s->ops->close(s);
}

void vh__source_auto_close(vh__source **s)
{
    vh__source_close(*s);
}

static int read_all(int fd, const vh__oci_descriptor *d, const vh__wait *w, vh__buf *out, vh_error *err)
{
    enum { STEP = 1 << 16 };

    for (;;) {
        void *to = vh__buf_reserve(out, STEP);
        ssize_t got;
        int rc = to ? vh__wait_check(w, d->digest, err) : vh__buf_check(out, d->digest, err);

        if (rc)
            return rc;
        got = read(fd, to, STEP);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return vh_error_set(err, -errno, "read blob %s", d->digest);
        if (got == 0)
            return 0;
        out->len += (size_t)got;
        if (out->len > d->size)
            return vh_error_set(err, VH_ECORRUPT, "blob %s: longer than the %llu bytes it should have: fetch the "
                                "image again", d->digest, (unsigned long long)d->size);
    }
}

int vh__source_read(vh__source *s, const vh__oci_descriptor *d, size_t max, const vh__wait *w, vh__buf *out,
                    vh_error *err)
{
    char found[VH_DIGEST_TEXT];
    vh_auto_fd int fd = -1;
    int rc;

    if (d->size > max)
        return vh_error_set(err, VH_ELIMIT, "blob %s: a document of %llu bytes, at most %zu are read", d->digest,
                            (unsigned long long)d->size, max);
    rc = s->ops->open_blob(s, d, w, &fd, err);
    if (rc == 0)
        rc = read_all(fd, d, w, out, err);
    if (rc == 0)
        rc = vh__digest_bytes(out->data ? out->data : "", out->len, found, err);
    if (rc || (strcmp(found, d->digest) == 0 && out->len == d->size))
        return rc;
    return vh_error_set(err, VH_ECORRUPT, "blob is damaged: expected %s with %llu bytes, found %s with %zu: fetch "
                        "the image again", d->digest, (unsigned long long)d->size, found, out->len);
}

int vh__source_manifest(vh__source *s, size_t max, const vh__wait *w, vh__oci_descriptor *out, vh_error *err)
{
    vh__oci_descriptor d;
    int rc = s->ops->resolve(s, max, w, &d, err);

    for (int depth = 0; rc == 0 && d.kind == VH_OCI_INDEX; depth++) {
        vh_auto_buf vh__buf text = { 0 };

        if (depth == INDEX_DEPTH)
            return vh_error_set(err, VH_EIMAGE, "index %s: indexes nested too deep", d.digest);
        rc = vh__source_read(s, &d, max, w, &text, err);
        if (rc == 0)
            rc = vh__oci_index_pick(text.data, text.len, "", &d, err);
    }
    if (rc)
        return rc;
    *out = d;
    return 0;
}
