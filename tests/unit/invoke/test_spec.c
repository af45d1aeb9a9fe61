/* The text that names a call. */
#include "testenv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "failalloc.h"
#include "fd.h"
#include "invoke_priv.h"

static vh_invoke_request *parse(const char *spec)
{
    vh_invoke_request *q = NULL;
    vh_error err = { 0 };

    assert_ok(vh_invoke_parse(spec, &q, &err), err);
    return q;
}

static void check_http(const char *spec, const char *verb, const char *path, const char *body)
{
    vh_invoke_request *q = parse(spec);

    assert_null(q->grpc);
    assert_string_equal(q->verb, verb);
    assert_string_equal(q->path, path);
    assert_int_equal(q->has_body, body != NULL);
    if (body)
        assert_string_equal(q->body.data, body);
    vh_invoke_request_free(q);
}

static void http_specs_name_method_path_and_body(void **state)
{
    (void)state;
    check_http("http:/", "GET", "/", NULL);
    check_http("http:/a:b?q=1&r=%20", "GET", "/a:b?q=1&r=%20", NULL);
    check_http("http:DELETE:/a", "DELETE", "/a", NULL);
    check_http("http:POST:/a:", "POST", "/a", "");
    check_http("http:POST:/a:{\"k\": \"v:w\"}", "POST", "/a", "{\"k\": \"v:w\"}");
}

static void a_body_comes_from_a_file(void **state)
{
    char path[96], spec[160];
    vh_error err = { 0 };
    testenv t;

    (void)state;
    testenv_init(&t);
    (void)snprintf(path, sizeof(path), "%s/body", t.dir);
    assert_ok(vh__file_write_atomic(path, "from a file", 11, 0600, &err), err);
    (void)snprintf(spec, sizeof(spec), "http:PUT:/a:@%s", path);
    check_http(spec, "PUT", "/a", "from a file");
    assert_ok(vh__file_write_atomic(path, "{\"name\":\"f\"}", 12, 0600, &err), err);
    (void)snprintf(spec, sizeof(spec), "grpc:helloworld.Greeter/SayHello:@%s", path);
    vh_invoke_request_free(parse(spec));
    testenv_fini(&t);
}

static void a_grpc_spec_is_encoded(void **state)
{
    vh_invoke_request *q = parse("grpc:helloworld.Greeter/SayHello:{\"name\":\"record\"}");

    (void)state;
    assert_non_null(q->grpc);
    assert_string_equal(q->path, "/helloworld.Greeter/SayHello");
    assert_int_equal(q->body.len, 8);
    assert_memory_equal(q->body.data, "\x0a\x06record", 8);
    vh_invoke_request_free(q);
    q = parse("grpc:helloworld.Greeter/SayHello:{}");
    assert_int_equal(q->body.len, 0);
    vh_invoke_request_free(q);
}

static void bad_specs_say_what_is_wrong(void **state)
{
    static const struct {
        const char *spec;
        int code;
        const char *says;
    } cases[] = {
        { "", VH_EINVALID, "write http:/path" },
        { "https:/", VH_EINVALID, "neither http: nor grpc:" },
        { "http:", VH_EINVALID, "names no path" },
        { "http:GET", VH_EINVALID, "names no path" },
        { "http:get:/", VH_EINVALID, "upper case" },
        { "http::/", VH_EINVALID, "upper case" },
        { "http:ABCDEFGHIJKLMNOPQ:/", VH_EINVALID, "upper case" },
        { "http:GET:path", VH_EINVALID, "must begin with '/'" },
        { "http:/a b", VH_EINVALID, "percent-encoded" },
        { "http:/a\r\nX: y", VH_EINVALID, "percent-encoded" },
        { "http:/a#b", VH_EINVALID, "percent-encoded" },
        { "http:POST:/a:@/nonexistent/file", VH_ENOTFOUND, "/nonexistent/file" },
        { "grpc:", VH_EINVALID, "grpc:helloworld.Greeter/SayHello" },
        { "grpc:helloworld.Greeter/SayHello", VH_EINVALID, "no request" },
        { "grpc:a.B/C:{}", VH_EINVALID, "there is: helloworld.Greeter/SayHello" },
        { "grpc:helloworld.Greeter/SayHello:", VH_EINVALID, "not valid JSON" },
        { "grpc:helloworld.Greeter/SayHello:[]", VH_EINVALID, "{\"name\":\"record\"}" },
        { "grpc:helloworld.Greeter/SayHello:{\"nme\":1}", VH_EINVALID, "no member 'nme'" },
        { "grpc:helloworld.Greeter/SayHello:{\"name\":1}", VH_EINVALID, "must be a string" },
    };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(cases); i++) {
        vh_invoke_request *q = NULL;
        vh_error err = { 0 };
        int rc = vh_invoke_parse(cases[i].spec, &q, &err);

        if (rc != cases[i].code || !strstr(err.msg, cases[i].says))
            fail_msg("'%s': %s (%s)", cases[i].spec, vh_error_name(rc), err.msg);
        assert_null(q);
    }
}

