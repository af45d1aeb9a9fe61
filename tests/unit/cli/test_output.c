/* Results as tables and JSON, and bytes as text. */
#include "testenv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "encode.h"
#include "failalloc.h"
#include "output.h"
#include "report.h"

static const cli_column columns[] = {
    { "NAME", "name", CLI_COLUMN_TEXT },  { "TAGS", "tags", CLI_COLUMN_LIST }, { "N", "n", CLI_COLUMN_NUMBER },
    { "SIZE", "bytes", CLI_COLUMN_BYTES }, { "AT", "at", CLI_COLUMN_TIME },     { "OK", "ok", CLI_COLUMN_BOOL },
};

/* What is written between begin() and end(), which gives it. */
struct capture {
    FILE *f;
    char *text;
    size_t n;
};

static FILE *begin(struct capture *c)
{
    c->f = open_memstream(&c->text, &c->n);
    assert_non_null(c->f);
    return c->f;
}

static const char *end(struct capture *c)
{
    assert_int_equal(fclose(c->f), 0);
    return c->text;
}

static void add(cli_rows *rows, const char *name, const char *tags, int64_t n, int64_t bytes, int64_t at, bool ok)
{
    cli_rows_text(rows, name);
    cli_rows_text(rows, tags);
    cli_rows_number(rows, n);
    cli_rows_number(rows, bytes);
    cli_rows_number(rows, at);
    cli_rows_number(rows, ok);
}

static cli_rows two_rows(void)
{
    cli_rows rows = { .columns = columns, .ncolumns = 6 };

    add(&rows, "a\"\n\x1b[2J", "x,y", 7, 3 << 20, 1700000000123456789, true);
    add(&rows, "long-n\xc3\xa4me", "", 1234, 12, 0, false);
    return rows;
}

static void columns_of_a_table_are_aligned(void **state)
{
    struct capture c = { 0 };
    cli_rows rows = two_rows();
    vh_error err = { 0 };

    (void)state;
    assert_ok(cli_rows_print(&rows, begin(&c), CLI_TABLE, &err), err);
    assert_string_equal(end(&c), "NAME       TAGS     N     SIZE  AT                    OK\n"
                                 "a\"??[2J    x,y      7  3.0 MiB  2023-11-14T22:13:20Z  yes\n"
                                 "long-n\xc3\xa4me  -     1234     12 B  -                     no\n");
    free(c.text);
    cli_rows_fini(&rows);
}

static void tables_can_do_without_titles_and_all_but_ids(void **state)
{
    struct capture c = { 0 };
    cli_rows rows = two_rows();
    vh_error err = { 0 };

    (void)state;
    assert_ok(cli_rows_print(&rows, begin(&c), CLI_PLAIN, &err), err);
    assert_string_equal(end(&c), "a\"??[2J    x,y      7  3.0 MiB  2023-11-14T22:13:20Z  yes\n"
                                 "long-n\xc3\xa4me  -     1234     12 B  -                     no\n");
    free(c.text);
    assert_ok(cli_rows_print(&rows, begin(&c), CLI_IDS, &err), err);
    assert_string_equal(end(&c), "a\"??[2J\nlong-n\xc3\xa4me\n");
    free(c.text);
    assert_ok(cli_rows_print_one(&rows, begin(&c), CLI_IDS, &err), err);
    assert_string_equal(end(&c), "a\"??[2J\n");
    free(c.text);
    cli_rows_fini(&rows);
}

static void json_has_the_same_rows_typed(void **state)
{
    struct capture c = { 0 };
    cli_rows rows = two_rows(), none = { .columns = columns, .ncolumns = 6 };
    vh_error err = { 0 };

    (void)state;
    assert_ok(cli_rows_print(&rows, begin(&c), CLI_JSON, &err), err);
    assert_string_equal(end(&c), "[{\"name\": \"a\\\"\\n\\u001b[2J\", \"tags\": [\"x\", \"y\"], \"n\": 7, "
                                 "\"bytes\": 3145728, "
                                 "\"at\": \"2023-11-14T22:13:20.123Z\", \"ok\": true},\n"
                                 " {\"name\": \"long-n\xc3\xa4me\", \"tags\": [], \"n\": 1234, \"bytes\": 12, "
                                 "\"at\": null, \"ok\": false}]\n");
    free(c.text);
    assert_ok(cli_rows_print(&none, begin(&c), CLI_JSON, &err), err);
    assert_string_equal(end(&c), "[]\n");
    free(c.text);
    cli_rows_fini(&rows);
}

