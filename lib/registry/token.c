/* Logging in: Basic, or a token from the service that the registry names. */
#include "registry_priv.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "json.h"
#include "path.h"

enum { TOKEN_MAX = 64 << 10, ANSWER_MAX = 256 << 10 };

/* Appends |text| as a part of a query. */
static void put_escaped(vh__buf *to, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (isalnum(c) || strchr("-._~", c))
            vh__buf_append(to, text, 1);
        else
            vh__buf_printf(to, "%%%02X", c);
    }
}

/* "service=...&scope=...": always just the right to pull this image, whatever the challenge would have us ask for. */
static void put_query(const vh__registry *r, const vh__challenge *c, vh__buf *to)
{
    vh_auto_free char *scope = vh__strf("repository:%s:pull", r->ref.name);

    if (c->service[0]) {
        vh__buf_puts(to, "service=");
        put_escaped(to, c->service);
        vh__buf_puts(to, "&");
    }
    vh__buf_puts(to, "scope=");
    put_escaped(to, scope ? scope : "");
    to->oom |= !scope;
}

static bool token_valid(const char *s)
{
    for (const char *p = s; *p; p++)
        if (!isgraph((unsigned char)*p))
            return false;
    return *s && strlen(s) <= TOKEN_MAX;
}

static int set_authorization(vh__endpoint *e, const char *scheme, const char *value, vh_error *err)
{
    char *header = vh__strf("Authorization: %s %s", scheme, value);

    if (!header)
        return vh_error_set(err, -ENOMEM, "registry");
    vh__secret_free(e->authorization);
    e->authorization = header;
    return 0;
}

/* The token in an answer; nothing of it may show in a message. */
static int take_token(vh__endpoint *e, const vh__http_response *response, vh_error *err)
{
    vh_auto_json cJSON *doc = NULL;
    const char *token;

    if (!response->body.data || vh__json_parse(response->body.data, response->body.len, "", &doc, NULL))
        return vh_error_set(err, VH_EPROTOCOL, "its answer is not JSON");
    token = vh__json_str_or(doc, "token", "");
    if (!*token)
        token = vh__json_str_or(doc, "access_token", "");
    if (!token_valid(token))
        return vh_error_set(err, VH_EPROTOCOL, "its answer has no token");
    return set_authorization(e, "Bearer", token, err);
}

/* GET with the password if there is one, or POST with the refresh token. */
static int make_request(const vh__registry *r, const vh__challenge *c, const vh__login *l, vh__buf *url,
                        vh__buf *body, vh_error *err)
{
    if (l->identity) {
        vh__buf_puts(url, c->realm);
        vh__buf_puts(body, "grant_type=refresh_token&client_id=vhive&refresh_token=");
        put_escaped(body, l->identity);
        vh__buf_puts(body, "&");
        put_query(r, c, body);
    } else {
        vh__buf_printf(url, "%s%c", c->realm, strchr(c->realm, '?') ? '&' : '?');
        put_query(r, c, url);
    }
    return url->oom || body->oom ? vh_error_set(err, -ENOMEM, "registry") : 0;
}

static int ask_service(const vh__registry *r, const vh__challenge *c, const vh__login *l, const vh__wait *w,
                       vh__http_response *response, vh_error *err)
{
    vh_auto_buf vh__buf url = { 0 }, body = { 0 };
    char *basic = l->basic && !l->identity ? vh__strf("Authorization: Basic %s", l->basic) : NULL;
    bool home;
    int rc = l->basic && !l->identity && !basic ? vh_error_set(err, -ENOMEM, "registry")
                                                : make_request(r, c, l, &url, &body, err);
    vh__http_request q = { .url = url.data, .body = body.data, .body_len = body.len, .max_body = ANSWER_MAX };

    if (rc == 0)
        rc = vh__registry_follow(r, &q, basic, w, response, &home, err);
    if (body.data)
        explicit_bzero(body.data, body.len);
    vh__secret_free(basic);
    return rc;
}

