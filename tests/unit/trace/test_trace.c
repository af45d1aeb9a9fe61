/* Contexts in headers, spans from phases, Zipkin JSON. */
#include "testenv.h"

#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "failalloc.h"
#include "json.h"
#include "trace.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN  "b7ad6b7169203331"

static bool w3c(const char *text, vh__trace_context *c)
{
    return vh__trace_parse_w3c(text, strlen(text), c);
}

static bool b3(const char *text, vh__trace_context *c)
{
    return vh__trace_parse_b3(text, strlen(text), c);
}

static void traceparent_is_read_and_written(void **state)
{
    vh__trace_context c = { 0 };
    char text[VH_TRACE_W3C_TEXT];

    (void)state;
    assert_true(w3c("00-" TRACE "-" SPAN "-01", &c));
    assert_true(c.trace_hi == 0x0af7651916cd43dd && c.trace_lo == 0x8448eb211c80319c);
    assert_true(c.span == 0xb7ad6b7169203331 && c.parent == 0);
    assert_int_equal(c.sampling, VH_SAMPLE_YES);
    assert_string_equal(vh__trace_format_w3c(&c, text), "00-" TRACE "-" SPAN "-01");
    assert_true(w3c("00-" TRACE "-" SPAN "-02", &c));
    assert_int_equal(c.sampling, VH_SAMPLE_NO);
    assert_true(w3c("cc-" TRACE "-" SPAN "-01-what-the-future-brings", &c));
}

static void malformed_traceparents_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "00-" TRACE "-" SPAN,
        "00-" TRACE "-" SPAN "-01-more",
        "cc-" TRACE "-" SPAN "-01more",
        "ff-" TRACE "-" SPAN "-01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01",
        "00_" TRACE "-" SPAN "-01",
        "00-" TRACE "-" SPAN "-0x",
    };
    vh__trace_context c = { .span = 7 };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(bad); i++)
        assert_false(w3c(bad[i], &c));
    assert_true(c.span == 7);
}

static void b3_is_read_and_written_in_all_its_forms(void **state)
{
    static const char *const good[] = {
        "0", "1", "d", TRACE "-" SPAN, TRACE "-" SPAN "-d", "8448eb211c80319c-" SPAN "-0",
        TRACE "-" SPAN "-1-05e3ac9a4f6e3b90",
    };
    static const char *const bad[] = {
        "", "2", "-", TRACE, TRACE "-", TRACE "-" SPAN "-", TRACE "-" SPAN "-2", TRACE "-" SPAN "-1-", "0af7-" SPAN,
        TRACE "-" SPAN "-1-05e3ac9a4f6e3b90x", "0000000000000000-" SPAN, TRACE "-0000000000000000",
    };
    vh__trace_context c = { 0 };
    char text[VH_TRACE_B3_TEXT];

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(good); i++) {
        assert_true(b3(good[i], &c));
        assert_string_equal(vh__trace_format_b3(&c, text), good[i]);
    }
    assert_true(c.parent == 0x05e3ac9a4f6e3b90);
    for (size_t i = 0; i < VH_ARRAY_LEN(bad); i++)
        assert_false(b3(bad[i], &c));
}

static void b3_in_separate_headers_is_read(void **state)
{
    vh__trace_context c = { 0 };

    (void)state;
    assert_true(vh__trace_parse_b3_headers(
        &(vh__trace_b3_headers){ TRACE, SPAN, "05e3ac9a4f6e3b90", "1", NULL }, &c));
    assert_true(c.span == 0xb7ad6b7169203331 && c.parent == 0x05e3ac9a4f6e3b90 && c.sampling == VH_SAMPLE_YES);
    assert_true(vh__trace_parse_b3_headers(&(vh__trace_b3_headers){ .trace_id = TRACE, .span_id = SPAN, .flags = "1" },
                                           &c));
    assert_int_equal(c.sampling, VH_SAMPLE_DEBUG);
    assert_true(vh__trace_parse_b3_headers(&(vh__trace_b3_headers){ .sampled = "0" }, &c));
    assert_true(c.span == 0 && c.sampling == VH_SAMPLE_NO);
    assert_false(vh__trace_parse_b3_headers(&(vh__trace_b3_headers){ 0 }, &c));
    assert_false(vh__trace_parse_b3_headers(&(vh__trace_b3_headers){ .trace_id = TRACE }, &c));
    assert_false(vh__trace_parse_b3_headers(&(vh__trace_b3_headers){ .trace_id = TRACE, .span_id = "12" }, &c));
    assert_false(vh__trace_parse_b3_headers(&(vh__trace_b3_headers){ .sampled = "maybe" }, &c));
}

