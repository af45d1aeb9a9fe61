/* "docker://[HOST[:PORT]/]NAME[:TAG|@DIGEST]": an image of a registry. */
#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"

typedef struct remote {
    vh__source base; /* first: it is cast to */
    vh__registry *registry;
    vh__registry_ref ref;
    vh__buf text; /* the document that the reference led to */
    char text_digest[VH_DIGEST_TEXT];
} remote;

static void remote_close(vh__source *s)
{
    remote *r = (remote *)s;

    vh__registry_free(r->registry);
    vh__buf_fini(&r->text);
    free(r);
}

static int set_up(remote *r, const vh__source_context *context, const char *rest, vh_error *err)
{
    char text[VH_IMAGE_REF];
    int rc = vh__registry_ref_parse(rest, &r->ref, err);

    if (rc)
        return rc;
    r->base.ops = &vh__source_registry;
    vh__registry_ref_print(&r->ref, text, sizeof(text));
    (void)snprintf(r->base.ref, sizeof(r->base.ref), "docker://%.900s", text); /* a reference's parts sum up to less */
    strcpy(r->base.digest, r->ref.digest);
    return vh__registry_new(context->env, &context->registry, &r->ref, &r->registry, err);
}

static int remote_open(const vh__source_context *context, const char *rest, vh__source **out, vh_error *err)
{
    remote *r = calloc(1, sizeof(*r));
    int rc;

    if (!r)
        return vh_error_set(err, -ENOMEM, "image reference");
    rc = set_up(r, context, rest, err);
    if (rc) {
        remote_close(&r->base);
        return rc;
    }
    *out = &r->base;
    return 0;
}

static int remote_resolve(vh__source *s, size_t max, const vh__wait *w, vh__oci_descriptor *out, vh_error *err)
{
    remote *r = (remote *)s;
    const char *which = r->ref.digest[0] ? r->ref.digest : r->ref.tag;
    char type[VH_REGISTRY_TYPE];
    vh__oci_descriptor d = { 0 };
    int rc = vh__registry_manifest(r->registry, which, max, w, &r->text, type, err);

    if (rc)
        return rc;
    d.size = r->text.len;
    rc = vh__digest_bytes(r->text.data ? r->text.data : "", r->text.len, d.digest, err);
    if (rc == 0)
        rc = vh__oci_document_kind(r->text.data ? r->text.data : "", r->text.len, type, &d.kind, err);
    if (rc)
        return rc;
    strcpy(r->text_digest, d.digest);
    *out = d;
    return 0;
}

/* An index or manifest is not a blob to a registry. */
static int open_document(remote *r, const vh__oci_descriptor *d, const vh__wait *w, int *fd, vh_error *err)
{
    vh_auto_buf vh__buf text = { 0 };
    char type[VH_REGISTRY_TYPE];
    int rc;

    if (strcmp(r->text_digest, d->digest) == 0)
        return vh__source_memory(r->text.data, r->text.len, fd, err);
    rc = vh__registry_manifest(r->registry, d->digest, d->size, w, &text, type, err);
    return rc ? rc : vh__source_memory(text.data, text.len, fd, err);
}

/* Documents only, whose size the caller has bounded: layers go through fetch(). */
static int remote_open_blob(vh__source *s, const vh__oci_descriptor *d, const vh__wait *w, int *fd, vh_error *err)
{
    remote *r = (remote *)s;
    vh_auto_fd int f = -1;
    int rc;

    if (d->kind == VH_OCI_INDEX || d->kind == VH_OCI_MANIFEST)
        return open_document(r, d, w, fd, err);
    rc = vh__source_memory("", 0, &f, err);
    if (rc == 0)
        rc = vh__registry_blob_get(r->registry, &(vh__registry_blob){ .digest = d->digest, .size = d->size, .fd = f },
                                   w, err);
    if (rc)
        return rc;
    *fd = vh_steal_fd(&f);
    return 0;
}

static int remote_fetch(vh__source *s, const vh__registry_blob *b, const vh__wait *w, vh_error *err)
{
    return vh__registry_blob_get(((remote *)s)->registry, b, w, err);
}

const vh__source_ops vh__source_registry = {
    .scheme = "docker://",
    .open = remote_open,
    .resolve = remote_resolve,
    .open_blob = remote_open_blob,
    .fetch = remote_fetch,
    .close = remote_close,
};