/* The token service is where credentials go, so it is held to the same rule as a registry: TLS. */
static int check_realm(const vh__registry *r, const char *realm, vh_error *err)
{
    char host[VH_REGISTRY_HOST_MAX + 1];
    vh_auto_free char *url = NULL;
    int rc = vh__http_url_resolve(realm, realm, &url, err);

    if (rc)
        return rc;
    if (strncmp(url, "https://", 8) == 0)
        return 0;
    (void)snprintf(host, sizeof(host), "%.*s", (int)strcspn(url + 7, "/?#"), url + 7);
    if (vh__host_may_plain(host, r->insecure))
        return 0;
    return vh_error_set(err, VH_EREMOTE, "its token service %s speaks plain HTTP: name it in "
                        "image.insecure_registries if that is meant", host);
}

static int fetch_token(const vh__registry *r, vh__endpoint *e, const vh__challenge *c, const vh__login *l,
                       const vh__wait *w, vh_error *err)
{
    vh__http_response response = { 0 };
    int rc = check_realm(r, c->realm, err);

    if (rc)
        return rc;
    rc = ask_service(r, c, l, w, &response, err);
    if (rc == 0)
        rc = response.status == 200 ? take_token(e, &response, err) : vh__registry_status(&response, e->host, err);
    if (response.body.data)
        explicit_bzero(response.body.data, response.body.len);
    vh__http_response_fini(&response);
    if (rc == VH_ENOTFOUND) /* the service is missing, not the image */
        rc = VH_EREMOTE;
    return rc ? vh_error_wrap(err, rc, "token service %.*s", (int)vh__http_url_shown(c->realm), c->realm) : 0;
}

static int refuse(const vh__login *l, const vh__endpoint *e, vh_error *err)
{
    if (l->helper[0])
        return vh_error_set(err, VH_EREMOTE, "it wants a login, and config.json leaves that to the helper \"%s\", "
                            "which is not run: write the login into \"auths\" (skopeo login %s)", l->helper, e->host);
    if (l->basic || l->token || l->identity)
        return vh_error_set(err, VH_EREMOTE, "it refuses the credentials that are known: log in anew (docker login "
                            "%s), or ask for the right to pull", e->host);
    return vh_error_set(err, VH_EREMOTE, "it wants a login, and none is known for it: log in (docker login %s), or "
                        "name the file that has it (image.auth_file)", e->host);
}

int vh__registry_refused(const vh__registry *r, const vh__endpoint *e, vh_error *err)
{
    vh__login l = { 0 };
    int rc = vh__login_find(r->credentials, e->host, r->ref.name, &l, err);

    if (rc == 0)
        rc = refuse(&l, e, err);
    vh__login_fini(&l);
    return rc;
}

static int answer(vh__registry *r, vh__endpoint *e, const vh__challenge *c, const vh__login *l, const vh__wait *w,
                  vh_error *err)
{
    bool had = e->authorization != NULL;

    if (l->token && !had)
        return set_authorization(e, "Bearer", l->token, err);
    if (c->kind == VH_CHALLENGE_BEARER)
        return fetch_token(r, e, c, l, w, err); /* an old token may have run out */
    if (c->kind == VH_CHALLENGE_BASIC && l->basic && !had)
        return set_authorization(e, "Basic", l->basic, err);
    if (c->kind == VH_CHALLENGE_NONE)
        return vh_error_set(err, VH_EREMOTE, "it wants a login of a kind that is not supported (Basic and Bearer "
                            "are)");
    return refuse(l, e, err);
}

int vh__registry_authorize(vh__registry *r, vh__endpoint *e, const vh__http_response *refused, const vh__wait *w,
                           vh_error *err)
{
    vh_auto_buf vh__buf text = { 0 };
    vh__challenge c = { 0 };
    vh__login l = { 0 };
    int rc;

    vh__http_header_all(refused, "www-authenticate", &text);
    rc = vh__buf_check(&text, "registry", err);
    if (rc == 0)
        rc = vh__challenge_parse(text.data ? text.data : "", &c, err);
    if (rc == 0)
        rc = vh__login_find(r->credentials, e->host, r->ref.name, &l, err);
    if (rc == 0)
        rc = answer(r, e, &c, &l, w, err);
    vh__login_fini(&l);
    return rc;
}
