/* What is kept of events and output. */
#include "testenv.h"

#include <stdio.h>
#include <string.h>

#include "events.h"
#include "logs.h"

static void a_position_of_a_process_before_is_told_and_begun_anew(void **state)
{
    struct events e = { .last = 1 }; /* as functions have it from the beginning */
    struct event next;

    (void)state;
    assert_true(vh__events_next(&e, 120, &next));
    assert_string_equal(next.type, "events.lost");
    assert_int_equal(next.sequence, 1);
    assert_false(vh__events_next(&e, 1, &next));
    vh__events_add(&e, "one", "f", "vm-1", "first");
    assert_true(vh__events_next(&e, 120, &next));
    assert_string_equal(next.type, "events.lost");
    assert_true(vh__events_next(&e, next.sequence, &next));
    assert_string_equal(next.type, "one");
    vh__events_fini(&e);
}

static void events_come_in_their_order(void **state)
{
    struct events e = { 0 };
    struct event next;

    (void)state;
    assert_false(vh__events_next(&e, 0, &next));
    vh__events_add(&e, "one", "f", "vm-1", "first");
    vh__events_add(&e, "two", "f", "", "");
    assert_true(vh__events_next(&e, 0, &next));
    assert_string_equal(next.type, "one");
    assert_int_equal(next.sequence, 1);
    assert_true(vh__events_next(&e, 1, &next));
    assert_string_equal(next.type, "two");
    assert_false(vh__events_next(&e, 2, &next));
    vh__events_fini(&e);
}

static void who_falls_behind_is_told(void **state)
{
    struct events e = { 0 };
    struct event next;
    uint64_t since = 0;
    unsigned n = 0;

    (void)state;
    for (unsigned k = 0; k < VH_EVENTS_KEPT + 10; k++)
        vh__events_add(&e, "tick", "f", "", "");
    assert_true(vh__events_next(&e, 0, &next));
    assert_string_equal(next.type, "events.lost");
    assert_string_equal(next.message, "10 events are not kept any more");
    for (since = next.sequence; vh__events_next(&e, since, &next); since = next.sequence)
        n++;
    assert_int_equal(n, VH_EVENTS_KEPT);
    vh__events_fini(&e);
}

static void put(struct log *log, const char *text)
{
    vh__log_add(log, 1, "vm-1", VH_STREAM_STDOUT, text, strlen(text));
}

/* The last |lines| of |log|, as one text. */
static const char *tail(const struct log *log, uint32_t lines, char text[256])
{
    size_t skip;
    uint64_t since = vh__log_tail(log, lines, &skip);
    struct piece *pieces = vh__log_take(log, &since, SIZE_MAX);

    text[0] = '\0';
    for (const struct piece *p = pieces; p; p = p->next) {
        strncat(text, p->bytes + skip, p->n - skip);
        skip = 0;
    }
    vh__log_free(pieces);
    return text;
}

static void the_last_lines_are_found_in_whatever_pieces(void **state)
{
    struct log log = { 0 };
    char text[256];

    (void)state;
    assert_string_equal(tail(&log, 5, text), "");
    put(&log, "one\ntwo\nth");
    put(&log, "ree\n");
    put(&log, "four");
    assert_string_equal(tail(&log, 0, text), "");
    assert_string_equal(tail(&log, 1, text), "four");
    assert_string_equal(tail(&log, 2, text), "three\nfour");
    assert_string_equal(tail(&log, 3, text), "two\nthree\nfour");
    assert_string_equal(tail(&log, 4, text), "one\ntwo\nthree\nfour");
    assert_string_equal(tail(&log, UINT32_MAX, text), "one\ntwo\nthree\nfour");
    put(&log, "\n");
    assert_string_equal(tail(&log, 1, text), "four\n");
    vh__log_fini(&log);
}

static void the_oldest_output_goes_first(void **state)
{
    static char kilobyte[1024];
    struct log log = { 0 };
    struct piece *pieces;
    uint64_t since = 0;

    (void)state;
    for (unsigned k = 0; k < 3000; k++)
        vh__log_add(&log, 1, "vm-1", VH_STREAM_STDERR, kilobyte, sizeof(kilobyte));
    assert_true(log.bytes <= VH_LOG_KEPT && log.bytes > VH_LOG_KEPT / 2);
    pieces = vh__log_take(&log, &since, 1);
    assert_true(pieces->sequence > 1000);
    assert_int_equal(pieces->stream, VH_STREAM_STDERR);
    vh__log_free(pieces);
    vh__log_fini(&log);
}

static void early_output_gets_its_name_later(void **state)
{
    struct log log = { 0 };
    uint64_t since = 0;
    struct piece *pieces;

    (void)state;
    vh__log_add(&log, 1, "", VH_STREAM_STDOUT, "a", 1);
    vh__log_add(&log, 2, "", VH_STREAM_STDOUT, "b", 1);
    vh__log_name(&log, 1, "vm-1");
    pieces = vh__log_take(&log, &since, SIZE_MAX);
    assert_string_equal(pieces->vm, "vm-1");
    assert_string_equal(pieces->next->vm, "");
    vh__log_free(pieces);
    vh__log_fini(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_in_their_order),
        cmocka_unit_test(a_position_of_a_process_before_is_told_and_begun_anew),
        cmocka_unit_test(who_falls_behind_is_told),
        cmocka_unit_test(the_last_lines_are_found_in_whatever_pieces),
        cmocka_unit_test(the_oldest_output_goes_first),
        cmocka_unit_test(early_output_gets_its_name_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
