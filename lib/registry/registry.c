#include "registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "log.h"
#include "registry_priv.h"

static int fill(vh__registry *r, const vh__registry_options *o, const vh__registry_ref *ref, vh_error *err)
{
    int rc;

    r->ca_file = strdup(o->ca_file ? o->ca_file : "");
    r->insecure = strdup(o->insecure ? o->insecure : "");
    if (!r->ca_file || !r->insecure)
        return vh_error_set(err, -ENOMEM, "registry");
    rc = vh__endpoints_make(o, ref->host, r->endpoints, &r->n, err);
    return rc ? rc : vh__credentials_read(o->auth_file, &r->credentials, err);
}

int vh__registry_new(const vh_env *env, const vh__registry_options *o, const vh__registry_ref *ref,
                     vh__registry **out, vh_error *err)
{
    vh__registry *r = calloc(1, sizeof(*r));
    int rc;

    if (!r)
        return vh_error_set(err, -ENOMEM, "registry");
    r->env = env;
    r->ref = *ref;
    pthread_mutex_init(&r->lock, NULL);
    rc = fill(r, o, ref, err);
    if (rc) {
        vh__registry_free(r);
        return rc;
    }
    *out = r;
    return 0;
}

void vh__registry_free(vh__registry *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++)
        vh__secret_free(r->endpoints[i].authorization);
    cJSON_Delete(r->credentials);
    pthread_mutex_destroy(&r->lock);
    free(r->ca_file);
    free(r->insecure);
    free(r);
}

bool vh__registry_unreachable(int rc)
{
    switch (rc) {
    case -ECONNREFUSED:
    case -ECONNRESET:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
    case -EHOSTDOWN:
    case -ETIMEDOUT:
    case -EPIPE:
    case VH_ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

bool vh__registry_go_on(int rc, const vh__wait *w)
{
    return rc != VH_ECANCELED && rc != -ENOMEM && rc != -ENOSPC && rc != -EDQUOT && vh__wait_left_ms(w) > 0;
}

vh__endpoint *vh__registry_next(vh__registry *r, size_t *i)
{
    vh__endpoint *found = NULL;

    pthread_mutex_lock(&r->lock);
    while (!found && *i < r->n) {
        vh__endpoint *e = &r->endpoints[(*i)++];

        found = e->down ? NULL : e;
    }
    pthread_mutex_unlock(&r->lock);
    return found;
}

int vh__registry_failed(vh__registry *r, vh__endpoint *e, int rc, vh_error *err)
{
    if (e->mirror && rc != VH_ECANCELED)
        vh__log(r->env, VH_LOG_WARN, "image", NULL, "mirror %s: %s", e->host, err && err->msg[0] ? err->msg : "failed");
    pthread_mutex_lock(&r->lock);
    e->down = e->down || (e->mirror && vh__registry_unreachable(rc));
    pthread_mutex_unlock(&r->lock);
    return vh_error_wrap(err, rc, "%s %s", e->mirror ? "mirror" : "registry", e->host);
}