static void one_row_is_printed_as_lines_or_an_object(void **state)
{
    struct capture c = { 0 };
    cli_rows rows = { .columns = columns + 2, .ncolumns = 2 };
    vh_error err = { 0 };

    (void)state;
    cli_rows_number(&rows, 5);
    cli_rows_number(&rows, 2048);
    assert_ok(cli_rows_print_one(&rows, begin(&c), CLI_TABLE, &err), err);
    assert_string_equal(end(&c), "N:    5\nSIZE: 2.0 KiB\n");
    free(c.text);
    assert_ok(cli_rows_print_one(&rows, begin(&c), CLI_JSON, &err), err);
    assert_string_equal(end(&c), "{\"n\": 5,\n \"bytes\": 2048}\n");
    free(c.text);
    cli_rows_fini(&rows);
}

static void a_row_can_be_taken_out(void **state)
{
    cli_rows rows = two_rows();

    (void)state;
    add(&rows, "third", "", 3, 3, 0, true);
    cli_rows_drop(&rows, 1);
    assert_string_equal(cli_rows_first(&rows, 1), "third");
    assert_null(cli_rows_first(&rows, 2));
    cli_rows_drop(&rows, 1);
    cli_rows_drop(&rows, 0);
    assert_null(cli_rows_first(&rows, 0));
    cli_rows_fini(&rows);
}

static void a_lost_cell_fails_the_print(void **state)
{
    cli_rows rows = { .columns = columns, .ncolumns = 1 };
    vh_error err = { 0 };

    (void)state;
    failalloc_at(1);
    cli_rows_text(&rows, "x");
    failalloc_at(0);
    assert_int_equal(cli_rows_print(&rows, stderr, CLI_TABLE, &err), -ENOMEM);
    cli_rows_fini(&rows);
}

