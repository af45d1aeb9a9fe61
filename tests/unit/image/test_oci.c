/* OCI documents: what is taken from them, and what is refused. */
#include "testenv.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "oci.h"
#include "source.h"

#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define INDEX_OF(list) "{\"schemaVersion\":2,\"manifests\":[" list "]}"
#define ENTRY(digest, more) "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"size\":5," \
                            "\"digest\":\"" digest "\"" more "}"
#define TAG(t) ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"" t "\"}"
#define PLATFORM(os, arch) ",\"platform\":{\"os\":\"" os "\",\"architecture\":\"" arch "\"}"

static void picks(const char *index, const char *tag, const char *digest)
{
    vh__oci_descriptor d;
    vh_error err = { 0 };

    assert_ok(vh__oci_index_pick(index, strlen(index), tag, &d, &err), err);
    assert_string_equal(d.digest, digest);
}

static void does_not_pick(const char *index, const char *tag, int code, const char *text)
{
    vh__oci_descriptor d;
    vh_error err = { 0 };

    assert_int_equal(vh__oci_index_pick(index, strlen(index), tag, &d, &err), code);
    if (!strstr(err.msg, text))
        fail_msg("\"%s\" is not in: %s", text, err.msg);
}

static void an_image_is_picked_by_tag(void **state)
{
    static const char two[] = INDEX_OF(ENTRY(D1, TAG("latest")) "," ENTRY(D2, TAG("v2")));

    (void)state;
    picks(two, NULL, D1);
    picks(two, "latest", D1);
    picks(two, "v2", D2);
    does_not_pick(two, "v3", VH_ENOTFOUND, "tags: latest, v2");
}

static void a_lone_image_needs_no_tag(void **state)
{
    (void)state;
    picks(INDEX_OF(ENTRY(D1, "")), NULL, D1);
    does_not_pick(INDEX_OF(ENTRY(D1, "")), "latest", VH_ENOTFOUND, "tags: none");
    does_not_pick(INDEX_OF(ENTRY(D1, TAG("v1"))), NULL, VH_ENOTFOUND, "tags: v1");
    does_not_pick(INDEX_OF(ENTRY(D1, "") "," ENTRY(D2, "")), NULL, VH_ENOTFOUND, "latest");
    does_not_pick(INDEX_OF(""), NULL, VH_ENOTFOUND, "tags: none");
}

static void the_platform_decides_among_equal_tags(void **state)
{
    static const char multi[] = INDEX_OF(ENTRY(D1, TAG("latest") PLATFORM("linux", "arm64")) ","
                                         ENTRY(D2, TAG("latest") PLATFORM("linux", "amd64")));
    static const char attested[] = INDEX_OF(ENTRY(D1, PLATFORM("linux", "amd64")) ","
                                            ENTRY(D2, PLATFORM("unknown", "unknown")));

    (void)state;
    picks(multi, NULL, D2);
    picks(multi, "", D2);
    picks(attested, NULL, D1);
    does_not_pick(INDEX_OF(ENTRY(D1, TAG("latest") PLATFORM("linux", "arm64"))), NULL, VH_EIMAGE, "linux/amd64");
}

static void indexes_that_are_none_are_refused(void **state)
{
    (void)state;
    does_not_pick("", NULL, VH_EIMAGE, "JSON");
    does_not_pick("25", NULL, VH_EIMAGE, "object");
    does_not_pick("{\"manifests\":{}}", NULL, VH_EIMAGE, "manifests");
    does_not_pick(INDEX_OF(ENTRY("sha256:../../etc", "")), NULL, VH_EIMAGE, "../../etc");
    does_not_pick(INDEX_OF("{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"" D1
                           "\",\"size\":-1}"), NULL, VH_EIMAGE, "size");
}

static int parse_manifest(const char *config_type, const char *layer_type, vh__oci_manifest *m, vh_error *err)
{
    char text[1024];
    int n = snprintf(text, sizeof(text),
                     "{\"config\":{\"mediaType\":\"%s\",\"digest\":\"" D1 "\",\"size\":2},"
                     "\"layers\":[{\"mediaType\":\"%s\",\"digest\":\"" D2 "\",\"size\":3}]}",
                     config_type, layer_type);

    return vh__oci_manifest_parse(text, (size_t)n, m, err);
}

