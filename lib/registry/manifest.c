#include "registry_priv.h"

#include <errno.h>
#include <string.h>

#include "auto.h"
#include "path.h"

/* Schema 1 is asked for too, so that its refusal can be put in words. */
#define ACCEPT                                                                                                         \
    "Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "                    \
    "application/vnd.docker.distribution.manifest.list.v2+json, "                                                      \
    "application/vnd.docker.distribution.manifest.v2+json, "                                                           \
    "application/vnd.docker.distribution.manifest.v1+prettyjws;q=0.1"

/* The media type without its parameters. */
static void take_type(const vh__http_response *response, char type[VH_REGISTRY_TYPE])
{
    (void)vh__http_header(response, "content-type", type, VH_REGISTRY_TYPE); /* "" when there is none */
    type[strcspn(type, "; \t")] = '\0';
}

/* What is asked for, and where it goes. */
typedef struct document {
    const char *which;
    vh__registry_get get;
    vh__buf *text;
    char *type; /* VH_REGISTRY_TYPE bytes */
} document;

/* A tag is whatever the registry says today; a digest is binding. */
static int check(const document *d, vh_error *err)
{
    char found[VH_DIGEST_TEXT];
    int rc = vh__buf_check(d->text, "manifest", err);

    if (rc || !vh__digest_valid(d->which))
        return rc;
    rc = vh__digest_bytes(d->text->data, d->text->len, found, err);
    if (rc || strcmp(found, d->which) == 0)
        return rc;
    return vh_error_set(err, VH_ECORRUPT, "the manifest is damaged: expected %s, found %s", d->which, found);
}

static int ask_once(vh__registry *r, vh__endpoint *e, const document *d, vh__patience *p, const vh__wait *w,
                    vh_error *err)
{
    vh__http_response response = { 0 };
    int rc = vh__registry_ask(r, e, &d->get, w, &response, err);

    vh__patience_hear(p, &response);
    if (rc == 0 && response.status != 200)
        rc = vh__registry_status(&response, e->host, err);
    if (rc == 0) {
        take_type(&response, d->type);
        vh__buf_clear(d->text);
        vh__buf_append(d->text, response.body.data ? response.body.data : "", response.body.len);
        rc = check(d, err);
    }
    vh__http_response_fini(&response);
    return rc;
}

static int from_endpoint(vh__registry *r, vh__endpoint *e, const document *d, const vh__wait *w, vh_error *err)
{
    vh__patience p = { .r = r, .e = e };

    for (;;) {
        int rc = ask_once(r, e, d, &p, w, err);

        if (rc == 0 || e->mirror) /* there is another to ask: nothing is waited for */
            return rc;
        rc = vh__patience_wait(&p, rc, w, err);
        if (rc)
            return rc;
    }
}

int vh__registry_manifest(vh__registry *r, const char *which, size_t max, const vh__wait *w, vh__buf *text,
                          char media_type[VH_REGISTRY_TYPE], vh_error *err)
{
    vh_auto_free char *path = vh__strf("manifests/%s", which);
    document d = { .which = which, .get = { .path = path, .header = ACCEPT, .max_body = max }, .text = text,
                   .type = media_type };
    int rc = path ? VH_ENOTFOUND : vh_error_set(err, -ENOMEM, "registry");
    vh__endpoint *e;
    size_t i = 0;

    while (path && (e = vh__registry_next(r, &i))) {
        rc = from_endpoint(r, e, &d, w, err);
        if (rc == 0)
            return 0;
        rc = vh__registry_failed(r, e, rc, err);
        if (!vh__registry_go_on(rc, w))
            return rc;
    }
    return rc;
}
