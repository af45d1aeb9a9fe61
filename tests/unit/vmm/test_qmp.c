/* The QMP codec: lines in any pieces, the four kinds of messages, nothing else. */
#include "testenv.h"

#include <string.h>

#include "failalloc.h"
#include "qmp.h"

/* Feeds |text| in pieces of |step| bytes and expects exactly one message, which the caller frees. */
static vh__qmp_message one(const char *text, size_t step)
{
    vh__qmp_decoder d = { 0 };
    vh__qmp_message m = { 0 };
    vh_error err = { 0 };
    int rc = 0;

    for (size_t at = 0; at < strlen(text); at += step) {
        size_t n = strlen(text) - at < step ? strlen(text) - at : step;

        assert_int_equal(rc, 0);
        assert_ok(vh__qmp_feed(&d, text + at, n, &err), err);
        rc = vh__qmp_next(&d, &m, &err);
    }
    if (rc != 1)
        fail_msg("no message: %d %s", rc, err.msg);
    vh__qmp_decoder_fini(&d);
    return m;
}

static void an_answer_is_found_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t step = 1; step < 40; step++) {
        vh__qmp_message m = one("{\"return\": {\"status\": \"running\"}, \"id\": 7}\r\n", step);

        assert_int_equal(m.kind, VH_QMP_RETURN);
        assert_int_equal(m.id, 7);
        assert_string_equal(vh__json_str_or(m.body, "status", ""), "running");
        vh__qmp_message_fini(&m);
    }
}

static void errors_events_and_greetings_are_told_apart(void **state)
{
    vh__qmp_message m;

    (void)state;
    m = one("{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}, \"id\": 1}\n", 1000);
    assert_int_equal(m.kind, VH_QMP_ERROR);
    assert_string_equal(vh__json_str_or(m.body, "desc", ""), "no");
    vh__qmp_message_fini(&m);
    m = one("{\"event\": \"STOP\", \"timestamp\": {}}\n", 1000);
    assert_int_equal(m.kind, VH_QMP_EVENT);
    assert_string_equal(m.name, "STOP");
    vh__qmp_message_fini(&m);
    m = one("{\"QMP\": {\"version\": {}, \"capabilities\": []}}\n", 1000);
    assert_int_equal(m.kind, VH_QMP_GREETING);
    vh__qmp_message_fini(&m);
}

static void two_messages_in_one_read_come_out_in_order(void **state)
{
    const char text[] = "\n{\"return\": {}, \"id\": 1}\n{\"return\": [], \"id\": 2}\n{\"ret";
    vh__qmp_decoder d = { 0 };
    vh__qmp_message m;
    vh_error err = { 0 };

    (void)state;
    assert_ok(vh__qmp_feed(&d, text, strlen(text), &err), err);
    for (unsigned id = 1; id <= 2; id++) {
        assert_int_equal(vh__qmp_next(&d, &m, &err), 1);
        assert_int_equal(m.id, id);
        vh__qmp_message_fini(&m);
    }
    assert_int_equal(vh__qmp_next(&d, &m, &err), 0);
    vh__qmp_decoder_fini(&d);
}

static void lines_that_are_no_messages_are_refused(void **state)
{
    static const char *const bad[] = { "hello\n", "{}\n", "[1]\n", "{\"return\"\n", "{\"error\": 3}\n", "{}{}\n" };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        vh__qmp_decoder d = { 0 };
        vh__qmp_message m;
        vh_error err = { 0 };

        assert_ok(vh__qmp_feed(&d, bad[i], strlen(bad[i]), &err), err);
        assert_int_equal(vh__qmp_next(&d, &m, &err), VH_EPROTOCOL);
        vh__qmp_decoder_fini(&d);
    }
}

static void a_line_without_end_hits_the_limit(void **state)
{
    static char chunk[65536];
    vh__qmp_decoder d = { 0 };
    vh__qmp_message m;
    vh_error err = { 0 };
    int rc = 0;

    (void)state;
    memset(chunk, 'x', sizeof(chunk));
    for (size_t fed = 0; rc == 0 && fed <= VH_QMP_LINE_MAX; fed += sizeof(chunk)) {
        assert_ok(vh__qmp_feed(&d, chunk, sizeof(chunk), &err), err);
        rc = vh__qmp_next(&d, &m, &err);
    }
    assert_int_equal(rc, VH_ELIMIT);
    vh__qmp_decoder_fini(&d);
}

static void a_command_is_one_line_with_its_arguments(void **state)
{
    vh__buf out = { 0 };
    cJSON *args = cJSON_Parse("{\"fdname\": \"a\\nb\"}");

    (void)state;
    vh__qmp_command(&out, 3, "getfd", args);
    assert_string_equal(out.data, "{\"execute\":\"getfd\",\"id\":3,\"arguments\":{\"fdname\":\"a\\nb\"}}\n");
    cJSON_Delete(args);
    vh__buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_found_however_it_is_cut),
        cmocka_unit_test(errors_events_and_greetings_are_told_apart),
        cmocka_unit_test(two_messages_in_one_read_come_out_in_order),
        cmocka_unit_test(lines_that_are_no_messages_are_refused),
        cmocka_unit_test(a_line_without_end_hits_the_limit),
        cmocka_unit_test(a_command_is_one_line_with_its_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
