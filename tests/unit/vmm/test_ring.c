/* The last words of a guest, made fit for one line of an error. */
#include "testenv.h"

#include <string.h>

#include "ring.h"

static void the_tail_is_one_printable_line(void **state)
{
    vh__ring r = { 0 };
    char out[64];

    (void)state;
    vh__ring_put(&r, "one\r\ntwo\x1b[0m\n", 13);
    assert_string_equal(vh__ring_tail(&r, out, sizeof(out)), "one | two?[0m");
}

static void only_the_last_bytes_are_kept(void **state)
{
    static char line[100];
    vh__ring r = { 0 };
    char out[64];

    (void)state;
    memset(line, 'a', sizeof(line));
    for (int i = 0; i < 200; i++)
        vh__ring_put(&r, line, sizeof(line));
    vh__ring_put(&r, "end", 3);
    assert_int_equal(r.total, 20003);
    vh__ring_tail(&r, out, sizeof(out));
    assert_int_equal(strlen(out), 63);
    assert_string_equal(out + 59, "aend");
}

static void a_cut_tail_begins_with_a_line(void **state)
{
    vh__ring r = { 0 };
    char out[24];

    (void)state;
    vh__ring_put(&r, "a long first line\nsecond\nthird\n", 31);
    assert_string_equal(vh__ring_tail(&r, out, sizeof(out)), "second | third");
    assert_string_equal(vh__ring_tail(&r, out, 15), "third"); /* the end of the last line counts, too */
    assert_string_equal(vh__ring_tail(&r, out, 6), "rd");
}

static void silence_is_an_empty_line(void **state)
{
    vh__ring r = { 0 };
    char out[8] = "x";

    (void)state;
    assert_string_equal(vh__ring_tail(&r, out, sizeof(out)), "");
}

static void what_a_mark_begins_is_found(void **state)
{
    vh__ring r = { 0 };
    char out[32] = "untouched";

    (void)state;
    vh__ring_put(&r, "[1.0] all is well\n", 18);
    assert_false(vh__ring_find(&r, "Kernel panic", out, sizeof(out)));
    assert_string_equal(out, "untouched");
    vh__ring_put(&r, "[2.0] Kernel panic: \x1bwhy\r\nRIP: 0\nKern", 38);
    assert_true(vh__ring_find(&r, "Kernel panic", out, sizeof(out)));
    assert_string_equal(out, "Kernel panic: ?why");
    assert_true(vh__ring_find(&r, "Kernel panic", out, 7));
    assert_string_equal(out, "Kernel");
}

static void what_was_overwritten_is_not_found(void **state)
{
    static char line[100];
    vh__ring r = { 0 };
    char out[32];

    (void)state;
    memset(line, 'a', sizeof(line));
    vh__ring_put(&r, "panic", 5);
    for (int i = 0; i < 82; i++)
        vh__ring_put(&r, line, sizeof(line));
    assert_false(vh__ring_find(&r, "panic", out, sizeof(out)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tail_is_one_printable_line),
        cmocka_unit_test(only_the_last_bytes_are_kept),
        cmocka_unit_test(a_cut_tail_begins_with_a_line),
        cmocka_unit_test(silence_is_an_empty_line),
        cmocka_unit_test(what_a_mark_begins_is_found),
        cmocka_unit_test(what_was_overwritten_is_not_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
