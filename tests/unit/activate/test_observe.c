/* What the head of a request says about its trace. */
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "observe.h"
#include "testenv.h"

#define W3C "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
#define B3  "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90"
#define SPAN_W3C 0x00f067aa0ba902b7
#define SPAN_B3  0xe457b5a2e4d86bd1

static uint64_t span_of(const char *head)
{
    vh__trace_context c = { .span = 0 };

    return vh__observe(head, strlen(head), &c) ? c.span : 0;
}

static void headers_of_http1_are_found_in_any_case_and_with_any_blanks(void **state)
{
    (void)state;
    assert_int_equal(span_of("GET / HTTP/1.1\r\nHost: a\r\ntraceparent: " W3C "\r\n\r\n"), SPAN_W3C);
    assert_int_equal(span_of("POST /x HTTP/1.0\nTraceParent:\t" W3C " \n"), SPAN_W3C);
    assert_int_equal(span_of("GET / HTTP/1.1\r\nB3: " B3 "\r\n\r\n"), SPAN_B3);
    assert_int_equal(span_of("GET / HTTP/1.1\r\nX-B3-TraceId: 80f198ee56343ba864fe8b2a57d3eff7\r\n"
                             "X-B3-SpanId: e457b5a2e4d86bd1\r\nX-B3-Sampled: 1\r\n\r\n"),
                     SPAN_B3);
    assert_int_equal(span_of("GET / HTTP/1.1\r\nb3: " B3 "\r\ntraceparent: " W3C "\r\n\r\n"), SPAN_W3C);
    assert_int_equal(span_of("GET / HTTP/1.1\r\nb3: " B3 "\r\ntraceparent: 00-bad\r\n\r\n"), SPAN_B3);
}

static void what_is_no_whole_header_of_a_request_is_not_taken(void **state)
{
    static const char *const heads[] = {
        "", "\r\n", "traceparent: " W3C "\r\n\r\n", "SSH-2.0-x\r\ntraceparent: " W3C "\r\n",
        "GET / HTTP/1.1\r\ntraceparent: " W3C,           /* its end may be missing */
        "GET / HTTP/1.1\r\n\r\ntraceparent: " W3C "\r\n", /* a body */
        "GET / HTTP/1.1\r\nxtraceparent: " W3C "\r\n\r\n", "GET / HTTP/1.1\r\ntraceparent " W3C "\r\n\r\n",
        "GET / HTTP/1.1\r\ntraceparent: " W3C "-and-a-tail-that-no-version-was-ever-known-to-have\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    };
    vh__trace_context c;

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(heads); i++)
        assert_false(vh__observe(heads[i], strlen(heads[i]), &c));
}

static void nothing_beyond_8_kib_is_looked_at(void **state)
{
    static char head[VH_OBSERVE_MAX + 100];
    static const char begin[] = "GET / HTTP/1.1\r\nx: ", end[] = "\r\ntraceparent: " W3C "\r\n\r\n";
    vh__trace_context c;

    (void)state;
    memset(head, 'x', sizeof(head));
    memcpy(head, begin, sizeof(begin) - 1);
    memcpy(head + VH_OBSERVE_MAX - sizeof(end), end, sizeof(end) - 1);
    assert_true(vh__observe(head, sizeof(head), &c));
    memset(head, 'x', sizeof(head));
    memcpy(head, begin, sizeof(begin) - 1);
    memcpy(head + VH_OBSERVE_MAX - 20, end, sizeof(end) - 1);
    assert_false(vh__observe(head, sizeof(head), &c));
}

/* Appends a frame of HTTP/2 of stream 1. */
static void frame(vh__buf *out, uint8_t type, uint8_t flags, const void *payload, size_t n)
{
    const uint8_t head[9] = { (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, type, flags, 0, 0, 0, 1 };

    vh__buf_append(out, head, sizeof(head));
    vh__buf_append(out, payload, n);
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), strlen(value), 0 };
}

/* A header block with |name|, compressed as clients do it. */
static size_t block_with(const char *name, const char *value, uint8_t block[512])
{
    const nghttp2_nv fields[] = { field(":method", "POST"), field(":path", "/a.B/C"), field("te", "trailers"),
                                  field(name, value) };
    nghttp2_hd_deflater *deflater;
    ssize_t n;

    assert_int_equal(nghttp2_hd_deflate_new(&deflater, 4096), 0);
    n = nghttp2_hd_deflate_hd(deflater, block, 512, fields, VH_ARRAY_LEN(fields));
    nghttp2_hd_deflate_del(deflater);
    assert_true(n > 40);
    return (size_t)n;
}

static void begin_h2(vh__buf *out)
{
    vh__buf_puts(out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    frame(out, NGHTTP2_SETTINGS, 0, "\0\3\0\0\0\144", 6);
    frame(out, NGHTTP2_WINDOW_UPDATE, 0, "\0\0\377\377", 4);
}

static void headers_of_http2_are_found(void **state)
{
    vh_auto_buf vh__buf out = { 0 };
    vh__trace_context c;
    uint8_t block[512];
    size_t n = block_with("traceparent", W3C, block);

    (void)state;
    begin_h2(&out);
    frame(&out, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, block, n);
    frame(&out, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, "body", 4);
    assert_true(vh__observe(out.data, out.len, &c));
    assert_int_equal(c.span, SPAN_W3C);
    assert_int_equal(c.sampling, VH_SAMPLE_YES);
}

static void padding_priority_and_continuations_are_understood(void **state)
{
    vh_auto_buf vh__buf out = { 0 }, first = { 0 };
    vh__trace_context c;
    uint8_t block[512];
    size_t n = block_with("b3", B3, block);

    (void)state;
    vh__buf_append(&first, "\2\0\0\0\0\020", 6); /* two bytes of padding; priority */
    vh__buf_append(&first, block, 10);
    vh__buf_append(&first, "\0\0", 2);
    begin_h2(&out);
    frame(&out, NGHTTP2_HEADERS, NGHTTP2_FLAG_PADDED | NGHTTP2_FLAG_PRIORITY, first.data, first.len);
    frame(&out, NGHTTP2_CONTINUATION, 0, block + 10, 20);
    frame(&out, NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, block + 30, n - 30);
    assert_true(vh__observe(out.data, out.len, &c));
    assert_int_equal(c.span, SPAN_B3);
    for (size_t cut = 0; cut < out.len; cut++) /* found or not, nothing beyond the end is read */
        (void)vh__observe(out.data, cut, &c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_of_http1_are_found_in_any_case_and_with_any_blanks),
        cmocka_unit_test(what_is_no_whole_header_of_a_request_is_not_taken),
        cmocka_unit_test(nothing_beyond_8_kib_is_looked_at),
        cmocka_unit_test(headers_of_http2_are_found),
        cmocka_unit_test(padding_priority_and_continuations_are_understood),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
