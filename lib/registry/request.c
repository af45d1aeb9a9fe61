/* One request: plain or TLS, login, redirects; and the patience to ask again. */
#include "registry_priv.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "auto.h"
#include "json.h"
#include "log.h"
#include "path.h"

enum {
    REDIRECTS_MAX = 5,
    TRIES_MAX = 6,
    BACKOFF_MS = 250, /* the first; each is twice as long as the one before */
    PROBE_MS = 5000,
    STALL_MS = 20000,
    MIRROR_STALL_MS = 8000, /* there is another to ask */
    TELL_MS = 2000,         /* of longer waits is told */
    ERROR_BODY_MAX = 1 << 16,
};

static const char *host_of(const vh__endpoint *e)
{
    return strcmp(e->host, "docker.io") == 0 ? "registry-1.docker.io" : e->host;
}

/* A certificate that is not trusted is a matter of settings. */
static int send(const vh__http_request *q, const vh__wait *w, vh__http_response *response, vh_error *err)
{
    vh_error why = { 0 };
    int rc = vh__http_do(q, w, response, &why);

    if (rc == VH_EREMOTE)
        return vh_error_set(err, rc, "%s: if it is to be trusted, name its authority (image.ca_file)", why.msg);
    if (rc && err)
        *err = why;
    return rc;
}

/*
 * Finds out whether a host that may answer in plain HTTP speaks TLS, with |r->lock| held. It does not if the attempt
 * gets an answer that is no TLS, is cut off, or gets none in a while; a certificate that is not trusted is no such
 * answer: falling back then would give away what TLS is for.
 */
static int probe(vh__registry *r, vh__endpoint *e, const vh__wait *w, vh_error *err)
{
    vh_auto_free char *url = vh__strf("https://%s/v2/", host_of(e));
    vh__http_request q = { .url = url, .sock = -1, .ca_file = r->ca_file, .stall_ms = PROBE_MS };
    vh__wait little = vh__wait_within(w, PROBE_MS);
    vh__http_response response = { 0 };
    vh_error why = { 0 };
    int rc = url ? send(&q, &little, &response, &why) : vh_error_set(&why, -ENOMEM, "registry");

    vh__http_response_fini(&response);
    if (rc && rc != VH_EPROTOCOL && rc != -ECONNRESET && rc != VH_ETIMEDOUT && rc != -ETIMEDOUT) {
        if (err)
            *err = why;
        return rc;
    }
    (void)snprintf(e->base, sizeof(e->base), "http%s://%s", rc ? "" : "s", host_of(e));
    if (rc)
        vh__log(r->env, VH_LOG_DEBUG, "image", NULL, "registry %s speaks no TLS (%s): plain HTTP", e->host, why.msg);
    return 0;
}