static void utf8_is_told_from_other_bytes(void **state)
{
    (void)state;
    assert_true(cli_is_utf8("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 10));
    assert_true(cli_is_utf8("", 0));
    assert_false(cli_is_utf8("a\0b", 3));
    assert_false(cli_is_utf8("\xc0\x80", 2));         /* overlong */
    assert_false(cli_is_utf8("\xe0\x80\x80", 3));     /* overlong */
    assert_false(cli_is_utf8("\xed\xa0\x80", 3));     /* surrogate */
    assert_false(cli_is_utf8("\xf4\x90\x80\x80", 4)); /* beyond Unicode */
    assert_false(cli_is_utf8("\xe2\x82", 2));         /* cut */
    assert_false(cli_is_utf8("\x80", 1));
}

static void bytes_are_escaped_for_json_and_base64(void **state)
{
    static const char *const base64[] = { "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==" };
    struct capture c = { 0 };

    (void)state;
    cli_put_json(begin(&c), "\"\\/\b\f\n\r\t\0\x7f\xff\xc3\xa4", 13);
    assert_string_equal(end(&c), "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u007f\xef\xbf\xbd\xc3\xa4\"");
    free(c.text);
    for (size_t n = 0; n < 5; n++) {
        cli_put_base64(begin(&c), "foob", n);
        assert_string_equal(end(&c), base64[n]);
        free(c.text);
    }
}

static void sizes_and_times_are_short(void **state)
{
    char size[24], time[40];

    (void)state;
    assert_string_equal(cli_bytes_text(1023, size), "1023 B");
    assert_string_equal(cli_bytes_text(1536, size), "1.5 KiB");
    assert_string_equal(cli_bytes_text(256 << 20, size), "256 MiB");
    assert_string_equal(cli_bytes_text(UINT64_MAX, size), "16384 PiB");
    assert_string_equal(cli_time_text(1700000000123456789, 9, time), "2023-11-14T22:13:20.123456789Z");
    assert_string_equal(cli_time_text(-1, 0, time), "1969-12-31T23:59:59Z");
    assert_string_equal(cli_time_text(INT64_MAX, 0, time), "2262-04-11T23:47:16Z");
}

static cli_report answered(const char *body, size_t n)
{
    cli_report r = { .vm = "v1", .address = "198.18.0.1", .engine = "reap", .snapshot = "ab", .port = 80,
                     .called = true, .ok = true, .status = 200, .content_type = "text/plain", .body = body,
                     .body_len = n };

    r.phases.begin_ns = 1000000;
    vh_phases_add(&r.phases, "ws-fetch", 1000000, 3000000, false);
    vh_phases_add(&r.phases, "vmm-spawn", 1000000, 4000000, true);
    vh_phases_add(&r.phases, "request", 4100000, 5000000, true);
    r.phases.end_ns = 5000000;
    return r;
}

static void a_call_is_one_json_object(void **state)
{
    vh_vm_stats stats = { .faults = 12, .residual_faults = 3, .recording = true };
    cli_report r = answered("hi \"x\"", 6);
    struct capture c = { 0 };

    (void)state;
    r.stats = &stats;
    cli_report_json(begin(&c), &r);
    assert_string_equal(end(&c),
                        "{\"ok\": true, \"status\": 200, \"protocol\": \"http\", \"content_type\": \"text/plain\", "
                        "\"body\": \"hi \\\"x\\\"\", \"vm\": \"v1\", \"address\": \"198.18.0.1\", \"port\": 80, "
                        "\"engine\": \"reap\", \"snapshot\": \"ab\", \"total_us\": 4000, \"critical_us\": 3900, "
                        "\"phases\": [\n"
                        "  {\"id\": \"ws-fetch\", \"start_us\": 0, \"us\": 2000, \"critical\": false},\n"
                        "  {\"id\": \"vmm-spawn\", \"start_us\": 0, \"us\": 3000, \"critical\": true},\n"
                        "  {\"id\": \"request\", \"start_us\": 3100, \"us\": 900, \"critical\": true}],\n"
                        " \"faults\": 12, \"residual_faults\": 3, \"ws_pages\": 0, \"installed_pages\": 0, "
                        "\"bytes_read\": 0, \"vmm_pss_kib\": 0, \"recording\": true}\n");
    free(c.text);
}

static void a_body_that_is_no_text_is_base64(void **state)
{
    cli_report r = answered("\xff\x01\x02", 3);
    struct capture c = { 0 };

    (void)state;
    cli_report_json(begin(&c), &r);
    assert_non_null(strstr(end(&c), "\"body_base64\": \"/wEC\", "));
    assert_null(strstr(c.text, "\"body\""));
    assert_null(strstr(c.text, "faults"));
    free(c.text);
}

static void phases_end_with_their_sum_against_the_total(void **state)
{
    cli_report r = answered("", 0);
    struct capture c = { 0 };
    vh_error err = { 0 };

    (void)state;
    assert_ok(cli_report_phases(begin(&c), &r.phases, &err), err);
    assert_string_equal(end(&c), "PHASE         START  DURATION  KIND\n"
                                 "ws-fetch   0.000 ms  2.000 ms  overlapped\n"
                                 "vmm-spawn  0.000 ms  3.000 ms  critical\n"
                                 "request    3.100 ms  0.900 ms  critical\n"
                                 "critical phases 3.900 ms of 4.000 ms in total: 97.5 %\n");
    free(c.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_of_a_table_are_aligned),
        cmocka_unit_test(tables_can_do_without_titles_and_all_but_ids),
        cmocka_unit_test(json_has_the_same_rows_typed),
        cmocka_unit_test(one_row_is_printed_as_lines_or_an_object),
        cmocka_unit_test(a_row_can_be_taken_out),
        cmocka_unit_test(a_lost_cell_fails_the_print),
        cmocka_unit_test(utf8_is_told_from_other_bytes),
        cmocka_unit_test(bytes_are_escaped_for_json_and_base64),
        cmocka_unit_test(sizes_and_times_are_short),
        cmocka_unit_test(a_call_is_one_json_object),
        cmocka_unit_test(a_body_that_is_no_text_is_base64),
        cmocka_unit_test(phases_end_with_their_sum_against_the_total),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
