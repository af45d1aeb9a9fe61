/* Heads of requests: what is read, and by which status the rest is refused. */
#include "testenv.h"

#include <string.h>

#include "auto.h"
#include "http_head.h"

static int parse(const char *text, vh__http_head *head)
{
    return vh__http_head_parse(text, strlen(text), head);
}

static void a_request_is_read(void **state)
{
    static const char text[] = "GET /metrics?name[]=x HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\nGET / HTTP/1.1\r\n";
    vh__http_head head = { .target = "" };

    (void)state;
    assert_int_equal(parse(text, &head), strstr(text, "GET / ") - text);
    assert_string_equal(head.target, "/metrics");
    assert_false(head.head);
    assert_true(head.keep_alive);
}

static void a_part_of_a_request_is_no_request_yet(void **state)
{
    static const char text[] = "HEAD /healthz HTTP/1.0\r\nConnection: x, Keep-Alive\r\nContent-Length: 0\r\n\r\n";
    vh__http_head head = { .target = "untouched" };

    (void)state;
    for (size_t n = 0; n < sizeof(text) - 1; n++)
        assert_int_equal(vh__http_head_parse(text, n, &head), 0);
    assert_string_equal(head.target, "untouched");
    assert_int_equal(vh__http_head_parse(text, sizeof(text) - 1, &head), sizeof(text) - 1);
    assert_true(head.head);
    assert_true(head.keep_alive);
}

static void a_connection_is_kept_as_the_version_and_the_header_say(void **state)
{
    static const struct {
        const char *text;
        bool keep;
    } cases[] = {
        { "GET / HTTP/1.1\r\nHost: x\r\n\r\n", true },
        { "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", false },
        { "GET / HTTP/1.1\r\nHost: x\r\nCONNECTION:foo ,\tCLOSE\r\n\r\n", false },
        { "GET / HTTP/1.1\r\nHost: x\r\nConnection: closed\r\n\r\n", true },
        { "GET / HTTP/1.0\r\n\r\n", false },
        { "GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", false },
    };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(cases); i++) {
        vh__http_head head;

        assert_true(parse(cases[i].text, &head) > 0);
        assert_int_equal(head.keep_alive, cases[i].keep);
    }
}

static void what_is_no_request_for_us_is_refused_by_its_status(void **state)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        { "GET / HTTP/1.1\r\n\r\n", 400 }, /* no Host */
        { "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400 }, /* a folded line */
        { "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400 },
        { "GET / HTTP/1.1\nHost: a\r\n\r\n", 400 },
        { "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
        { "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400 },
        { "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
        { "GET / http/1.1\r\nHost: a\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", 400 },
        { "\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\nHost: a\r\n\r\n", 405 },
        { "get / HTTP/1.1\r\nHost: a\r\n\r\n", 405 },
        { "PRI * HTTP/2.0\r\n\r\n", 505 },
        { "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", 413 },
        { "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 413 },
    };
    vh__http_head head;

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(cases); i++)
        if (parse(cases[i].text, &head) != -cases[i].status)
            fail_msg("case %zu: %d, want %d", i, parse(cases[i].text, &head), -cases[i].status);
}

static void a_head_and_a_target_have_a_longest_length(void **state)
{
    char text[VH_HTTP_SERVER_HEAD_MAX + 2];
    vh__http_head head;

    (void)state;
    memset(text, 'x', sizeof(text));
    assert_int_equal(vh__http_head_parse(text, VH_HTTP_SERVER_HEAD_MAX, &head), 0);
    assert_int_equal(vh__http_head_parse(text, VH_HTTP_SERVER_HEAD_MAX + 1, &head), -431);
    memcpy(text, "GET /", 5);
    memcpy(text + 5 + VH_HTTP_TARGET_MAX, " HTTP/1.1\r\nHost: a\r\n\r\n", 23);
    assert_int_equal(vh__http_head_parse(text, sizeof(text), &head), -414);
    text[4 + VH_HTTP_TARGET_MAX] = '?';
    assert_true(vh__http_head_parse(text, sizeof(text), &head) > 0);
    assert_int_equal(strlen(head.target), VH_HTTP_TARGET_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_read),
        cmocka_unit_test(a_part_of_a_request_is_no_request_yet),
        cmocka_unit_test(a_connection_is_kept_as_the_version_and_the_header_say),
        cmocka_unit_test(what_is_no_request_for_us_is_refused_by_its_status),
        cmocka_unit_test(a_head_and_a_target_have_a_longest_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