/* What to ask |e| with: where it is, and a copy of its authorization (NULL: none). */
static int prepare(vh__registry *r, vh__endpoint *e, const vh__wait *w, char **authorization, vh_error *err)
{
    int rc = 0;

    pthread_mutex_lock(&r->lock);
    if (!e->base[0] && e->may_plain)
        rc = probe(r, e, w, err);
    else if (!e->base[0])
        (void)snprintf(e->base, sizeof(e->base), "https://%s", host_of(e));
    *authorization = NULL;
    if (rc == 0 && e->authorization) {
        *authorization = strdup(e->authorization);
        rc = *authorization ? 0 : vh_error_set(err, -ENOMEM, "registry");
    }
    pthread_mutex_unlock(&r->lock);
    return rc;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static int next_url(const vh__http_response *response, const char *from, char **to, vh_error *err)
{
    vh_auto_buf vh__buf location = { 0 }; /* signed addresses are long */
    vh_auto_free char *url = NULL;
    int rc;

    vh__http_header_all(response, "location", &location);
    rc = vh__buf_check(&location, "registry", err);
    if (rc == 0 && location.len == 0)
        rc = vh_error_set(err, VH_EPROTOCOL, "it redirects to nowhere");
    if (rc)
        return rc;
    rc = vh__http_url_resolve(from, location.data, &url, err);
    if (rc)
        return vh_error_wrap(err, rc, "it redirects");
    if (strncasecmp(from, "https:", 6) == 0 && strncasecmp(url, "https:", 6) != 0)
        return vh_error_set(err, VH_EREMOTE, "it redirects from https to %.*s, which is not followed",
                            (int)VH_MIN(vh__http_url_shown(url), 200), url);
    *to = vh_steal_ptr(url);
    return 0;
}

/* One hop; |authorization| goes along as the last header. Of a page that is no success the beginning will do. */
static int hop(const vh__http_request *q, const char *url, const char *authorization, const vh__wait *w,
               vh__http_response *response, vh_error *err)
{
    const char *headers[4] = { NULL };
    vh__http_request one = *q;
    size_t n = 0;
    int rc;

    for (const char *const *h = q->headers; h && *h && n + 2 < VH_ARRAY_LEN(headers); h++)
        headers[n++] = *h;
    headers[n] = authorization;
    one.headers = headers;
    one.url = url;
    vh__http_response_fini(response);
    rc = send(&one, w, response, err);
    return rc == VH_ELIMIT && response->status >= 300 ? 0 : rc;
}

int vh__registry_follow(const vh__registry *r, const vh__http_request *q, const char *authorization,
                        const vh__wait *w, vh__http_response *response, bool *home, vh_error *err)
{
    vh_auto_free char *url = strdup(q->url);
    vh__http_request base = *q;

    base.sock = -1;
    base.ca_file = r->ca_file;
    if (!base.stall_ms)
        base.stall_ms = STALL_MS;
    *home = true;
    for (int n = 0; url && n <= REDIRECTS_MAX; n++) {
        char *next = NULL;
        int rc = hop(&base, url, *home ? authorization : NULL, w, response, err);

        if (rc || !is_redirect(response->status))
            return rc;
        if (q->body) /* a refresh token: it would go along */
            return vh_error_set(err, VH_EREMOTE, "it redirects a login, which is not followed");
        rc = next_url(response, url, &next, err);
        free(url);
        url = next;
        if (rc)
            return rc;
        *home = *home && vh__http_url_same_origin(q->url, url); /* once away, nothing is trusted to lead back */
    }
    return url ? vh_error_set(err, VH_EPROTOCOL, "it redirects more than %d times", REDIRECTS_MAX)
               : vh_error_set(err, -ENOMEM, "registry");
}

/* With what was learnt from the refusal |response| to |used|: 0 if it is worth asking again. */
static int log_in(vh__registry *r, vh__endpoint *e, const char *used, const vh__http_response *response,
                  const vh__wait *w, vh_error *err)
{
    int rc = 0;

    pthread_mutex_lock(&r->lock);
    if (!e->authorization || (used && strcmp(used, e->authorization) == 0)) /* else another thread was quicker */
        rc = vh__registry_authorize(r, e, response, w, err);
    pthread_mutex_unlock(&r->lock);
    return rc;
}

/* One round; |*again| when it was refused and then logged in. */
static int ask(vh__registry *r, vh__endpoint *e, const vh__registry_get *g, const vh__wait *w,
               vh__http_response *response, bool *again, vh_error *err)
{
    const char *headers[2] = { g->header, NULL };
    vh__http_request q = { .headers = headers, .sock = -1, .max_body = g->max_body, .sink = g->sink,
                           .sink_arg = g->arg, .stall_ms = e->mirror ? MIRROR_STALL_MS : STALL_MS };
    vh_auto_free char *url = NULL;
    char *authorization = NULL;
    bool home = false;
    int rc = prepare(r, e, w, &authorization, err);

    if (rc)
        return rc;
    url = vh__strf("%s/v2/%s/%s", e->base, r->ref.name, g->path);
    q.url = url;
    rc = url ? vh__registry_follow(r, &q, authorization, w, response, &home, err)
             : vh_error_set(err, -ENOMEM, "registry");
    if (rc == 0 && response->status == 401 && home && *again)
        rc = log_in(r, e, authorization, response, w, err);
    else
        *again = false;
    vh__secret_free(authorization);
    return rc;
}

int vh__registry_ask(vh__registry *r, vh__endpoint *e, const vh__registry_get *g, const vh__wait *w,
                     vh__http_response *response, vh_error *err)
{
    bool again = true;
    int rc = ask(r, e, g, w, response, &again, err);

    if (rc || !again)
        return rc;
    again = false;
    rc = ask(r, e, g, w, response, &again, err);
    return rc == 0 && response->status == 401 ? vh__registry_refused(r, e, err) : rc; /* a second refusal stands */
}

/* The registry's own words, "MANIFEST_UNKNOWN: manifest unknown", printable and short. */
static void own_words(const vh__http_response *response, char *out, size_t cap)
{
    vh_auto_json cJSON *doc = NULL;
    const cJSON *first;

    out[0] = '\0';
    if (response->body.len == 0 || response->body.len > ERROR_BODY_MAX ||
        vh__json_parse(response->body.data, response->body.len, "", &doc, NULL))
        return;
    first = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(doc, "errors"), 0);
    if (!first)
        return;
    (void)snprintf(out, cap, " (%.40s: %.120s)", vh__json_str_or(first, "code", ""),
                   vh__json_str_or(first, "message", ""));
    for (char *p = out; *p; p++)
        if (!isprint((unsigned char)*p))
            *p = '?';
}

