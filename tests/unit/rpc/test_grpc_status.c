/* Values of gRPC on the wire: codes, messages, timeouts. */
#include "testenv.h"

#include <string.h>

#include "auto.h"
#include "clock.h"
#include "grpc_status.h"

static void codes_have_names_and_unknown_ones_are_unknown(void **state)
{
    (void)state;
    assert_string_equal(vh__grpc_status_name(VH_GRPC_OK), "OK");
    assert_string_equal(vh__grpc_status_name(16), "UNAUTHENTICATED");
    assert_string_equal(vh__grpc_status_name(17), "UNKNOWN");
    assert_string_equal(vh__grpc_status_name(-1), "UNKNOWN");
}

static void a_status_is_a_small_number_or_unknown(void **state)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = { { "0", 0 }, { "14", 14 }, { "16", 16 }, { "17", 2 },         { "-1", 2 },
                  { "", 2 },  { "1x", 2 },  { " 1", 2 },  { "4294967296", 2 }, { "007", 7 } };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(cases); i++)
        assert_int_equal(vh__grpc_status_parse(cases[i].text, strlen(cases[i].text)), cases[i].status);
}

static void errors_of_http_and_http2_stand_for_a_status(void **state)
{
    (void)state;
    assert_int_equal(vh__grpc_status_from_http(404), VH_GRPC_UNIMPLEMENTED);
    assert_int_equal(vh__grpc_status_from_http(503), VH_GRPC_UNAVAILABLE);
    assert_int_equal(vh__grpc_status_from_http(200), VH_GRPC_UNKNOWN);
    assert_int_equal(vh__grpc_status_from_h2(7), VH_GRPC_UNAVAILABLE); /* REFUSED_STREAM */
    assert_int_equal(vh__grpc_status_from_h2(8), VH_GRPC_CANCELLED);
    assert_int_equal(vh__grpc_status_from_h2(11), VH_GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(vh__grpc_status_from_h2(0xffffffff), VH_GRPC_INTERNAL);
}

static void check_message(const char *plain, const char *encoded)
{
    vh_auto_buf vh__buf there = { 0 }, back = { 0 };

    vh__grpc_message_encode(plain, strlen(plain), &there);
    assert_string_equal(there.data ? there.data : "", encoded);
    vh__grpc_message_decode(encoded, strlen(encoded), &back);
    assert_string_equal(back.data ? back.data : "", plain);
}

static void messages_survive_percent_encoding(void **state)
{
    (void)state;
    check_message("", "");
    check_message("plain text ~", "plain text ~");
    check_message("100% of it\r\n", "100%25 of it%0D%0A");
    check_message("\xc3\xa9t\xc3\xa9", "%C3%A9t%C3%A9");
}

static void broken_sequences_stand_for_themselves(void **state)
{
    static const char *const broken[] = { "%", "%4", "a%zz", "%%", "100%" };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(broken); i++) {
        vh_auto_buf vh__buf out = { 0 };

        vh__grpc_message_decode(broken[i], strlen(broken[i]), &out);
        assert_string_equal(out.data, broken[i]);
    }
}

static void a_long_message_is_cut_between_characters(void **state)
{
    char text[VH_GRPC_MESSAGE_MAX + 8];
    vh_auto_buf vh__buf there = { 0 }, back = { 0 };

    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text + VH_GRPC_MESSAGE_MAX - 1, "\xc3\xa9", 2); /* one byte of it would fit */
    vh__grpc_message_encode(text, sizeof(text), &there);
    vh__grpc_message_decode(there.data, there.len, &back);
    assert_int_equal(back.len, VH_GRPC_MESSAGE_MAX - 1);
    vh__buf_clear(&back);
    vh__grpc_message_decode(text, sizeof(text), &back);
    assert_int_equal(back.len, VH_GRPC_MESSAGE_MAX);
}

static void timeouts_parse_in_every_unit(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = { { "1n", 1 },
                  { "2u", 2000 },
                  { "3m", 3000000 },
                  { "4S", 4 * VH_NS_PER_S },
                  { "5M", 300 * VH_NS_PER_S },
                  { "1H", 3600 * VH_NS_PER_S },
                  { "0n", 0 },
                  { "99999999H", INT64_MAX } };
    int64_t ns;

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(cases); i++) {
        assert_int_equal(vh__grpc_timeout_parse(cases[i].text, strlen(cases[i].text), &ns), 0);
        assert_int_equal(ns, cases[i].ns);
    }
}

static void bad_timeouts_are_refused(void **state)
{
    static const char *const bad[] = { "", "n", "1", "1s", "123456789n", "-1n", "+1n", " 1n", "1.5S", "1nn" };
    int64_t ns = 42;

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(bad); i++)
        assert_int_equal(vh__grpc_timeout_parse(bad[i], strlen(bad[i]), &ns), VH_EINVALID);
    assert_int_equal(ns, 42);
}

static void a_formatted_timeout_is_never_shorter(void **state)
{
    static const int64_t values[] = { 0, 1, 99999999, 100000000, 100000001, 30 * VH_NS_PER_S, INT64_MAX };
    char text[VH_GRPC_TIMEOUT_LEN];
    int64_t ns;

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(values); i++) {
        vh__grpc_timeout_format(values[i], text);
        assert_int_equal(vh__grpc_timeout_parse(text, strlen(text), &ns), 0);
        assert_true(ns >= values[i]);
        assert_true(ns - values[i] <= values[i] / 10000);
    }
    vh__grpc_timeout_format(-5, text);
    assert_string_equal(text, "0n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_have_names_and_unknown_ones_are_unknown),
        cmocka_unit_test(a_status_is_a_small_number_or_unknown),
        cmocka_unit_test(errors_of_http_and_http2_stand_for_a_status),
        cmocka_unit_test(messages_survive_percent_encoding),
        cmocka_unit_test(broken_sequences_stand_for_themselves),
        cmocka_unit_test(a_long_message_is_cut_between_characters),
        cmocka_unit_test(timeouts_parse_in_every_unit),
        cmocka_unit_test(bad_timeouts_are_refused),
        cmocka_unit_test(a_formatted_timeout_is_never_shorter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
