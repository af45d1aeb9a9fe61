/*
 * Docker's config.json, and podman's auth.json alike: {"auths": {"HOST[/NAME]": {"auth": base64 of "user:password"}}}.
 */
#include "registry_priv.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auto.h"
#include "json.h"
#include "path.h"

enum { FILE_MAX = 1 << 20, SECRET_MAX = 16 << 10 };

void vh__secret_free(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

void vh__login_fini(vh__login *l)
{
    vh__secret_free(l->basic);
    vh__secret_free(l->identity);
    vh__secret_free(l->token);
    *l = (vh__login){ 0 };
}

/* What goes into a header must not end it, nor be longer than servers take. */
static bool is_plain(const char *s)
{
    for (const char *p = s; *p; p++)
        if (iscntrl((unsigned char)*p))
            return false;
    return strlen(s) <= SECRET_MAX;
}

static int bad(const char *host, const char *why, vh_error *err)
{
    return vh_error_set(err, VH_EINVALID, "credentials for %s: %s: log in anew (docker login %s)", host, why, host);
}

static int copy_secret(const char *s, const char *host, char **out, vh_error *err)
{
    if (!is_plain(s))
        return bad(host, "a token that is too long or has control characters", err);
    *out = strdup(s);
    return *out ? 0 : vh_error_set(err, -ENOMEM, "credentials for %s", host);
}

/* "auth" must be base64 of something with a ':'. */
static int take_auth(const char *auth, const char *host, vh__login *out, vh_error *err)
{
    size_t n = strlen(auth);
    vh_auto_free unsigned char *raw = n <= SECRET_MAX ? malloc(n + 4) : NULL;
    int got;
    bool good;

    if (n > SECRET_MAX || n % 4 != 0)
        return bad(host, "\"auth\" is not base64", err);
    if (!raw)
        return vh_error_set(err, -ENOMEM, "credentials for %s", host);
    got = EVP_DecodeBlock(raw, (const unsigned char *)auth, (int)n);
    good = got > 0 && memchr(raw, ':', (size_t)got) && is_plain(auth);
    explicit_bzero(raw, n + 4);
    return good ? copy_secret(auth, host, &out->basic, err)
                : bad(host, "\"auth\" is not base64 of \"user:password\"", err);
}

static int encode_basic(const char *user, const char *password, const char *host, vh__login *out, vh_error *err)
{
    char *text = vh__strf("%s:%s", user, password);
    size_t n = text ? strlen(text) : 0;
    char *basic = text && n <= SECRET_MAX ? malloc(4 * (n / 3 + 2)) : NULL;

    if (basic)
        (void)EVP_EncodeBlock((unsigned char *)basic, (const unsigned char *)text, (int)n); /* cannot fail */
    vh__secret_free(text);
    if (n > SECRET_MAX)
        return bad(host, "too long", err);
    if (!basic)
        return vh_error_set(err, -ENOMEM, "credentials for %s", host);
    out->basic = basic;
    return 0;
}

static int take_entry(const cJSON *entry, const char *host, vh__login *out, vh_error *err)
{
    const char *auth = vh__json_str_or(entry, "auth", ""), *user = vh__json_str_or(entry, "username", ""),
               *identity = vh__json_str_or(entry, "identitytoken", ""),
               *token = vh__json_str_or(entry, "registrytoken", "");
    int rc = 0;

    if (*auth && !*identity) /* beside an identity token, "auth" has no password */
        rc = take_auth(auth, host, out, err);
    else if (*user)
        rc = encode_basic(user, vh__json_str_or(entry, "password", ""), host, out, err);
    if (rc == 0 && *identity)
        rc = copy_secret(identity, host, &out->identity, err);
    if (rc == 0 && *token)
        rc = copy_secret(token, host, &out->token, err);
    return rc;
}

/* Keys were once addresses, "https://index.docker.io/v1/": the host and port of |key|, |*n| bytes of it. */
static const char *key_text(const char *key, size_t *n)
{
    const char *host = strstr(key, "://");

    if (host) {
        host += 3;
        *n = strcspn(host, "/");
        return host;
    }
    *n = strlen(key);
    return key;
}

static bool key_is(const char *key, const char *want)
{
    size_t n;
    const char *text = key_text(key, &n);

    if (n == strlen("index.docker.io") && strncasecmp(text, "index.docker.io", n) == 0 &&
        strcmp(want, "docker.io") == 0)
        return true;
    return n == strlen(want) && strncasecmp(text, want, n) == 0;
}

static const cJSON *entry_in(const cJSON *doc, const char *want)
{
    const cJSON *e;

    cJSON_ArrayForEach(e, cJSON_GetObjectItemCaseSensitive(doc, "auths"))
        if (e->string && cJSON_IsObject(e) && key_is(e->string, want))
            return e;
    return NULL;
}

static const cJSON *entry_of(const cJSON *docs, const char *want)
{
    const cJSON *doc, *found = NULL;

    cJSON_ArrayForEach(doc, docs)
        found = found ? found : entry_in(doc, want);
    return found;
}

/* The helper of |host|, or the one of all hosts. */
static void note_helper(const cJSON *docs, const char *host, vh__login *out)
{
    const cJSON *doc;

    cJSON_ArrayForEach(doc, docs)
    {
        const cJSON *helpers = cJSON_GetObjectItemCaseSensitive(doc, "credHelpers");
        const char *name = vh__json_str_or(helpers, host, vh__json_str_or(doc, "credsStore", ""));

        if (!out->helper[0])
            (void)snprintf(out->helper, sizeof(out->helper), "%s", name);
    }
}

int vh__login_find(const cJSON *docs, const char *host, const char *name, vh__login *out, vh_error *err)
{
    const cJSON *entry = NULL;
    vh_auto_free char *want = vh__strf("%s/%s", host, name);
    vh__login l = { 0 };
    int rc = want ? 0 : vh_error_set(err, -ENOMEM, "credentials for %s", host);

    if (rc)
        return rc;
    while (!entry && *want) {
        char *slash = strrchr(want, '/');

        entry = entry_of(docs, want);
        want[slash ? slash - want : 0] = '\0';
    }
    if (entry)
        rc = take_entry(entry, host, &l, err);
    if (rc) {
        vh__login_fini(&l);
        return rc;
    }
    if (!l.basic && !l.identity && !l.token)
        note_helper(docs, host, &l);
    *out = l;
    return 0;
}

/* Appends the document in |taken| (NULL: out of memory) to |docs|; unless it was |named| there need not be any. */
static int add_file(char *taken, bool named, cJSON *docs, vh_error *err)
{
    vh_auto_free char *path = taken;
    cJSON *doc = NULL;
    vh_error why = { 0 };
    int rc = path ? vh__json_read(path, FILE_MAX, &doc, &why) : -ENOMEM;

    if (rc == -ENOMEM)
        return vh_error_set(err, -ENOMEM, "credentials");
    if (!named && (rc == -ENOENT || rc == -ENOTDIR))
        return 0;
    if (rc == VH_EINVALID) /* a parser's message may quote what it met */
        return vh_error_set(err, VH_EINVALID, "credentials: %s is not JSON: log in anew, or name another file "
                            "(image.auth_file)", path);
    if (rc && err)
        *err = why;
    if (rc)
        return vh_error_wrap(err, rc, "credentials");
    (void)cJSON_AddItemToArray(docs, doc); /* fails only for what is no array */
    return 0;
}

/* A variable of the environment; NULL when it is empty or not there. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

/* Where podman and skopeo write logins, then where docker does; a variable of theirs that names a place is obeyed. */
static int add_default_files(cJSON *docs, vh_error *err)
{
    const char *file = variable("REGISTRY_AUTH_FILE"), *docker = variable("DOCKER_CONFIG");
    const char *run = variable("XDG_RUNTIME_DIR"), *config = variable("XDG_CONFIG_HOME"), *home = variable("HOME");
    int rc;

    if (file)
        return add_file(strdup(file), false, docs, err);
    if (docker)
        return add_file(vh__path_join(docker, "config.json"), false, docs, err);
    rc = add_file(run ? vh__strf("%s/containers/auth.json", run)
                      : vh__strf("/run/containers/%u/auth.json", (unsigned)getuid()), false, docs, err);
    if (rc == 0)
        rc = add_file(vh__strf("%s%s/containers/auth.json", config ? config : home ? home : "",
                               config ? "" : "/.config"), false, docs, err);
    if (rc == 0)
        rc = add_file(vh__strf("%s/.docker/config.json", home ? home : ""), false, docs, err);
    return rc;
}

int vh__credentials_read(const char *file, cJSON **docs, vh_error *err)
{
    vh_auto_json cJSON *all = cJSON_CreateArray();
    int rc;

    if (!all)
        return vh_error_set(err, -ENOMEM, "credentials");
    rc = file && *file ? add_file(strdup(file), true, all, err) : add_default_files(all, err);
    if (rc == 0)
        *docs = vh_steal_ptr(all);
    return rc;
}
