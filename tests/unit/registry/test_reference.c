/* References of registries, lists of hosts. */
#include "testenv.h"

#include <string.h>

#include "registry.h"
#include "registry_priv.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void references_are_completed_as_docker_does(void **state)
{
    static const char *const pairs[][2] = {
        { "busybox", "docker.io/library/busybox:latest" },
        { "busybox:1.36", "docker.io/library/busybox:1.36" },
        { "me/app", "docker.io/me/app:latest" },
        { "docker.io/busybox", "docker.io/library/busybox:latest" },
        { "index.docker.io/me/app:v1", "docker.io/me/app:v1" },
        { "localhost/app", "localhost/app:latest" },
        { "localhost:5000/app:v1", "localhost:5000/app:v1" },
        { "ghcr.io/a/b/c_d__e-f.g", "ghcr.io/a/b/c_d__e-f.g:latest" },
        { "[::1]:5000/app", "[::1]:5000/app:latest" },
        { "HOST/app", "HOST/app:latest" },
        { "app@sha256:" HEX, "docker.io/library/app@sha256:" HEX },
        { "r.example:443/app:v1@sha256:" HEX, "r.example:443/app@sha256:" HEX },
        { "a---b", "docker.io/library/a---b:latest" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        vh__registry_ref ref;
        char text[1024];
        vh_error err = { 0 };

        assert_ok(vh__registry_ref_parse(pairs[i][0], &ref, &err), err);
        vh__registry_ref_print(&ref, text, sizeof(text));
        assert_string_equal(text, pairs[i][1]);
        assert_ok(vh__registry_ref_parse(text, &ref, &err), err); /* in full it means the same */
        vh__registry_ref_print(&ref, text, sizeof(text));
        assert_string_equal(text, pairs[i][1]);
    }
}

static void what_is_no_reference_is_refused(void **state)
{
    static const char *const bad[] = {
        "", "/", "a/", "/a", "a//b", "Upper", "a:", "a:-x", "a:.x", "a:b c", "a@", "a@sha256:12", "a@md5:" HEX,
        "a..b", "a_", "-a", "a___b", "a.-b", "user:pw@host/a", "host:0/a", "host:99999/a", "ho st.x/a", "a/../b",
        "a?b", "x.y/a#b", "[::1/a", "[zz]:1/a", "a:b:c", ".../a", "a\n.b/c",
    };
    vh__registry_ref unused;
    char longest[600];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        vh__registry_ref ref;
        vh_error err = { 0 };

        if (vh__registry_ref_parse(bad[i], &ref, &err) != VH_EINVALID)
            fail_msg("\"%s\" was taken", bad[i]);
        assert_non_null(strstr(err.msg, "docker://[HOST[:PORT]/]NAME"));
    }
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(vh__registry_ref_parse(longest, &unused, NULL), VH_EINVALID);
    longest[255] = '\0';
    assert_int_equal(vh__registry_ref_parse(longest, &unused, NULL), 0);
}

static void mirrors_come_first_and_the_registry_last(void **state)
{
    vh__registry_options o = { .mirrors = "docker.io=a.example,127.0.0.1:5000  ghcr.io=b.example docker.io=c.example",
                               .insecure = "c.example, d.example" };
    vh__endpoint e[VH_REGISTRY_MIRRORS_MAX + 1];
    vh_error err = { 0 };
    size_t n;

    (void)state;
    assert_ok(vh__endpoints_make(&o, "docker.io", e, &n, &err), err);
    assert_int_equal(n, 4);
    assert_string_equal(e[0].host, "a.example");
    assert_false(e[0].may_plain);
    assert_string_equal(e[1].host, "127.0.0.1:5000");
    assert_true(e[1].may_plain);
    assert_string_equal(e[2].host, "c.example");
    assert_true(e[2].may_plain);
    assert_true(e[2].mirror);
    assert_string_equal(e[3].host, "docker.io");
    assert_false(e[3].mirror || e[3].may_plain);
    assert_ok(vh__endpoints_make(&o, "quay.io", e, &n, &err), err);
    assert_int_equal(n, 1);
}

static void lists_that_cannot_be_read_are_refused(void **state)
{
    static const vh__registry_options bad[] = {
        { .mirrors = "docker.io" },
        { .mirrors = "=a" },
        { .mirrors = "docker.io=" },
        { .mirrors = "docker.io=a,,b" },
        { .mirrors = "docker.io=https://a" },
        { .mirrors = "quay.io=a b/c" },
        { .insecure = "a b/c" },
        { .insecure = "http://a" },
        { .mirrors = "docker.io=a,b,c,d,e,f,g,h,i" },
    };
    vh_error err;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int rc = vh__registry_options_check(&bad[i], &err);

        if (rc != VH_EINVALID && rc != VH_ELIMIT)
            fail_msg("list %zu was taken", i);
        assert_non_null(strstr(err.msg, bad[i].mirrors ? "image.mirrors" : "image.insecure_registries"));
    }
    assert_ok(vh__registry_options_check(&(vh__registry_options){ .mirrors = " ", .insecure = "" }, &err), err);
}

static void only_this_machine_may_be_plain_unasked(void **state)
{
    static const char *const yes[] = { "localhost", "localhost:5000", "127.0.0.1", "127.9.9.9:80", "[::1]:5000" };
    static const char *const no[] = { "localhost.example", "127.0.0.1.example", "128.0.0.1", "[::2]", "example" };

    (void)state;
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        assert_true(vh__host_may_plain(yes[i], NULL));
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        assert_false(vh__host_may_plain(no[i], "other.example"));
    assert_true(vh__host_may_plain("r.example:80", "x r.example:80"));
    assert_false(vh__host_may_plain("r.example:81", "x r.example:80"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_are_completed_as_docker_does),
        cmocka_unit_test(what_is_no_reference_is_refused),
        cmocka_unit_test(mirrors_come_first_and_the_registry_last),
        cmocka_unit_test(lists_that_cannot_be_read_are_refused),
        cmocka_unit_test(only_this_machine_may_be_plain_unasked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