static void manifests_of_oci_and_docker_are_read(void **state)
{
    static const struct {
        const char *type;
        vh__oci_kind kind;
    } layers[] = {
        { "application/vnd.oci.image.layer.v1.tar", VH_OCI_TAR },
        { "application/vnd.oci.image.layer.v1.tar+zstd", VH_OCI_TAR_ZSTD },
        { "application/vnd.docker.image.rootfs.diff.tar.gzip", VH_OCI_TAR_GZIP },
    };
    vh__oci_manifest m;
    vh_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(layers); i++) {
        assert_ok(parse_manifest("application/vnd.oci.image.config.v1+json", layers[i].type, &m, &err), err);
        assert_string_equal(m.config.digest, D1);
        assert_int_equal(m.n, 1);
        assert_int_equal(m.layers[0].kind, layers[i].kind);
        assert_int_equal(m.layers[0].size, 3);
    }
    assert_int_equal(parse_manifest("application/vnd.cncf.helm.config.v1+json", layers[0].type, &m, &err), VH_EIMAGE);
    assert_non_null(strstr(err.msg, "helm"));
    assert_int_equal(parse_manifest("application/vnd.oci.image.config.v1+json", "application/x-lzma", &m, &err),
                     VH_EIMAGE);
    assert_non_null(strstr(err.msg, "x-lzma"));
}

static int parse_config(const char *run, vh__oci_config *c, vh_error *err)
{
    char text[1024];
    int n = snprintf(text, sizeof(text),
                     "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":%s,"
                     "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" D1 "\"]}}", run);

    return vh__oci_config_parse(text, (size_t)n, c, err);
}

static void config_is_refused(const char *run, const char *text)
{
    vh__oci_config c = { 0 };
    vh_error err = { 0 };
    int rc = parse_config(run, &c, &err);

    if (rc != VH_EIMAGE)
        fail_msg("%s: got %d (%s)", run, rc, err.msg);
    if (!strstr(err.msg, text))
        fail_msg("\"%s\" is not in: %s", text, err.msg);
}

static void hostile_configs_are_refused(void **state)
{
    (void)state;
    config_is_refused("[]", "config");
    config_is_refused("{\"Cmd\":\"/bin/sh\"}", "Cmd");
    config_is_refused("{\"Entrypoint\":[1]}", "Entrypoint");
    config_is_refused("{\"Env\":[\"NOVALUE\"]}", "NOVALUE");
    config_is_refused("{\"Env\":[\"=x\"]}", "=x");
    config_is_refused("{\"Env\":{}}", "Env");
    config_is_refused("{\"WorkingDir\":\"srv\"}", "WorkingDir");
    config_is_refused("{\"WorkingDir\":7}", "WorkingDir");
    config_is_refused("{\"User\":\"a b\"}", "User");
    config_is_refused("{\"ExposedPorts\":{\"http\":{}}}", "http");
    config_is_refused("{\"ExposedPorts\":{\"99999/tcp\":{}}}", "99999");
    config_is_refused("{\"ExposedPorts\":[]}", "ExposedPorts");
    config_is_refused("{\"StopSignal\":\"SIGNOPE\"}", "StopSignal");
    config_is_refused("{\"StopSignal\":65}", "StopSignal");
    config_is_refused("{\"StopSignal\":{}}", "StopSignal");
    config_is_refused("{\"Labels\":[]}", "Labels");
    config_is_refused("{\"Labels\":{\"io.vhive.invoke\":1}}", "io.vhive.invoke");
}

static void a_config_may_say_nothing(void **state)
{
    static const char *const empty[] = {
        "null", "{}",
        "{\"Entrypoint\":null,\"Cmd\":null,\"Env\":null,\"User\":null,\"ExposedPorts\":null,\"StopSignal\":null}",
    };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(empty); i++) {
        vh__oci_config c = { 0 };
        vh_error err = { 0 };

        assert_ok(parse_config(empty[i], &c, &err), err);
        assert_null(c.run.argv[0]);
        assert_null(c.run.env[0]);
        assert_string_equal(c.run.cwd, "/");
        assert_string_equal(c.run.user, "");
        assert_int_equal(c.run.port, 0);
        assert_int_equal(c.run.stop_signal, SIGTERM);
        assert_string_equal(c.run.invoke, "");
        assert_int_equal(c.n, 1);
        vh__oci_config_fini(&c);
    }
}

static void the_lowest_tcp_port_counts(void **state)
{
    vh__oci_config c = { 0 };
    vh_error err = { 0 };

    (void)state;
    assert_ok(parse_config("{\"ExposedPorts\":{\"9090\":{},\"53/udp\":{},\"8000-8010/tcp\":{}}}", &c, &err), err);
    assert_int_equal(c.run.port, 8000);
    vh__oci_config_fini(&c);
}

static void a_label_tells_a_typical_request(void **state)
{
    vh__oci_config c = { 0 };
    vh_error err = { 0 };

    (void)state;
    assert_ok(parse_config("{\"Labels\":{\"a\":\"b\",\"io.vhive.invoke\":\"http:/?a=1\\u0026b=2\"}}", &c, &err), err);
    assert_string_equal(c.run.invoke, "http:/?a=1&b=2");
    vh__oci_config_fini(&c);
}

