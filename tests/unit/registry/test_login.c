/* Login challenges, and config.json. */
#include "testenv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failalloc.h"
#include "fd.h"
#include "json.h"
#include "path.h"
#include "registry_priv.h"

static vh__challenge parsed(const char *text)
{
    vh__challenge c;
    vh_error err = { 0 };

    assert_ok(vh__challenge_parse(text, &c, &err), err);
    return c;
}

static void a_token_service_is_found(void **state)
{
    vh__challenge c = parsed("Bearer realm=\"https://auth.example/token?a=\\\"b\",service=\"r.example\","
                             "scope=\"x:y,z\"");

    (void)state;
    assert_int_equal(c.kind, VH_CHALLENGE_BEARER);
    assert_string_equal(c.realm, "https://auth.example/token?a=\"b");
    assert_string_equal(c.service, "r.example");
}

static void the_better_of_several_challenges_is_taken(void **state)
{
    vh__challenge c = parsed("Negotiate, Basic realm=\"a, b\", BEARER realm = \"https://t\" , Digest realm=x");

    (void)state;
    assert_int_equal(c.kind, VH_CHALLENGE_BEARER);
    assert_string_equal(c.realm, "https://t");
    assert_string_equal(c.service, "");
    assert_int_equal(parsed("Negotiate abc/d==, basic").kind, VH_CHALLENGE_BASIC);
    assert_int_equal(parsed("Digest realm=\"x\"").kind, VH_CHALLENGE_NONE);
    assert_int_equal(parsed("Bearer service=\"no realm\"").kind, VH_CHALLENGE_NONE);
    assert_int_equal(parsed("").kind, VH_CHALLENGE_NONE);
}

static void what_is_no_challenge_is_refused(void **state)
{
    static const char *const bad[] = { "Bearer realm=\"never ends", "Bearer realm=\"x\\", "\"x\"", "Bearer realm=\x01",
                                       "Bearer (x)" };
    char longest[3000];
    vh__challenge c;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (vh__challenge_parse(bad[i], &c, NULL) != VH_EPROTOCOL)
            fail_msg("\"%s\" was taken", bad[i]);
    snprintf(longest, sizeof(longest), "Bearer realm=\"%02000d\"", 1);
    assert_int_equal(parsed(longest).kind, VH_CHALLENGE_NONE); /* a part of an address is none */
}

/* What |json| has for |name| on |host|. */
static int find(const char *json, const char *host, const char *name, vh__login *l, vh_error *err)
{
    cJSON *docs = cJSON_CreateArray(), *doc = cJSON_Parse(json);
    int rc;

    assert_non_null(doc);
    assert_true(cJSON_AddItemToArray(docs, doc));
    rc = vh__login_find(docs, host, name, l, err);
    cJSON_Delete(docs);
    return rc;
}

static void logins_are_found_by_host(void **state)
{
    static const char json[] =
        "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"YTpi\"},\"r.example:5000\":{\"username\":\"joe\","
        "\"password\":\"x:y\"},\"ghcr.io/org\":{\"auth\":\"Yzpk\"},\"ghcr.io\":{\"registrytoken\":\"t\"},"
        "\"https://az.example\":{\"auth\":\"MDAwOg==\",\"identitytoken\":\"id\"}},\"credsStore\":\"desktop\"}";
    vh__login l;
    vh_error err = { 0 };

    (void)state;
    assert_ok(find(json, "docker.io", "library/x", &l, &err), err);
    assert_string_equal(l.basic, "YTpi");
    vh__login_fini(&l);
    assert_ok(find(json, "R.example:5000", "x", &l, &err), err);
    assert_string_equal(l.basic, "am9lOng6eQ==");
    vh__login_fini(&l);
    assert_ok(find(json, "ghcr.io", "org/app", &l, &err), err); /* the longest prefix */
    assert_string_equal(l.basic, "Yzpk");
    vh__login_fini(&l);
    assert_ok(find(json, "ghcr.io", "organic/app", &l, &err), err);
    assert_string_equal(l.token, "t");
    vh__login_fini(&l);
    assert_ok(find(json, "az.example", "x", &l, &err), err);
    assert_string_equal(l.identity, "id");
    assert_null(l.basic);
    vh__login_fini(&l);
    assert_ok(find(json, "r.example", "x", &l, &err), err); /* another port is another host */
    assert_true(!l.basic && !l.identity && !l.token);
    assert_string_equal(l.helper, "desktop");
    vh__login_fini(&l);
}

static void bad_logins_are_refused_without_being_shown(void **state)
{
    static const char *const bad[] = {
        "{\"auths\":{\"h\":{\"auth\":\"secret!!\"}}}",
        "{\"auths\":{\"h\":{\"auth\":\"c2VjcmV0\"}}}", /* no ':' in it */
        "{\"auths\":{\"h\":{\"auth\":\"c2VjcmV\"}}}",
        "{\"auths\":{\"h\":{\"identitytoken\":\"secret\\r\\nX: y\"}}}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        vh__login l;
        vh_error err = { 0 };

        assert_int_equal(find(bad[i], "h", "x", &l, &err), VH_EINVALID);
        assert_null(strstr(err.msg, "secret"));
        assert_null(strstr(err.msg, "c2VjcmV"));
        assert_non_null(strstr(err.msg, "docker login h"));
    }
}