static void check_data(const char *spec, const char *data, const char *verb, const char *body)
{
    vh_invoke_request *q = NULL;
    vh_error err = { 0 };

    assert_ok(vh_invoke_parse_data(spec, data, data ? strlen(data) : 0, &q, &err), err);
    assert_string_equal(q->verb, verb);
    assert_int_equal(q->has_body, body != NULL);
    if (body)
        assert_string_equal(q->body.data, body);
    vh_invoke_request_free(q);
}

static void data_from_elsewhere_takes_the_body_s_place(void **state)
{
    vh_invoke_request *q = NULL;
    vh_error err = { 0 };

    (void)state;
    check_data("http:/a", NULL, "GET", NULL);
    check_data("http:/a", "x", "POST", "x");
    check_data("http:PUT:/a", "x", "PUT", "x");
    check_data("http:PUT:/a:text", "x", "PUT", "x");
    check_data("http:PUT:/a:text", NULL, "PUT", "text");
    check_data("http:PUT:/a:@/etc/passwd", "x", "PUT", "x"); /* not read */
    check_data("http:PUT:/a", "@/etc/passwd", "PUT", "@/etc/passwd"); /* is data, and no name */
    assert_int_equal(vh_invoke_parse_data("http:PUT:/a:@/etc/passwd", NULL, 0, &q, &err), VH_EINVALID);
    assert_int_equal(vh_invoke_parse_data("grpc:helloworld.Greeter/SayHello:@/etc/passwd", NULL, 0, &q, &err),
                     VH_EINVALID);
    assert_int_equal(vh_invoke_parse_data("grpc:helloworld.Greeter/SayHello:{}", "[1]", 3, &q, &err), VH_EINVALID);
    assert_ok(vh_invoke_parse_data("grpc:helloworld.Greeter/SayHello:{}", "{\"name\":\"x\"}", 12, &q, &err), err);
    assert_int_equal(q->body.len, 3);
    vh_invoke_request_free(q);
}

static int parse_one(void *spec)
{
    vh_invoke_request *q;
    int rc = vh_invoke_parse(spec, &q, NULL);

    if (!rc)
        vh_invoke_request_free(q);
    return rc;
}

static void running_out_of_memory_unwinds(void **state)
{
    (void)state;
    failalloc_sweep(parse_one, (char[]){ "http:POST:/a:body" });
    failalloc_sweep(parse_one, (char[]){ "grpc:helloworld.Greeter/SayHello:{\"name\":\"x\"}" });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_specs_name_method_path_and_body),
        cmocka_unit_test(a_body_comes_from_a_file),
        cmocka_unit_test(a_grpc_spec_is_encoded),
        cmocka_unit_test(data_from_elsewhere_takes_the_body_s_place),
        cmocka_unit_test(bad_specs_say_what_is_wrong),
        cmocka_unit_test(running_out_of_memory_unwinds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