static void signals_are_numbers_or_names(void **state)
{
    (void)state;
    assert_int_equal(vh__oci_signal("SIGTERM"), 15);
    assert_int_equal(vh__oci_signal("QUIT"), 3);
    assert_int_equal(vh__oci_signal("9"), 9);
    assert_int_equal(vh__oci_signal("SIGRTMIN+3"), 37);
    assert_int_equal(vh__oci_signal("RTMAX-1"), 63);
    assert_int_equal(vh__oci_signal("SIGRTMIN"), 34);
    assert_int_equal(vh__oci_signal("SIG"), 0);
    assert_int_equal(vh__oci_signal("SIGRTMIN+99"), 0);
    assert_int_equal(vh__oci_signal("0"), 0);
    assert_int_equal(vh__oci_signal("9x"), 0);
}

static void references_split_at_the_last_colon_of_their_last_part(void **state)
{
    static const struct {
        const char *rest, *dir, *tag;
    } good[] = {
        { "dir", "dir", NULL },
        { "/a/b:v1", "/a/b", "v1" },
        { "/a:b/c", "/a:b/c", NULL },
        { "/a:b/c:latest", "/a:b/c", "latest" },
        { "/a/b:c:v1", "/a/b:c", "v1" },
    };
    static const char *const bad[] = { "", ":v1", "dir:", "dir:a b", "dir:.x" };
    const char *tag;
    size_t n;
    vh_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(good); i++) {
        assert_ok(vh__oci_split(good[i].rest, &n, &tag, &err), err);
        assert_int_equal(n, strlen(good[i].dir));
        assert_memory_equal(good[i].rest, good[i].dir, n);
        if (good[i].tag)
            assert_string_equal(tag, good[i].tag);
        else
            assert_null(tag);
    }
    for (size_t i = 0; i < VH_ARRAY_LEN(bad); i++)
        assert_int_equal(vh__oci_split(bad[i], &n, &tag, &err), VH_EINVALID);
}

static void a_registrys_document_is_known_by_type_or_content(void **state)
{
    static const struct {
        const char *text, *type;
        int kind; /* or an error */
    } cases[] = {
        { "{}", "application/vnd.oci.image.index.v1+json", VH_OCI_INDEX },
        { "{}", "application/vnd.docker.distribution.manifest.v2+json", VH_OCI_MANIFEST },
        { "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\"}", "", VH_OCI_MANIFEST },
        { "{\"manifests\":[]}", "application/json", VH_OCI_INDEX },
        { "{\"layers\":[]}", "", VH_OCI_MANIFEST },
        { "{}", "", VH_EIMAGE },
        { "{\"layers\":[]}", "application/vnd.oci.image.config.v1+json", VH_EIMAGE },
        { "{\"schemaVersion\":1}", "application/vnd.oci.image.manifest.v1+json", VH_EIMAGE },
        { "{\"manifests\":[],\"layers\":[]}", "application/vnd.oci.image.index.v1+json", VH_EIMAGE },
        { "{\"manifests\":[],\"layers\":[]}", "application/vnd.oci.image.manifest.v1+json", VH_EIMAGE },
        { "{\"manifests\":[],\"layers\":[]}", "", VH_EIMAGE },
        { "{}", "application/vnd.docker.distribution.manifest.v1+json", VH_EIMAGE },
        { "[]", "application/vnd.oci.image.index.v1+json", VH_EIMAGE },
    };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(cases); i++) {
        vh__oci_kind kind = VH_OCI_OTHER;
        vh_error err = { 0 };
        int rc = vh__oci_document_kind(cases[i].text, strlen(cases[i].text), cases[i].type, &kind, &err);

        if ((rc ? rc : (int)kind) != cases[i].kind)
            fail_msg("case %zu: %d %s", i, rc ? rc : (int)kind, err.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_is_picked_by_tag),
        cmocka_unit_test(a_lone_image_needs_no_tag),
        cmocka_unit_test(the_platform_decides_among_equal_tags),
        cmocka_unit_test(indexes_that_are_none_are_refused),
        cmocka_unit_test(manifests_of_oci_and_docker_are_read),
        cmocka_unit_test(hostile_configs_are_refused),
        cmocka_unit_test(a_config_may_say_nothing),
        cmocka_unit_test(the_lowest_tcp_port_counts),
        cmocka_unit_test(a_label_tells_a_typical_request),
        cmocka_unit_test(signals_are_numbers_or_names),
        cmocka_unit_test(a_registrys_document_is_known_by_type_or_content),
        cmocka_unit_test(references_split_at_the_last_colon_of_their_last_part),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