static void config_json_is_read_from_where_it_is_told(void **state)
{
    testenv t;
    char path[128];
    cJSON *docs;
    vh_error err = { 0 };

    (void)state;
    testenv_init(&t);
    snprintf(path, sizeof(path), "%s/config.json", t.dir);
    assert_int_equal(vh__credentials_read(path, &docs, &err), -ENOENT);
    setenv("REGISTRY_AUTH_FILE", "", 1);
    setenv("DOCKER_CONFIG", t.dir, 1);
    assert_ok(vh__credentials_read("", &docs, &err), err);
    assert_int_equal(cJSON_GetArraySize(docs), 0); /* nobody has logged in */
    cJSON_Delete(docs);
    assert_ok(vh__file_write_atomic(path, "{\"auths\":{}}", 12, 0600, &err), err);
    assert_ok(vh__credentials_read(NULL, &docs, &err), err);
    assert_int_equal(cJSON_GetArraySize(docs), 1);
    cJSON_Delete(docs);
    assert_ok(vh__file_write_atomic(path, "secret", 6, 0600, &err), err);
    assert_int_equal(vh__credentials_read(NULL, &docs, &err), VH_EINVALID);
    assert_null(strstr(err.msg, "secret"));
    testenv_fini(&t);
}

/* Writes a login of |host|, "u:p" in base64 as |auth|, to |dir|/|name|. */
static void put_login(const char *dir, const char *name, const char *host, const char *auth)
{
    char path[256], text[128];
    vh_error err = { 0 };

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    *strrchr(path, '/') = '\0';
    assert_ok(vh__path_mkdirs(path, 0700, &err), err);
    path[strlen(path)] = '/';
    snprintf(text, sizeof(text), "{\"auths\":{\"%s\":{\"auth\":\"%s\"}}}", host, auth);
    assert_ok(vh__file_write_atomic(path, text, strlen(text), 0600, &err), err);
}

static void logins_of_podman_and_docker_are_found_together(void **state)
{
    static const char *const want[][2] = { { "podman", "YTpi" }, { "config", "Yzpk" }, { "docker", "ZTpm" } };
    testenv t;
    cJSON *docs;
    vh_error err = { 0 };

    (void)state;
    testenv_init(&t);
    setenv("REGISTRY_AUTH_FILE", "", 1);
    setenv("DOCKER_CONFIG", "", 1);
    setenv("XDG_CONFIG_HOME", "", 1);
    setenv("XDG_RUNTIME_DIR", t.dir, 1);
    setenv("HOME", t.dir, 1);
    put_login(t.dir, "containers/auth.json", "podman", "YTpi");
    put_login(t.dir, ".config/containers/auth.json", "config", "Yzpk");
    put_login(t.dir, ".docker/config.json", "docker", "ZTpm");
    assert_ok(vh__credentials_read(NULL, &docs, &err), err);
    for (size_t i = 0; i < 3; i++) {
        vh__login l;

        assert_ok(vh__login_find(docs, want[i][0], "x", &l, &err), err);
        assert_string_equal(l.basic, want[i][1]);
        vh__login_fini(&l);
    }
    cJSON_Delete(docs);
    testenv_fini(&t);
}

static int attempt(void *arg)
{
    static const vh__registry_options o = { .auth_file = NULL, .mirrors = "h=m", .insecure = "m", .ca_file = "/x" };
    vh__registry *r = NULL;
    vh__registry_ref ref = { .host = "h", .name = "x", .tag = "latest" };
    int rc = vh__registry_new(arg, &o, &ref, &r, NULL);

    if (rc == 0) {
        vh__login l = { 0 };

        rc = vh__login_find(r->credentials, "h", "x", &l, NULL);
        vh__login_fini(&l);
    }
    vh__registry_free(r);
    return rc;
}

static void running_out_of_memory_leaves_nothing(void **state)
{
    static const char json[] = "{\"auths\":{\"h\":{\"username\":\"a\",\"password\":\"b\",\"identitytoken\":\"c\"}}}";
    testenv t;
    char path[128];
    vh_error err = { 0 };

    (void)state;
    testenv_init(&t);
    snprintf(path, sizeof(path), "%s/config.json", t.dir);
    assert_ok(vh__file_write_atomic(path, json, strlen(json), 0600, &err), err);
    setenv("REGISTRY_AUTH_FILE", path, 1);
    failalloc_sweep(attempt, t.env);
    testenv_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_service_is_found),
        cmocka_unit_test(the_better_of_several_challenges_is_taken),
        cmocka_unit_test(what_is_no_challenge_is_refused),
        cmocka_unit_test(logins_are_found_by_host),
        cmocka_unit_test(bad_logins_are_refused_without_being_shown),
        cmocka_unit_test(config_json_is_read_from_where_it_is_told),
        cmocka_unit_test(logins_of_podman_and_docker_are_found_together),
        cmocka_unit_test(running_out_of_memory_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