static void a_child_keeps_the_trace_and_a_decision_alone_starts_one(void **state)
{
    vh__trace_context root, child, denied;
    vh_error err = { 0 };

    (void)state;
    assert_ok(vh__trace_start(&root, &err), err);
    assert_true(root.span && root.trace_lo && !root.parent);
    assert_ok(vh__trace_child(&root, &child, &err), err);
    assert_true(child.trace_hi == root.trace_hi && child.trace_lo == root.trace_lo);
    assert_true(child.parent == root.span && child.span != root.span);
    assert_true(b3("0", &denied));
    assert_ok(vh__trace_child(&denied, &child, &err), err);
    assert_true(child.span && !child.parent && child.sampling == VH_SAMPLE_NO);
}

struct spans {
    vh__span v[8];
    size_t n;
};

static void collect(const vh__span *span, void *arg)
{
    struct spans *s = arg;

    assert_true(s->n < VH_ARRAY_LEN(s->v));
    s->v[s->n++] = *span;
}

static vh_phases two_phases(void)
{
    vh_phases p = { .begin_ns = 1000 };

    vh_phases_add(&p, "ws-fetch", 1000, 6000, false);
    vh_phases_add(&p, "vmm-spawn", 2000, 2300, true);
    return p;
}

static void each_phase_becomes_a_child_span(void **state)
{
    vh_phases p = two_phases();
    vh__trace_context c;
    struct spans s = { 0 };
    vh_error err = { 0 };

    (void)state;
    assert_ok(vh__trace_start(&c, &err), err);
    assert_ok(vh__trace_phases(&c, "cold-start", &p, 5000000, collect, &s, &err), err);
    assert_int_equal(s.n, 3);
    assert_string_equal(s.v[1].name, "vmm-spawn");
    assert_string_equal(s.v[1].tags[0].value, "true");
    assert_true(s.v[1].context.parent == c.span);
    assert_string_equal(s.v[0].tags[0].value, "false");
    assert_string_equal(s.v[2].name, "cold-start");
    assert_true(s.v[2].context.span == c.span);
    assert_int_equal(s.v[2].start_ns, 5001000);
    assert_int_equal(s.v[2].ns, 5000); /* unfinished: to the end of its last phase */
    c.sampling = VH_SAMPLE_NO;
    assert_ok(vh__trace_phases(&c, "cold-start", &p, 0, collect, &s, &err), err);
    assert_int_equal(s.n, 3);
}

static void zipkin_json_has_what_zipkin_wants(void **state)
{
    vh__span spans[2] = {
        { .context = { 1, 2, 3, 4, VH_SAMPLE_YES }, .name = "a\"\xff", .start_ns = 1700000000123456789, .ns = 200 },
        { .context = { 0, 2, 5, 0, VH_SAMPLE_DEBUG }, .name = "b", .ns = 5000, .tags = { { "k", "v" } } },
    };
    vh_auto_buf vh__buf out = { 0 };
    vh_error err = { 0 };

    (void)state;
    assert_ok(vh__zipkin_encode("vhived", spans, 2, &out, &err), err);
    assert_string_equal(out.data,
                        "[{\"localEndpoint\":{\"serviceName\":\"vhived\"},"
                        "\"traceId\":\"00000000000000010000000000000002\",\"id\":\"0000000000000003\","
                        "\"parentId\":\"0000000000000004\",\"name\":\"a\\\"?\",\"timestamp\":1700000000123456,"
                        "\"duration\":1},"
                        "{\"localEndpoint\":{\"serviceName\":\"vhived\"},\"traceId\":\"0000000000000002\","
                        "\"id\":\"0000000000000005\",\"name\":\"b\",\"timestamp\":0,\"duration\":5,"
                        "\"tags\":{\"k\":\"v\"},\"debug\":true}]");
}

static int encode_once(void *arg)
{
    vh__span span = { .name = "x" };
    vh_auto_buf vh__buf out = { 0 };

    (void)arg;
    return vh__zipkin_encode("s", &span, 1, &out, NULL);
}

static void running_out_of_memory_is_an_error(void **state)
{
    (void)state;
    failalloc_sweep(encode_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traceparent_is_read_and_written),
        cmocka_unit_test(malformed_traceparents_are_refused),
        cmocka_unit_test(b3_is_read_and_written_in_all_its_forms),
        cmocka_unit_test(b3_in_separate_headers_is_read),
        cmocka_unit_test(a_child_keeps_the_trace_and_a_decision_alone_starts_one),
        cmocka_unit_test(each_phase_becomes_a_child_span),
        cmocka_unit_test(zipkin_json_has_what_zipkin_wants),
        cmocka_unit_test(running_out_of_memory_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
