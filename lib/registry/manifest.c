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

static int ask_once(vh__registry *r, vh__endpoint *e, const vh__registry_get *g, vh__patience *p, const vh__wait *w,
                    vh__buf *text, char type[VH_REGISTRY_TYPE], vh_error *err)
{
    vh__http_response response = { 0 };
    int rc = vh__registry_ask(r, e, g, w, &response, err);

    vh__patience_hear(p, &response);
    if (rc == 0 && response.status != 200)
        rc = vh__registry_status(&response, e->host, err);
    if (rc == 0) {
        take_type(&response, type);
        vh__buf_clear(text);
        vh__buf_append(text, response.body.data ? response.body.data : "", response.body.len);
        rc = vh__buf_check(text, "manifest", err);
    }
    vh__http_response_fini(&response);
    return rc;
}

static int ask_patiently(vh__registry *r, vh__endpoint *e, const vh__registry_get *g, const vh__wait *w,
                         vh__buf *text, char type[VH_REGISTRY_TYPE], vh_error *err)
{
    vh__patience p = { 0 };

    for (;;) {
        int rc = ask_once(r, e, g, &p, w, text, type, err);

        if (rc)
            rc = vh__patience_wait(&p, rc, false, w, err);
        else
            return 0;
        if (rc)
            return rc;
    }
}

int vh__registry_manifest(vh__registry *r, const char *which, size_t max, const vh__wait *w, vh__buf *text,
                          char media_type[VH_REGISTRY_TYPE], vh_error *err)
{
    vh_auto_free char *path = vh__strf("manifests/%s", which);
    vh__registry_get g = { .path = path, .header = ACCEPT, .max_body = max };
    int rc = path ? VH_ENOTFOUND : vh_error_set(err, -ENOMEM, "registry");

    for (size_t i = 0; path && i < r->n; i++) {
        rc = ask_patiently(r, &r->endpoints[i], &g, w, text, media_type, err);
        if (rc == 0)
            return 0;
        rc = vh__registry_failed(r, &r->endpoints[i], rc, err);
        if (!vh__registry_go_on(rc, w))
            return rc;
    }
    return rc;
}