int vh__registry_status(const vh__http_response *response, const char *host, vh_error *err)
{
    char words[200];

    own_words(response, words, sizeof(words));
    switch (response->status) {
    case 401:
    case 403:
        return vh_error_set(err, VH_EREMOTE, "it refuses access, status %d%s: check the name, and log in (docker "
                            "login %s)", response->status, words, host);
    case 404:
        return vh_error_set(err, VH_ENOTFOUND, "it does not have it, status 404%s: check name and tag", words);
    case 429:
        return vh_error_set(err, -EHOSTDOWN, "too many requests, status 429%s: log in, or try later", words);
    case 500:
    case 502:
    case 503:
    case 504:
        return vh_error_set(err, -EHOSTDOWN, "it cannot answer now, status %d%s: try later", response->status, words);
    default:
        return vh_error_set(err, VH_EREMOTE, "it answers with status %d%s", response->status, words);
    }
}

void vh__patience_hear(vh__patience *p, const vh__http_response *response)
{
    char value[64];
    unsigned long s;
    char *end;

    p->asked_ms = 0;
    if (!vh__http_header(response, "retry-after", value, sizeof(value)) || !isdigit((unsigned char)*value))
        return; /* a date is left to the own back-off: clocks differ */
    s = strtoul(value, &end, 10);
    p->asked_ms = (uint32_t)VH_MIN(s, 86400) * 1000;
}

static bool passes(int rc, bool refused)
{
    if (rc == -ECONNREFUSED || rc == -EHOSTUNREACH || rc == -ENETUNREACH)
        return refused;
    return rc == -ECONNRESET || rc == -EHOSTDOWN || rc == -ETIMEDOUT || rc == -EPIPE;
}

int vh__patience_wait(vh__patience *p, int rc, const vh__wait *w, vh_error *err)
{
    uint32_t ms = p->asked_ms ? p->asked_ms : (uint32_t)BACKOFF_MS << p->tries;
    int slept;

    if (!passes(rc, p->refused))
        return rc;
    if (++p->tries >= TRIES_MAX)
        return vh_error_wrap(err, rc, "tried %u times", p->tries);
    if (ms >= (uint32_t)vh__wait_left_ms(w))
        return vh_error_wrap(err, rc, "no time is left to wait %u ms and ask again", ms);
    if (ms >= TELL_MS)
        vh__log(p->r->env, VH_LOG_INFO, "image", NULL, "%s: it is asked again in %u s: %s", p->e->host, ms / 1000,
                err && err->msg[0] ? err->msg : vh_strerror(rc));
    slept = vh__wait_sleep(w, ms, "wait to ask the registry again", NULL);
    return slept == VH_ECANCELED ? vh_error_set(err, VH_ECANCELED, "cancelled") : 0;
}
