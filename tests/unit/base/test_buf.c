/* The growable buffer, and that running out of memory sticks. */
#include "testenv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "failalloc.h"

static void what_is_appended_is_there_and_terminated(void **state)
{
    vh__buf b = { 0 };

    (void)state;
    for (int i = 0; i < 1000; i++)
        vh__buf_printf(&b, "%d,", i);
    vh__buf_append(&b, "a\0b", 3);
    assert_int_equal(b.len, 3890 + 3);
    assert_memory_equal(b.data, "0,1,2,3,", 8);
    assert_memory_equal(b.data + b.len - 4, ",a\0b", 5);
    vh__buf_fini(&b);
}

static void many_small_pieces_are_copied_a_few_times(void **state)
{
    vh_auto_buf vh__buf b = { 0 };

    (void)state;
    failalloc_at(0);
    for (int i = 0; i < 100000; i++)
        vh__buf_puts(&b, "0123456789");
    assert_int_equal(b.len, 1000000);
    assert_true(failalloc_count() < 20);
}

static void consuming_keeps_the_rest(void **state)
{
    vh__buf b = { 0 };

    (void)state;
    vh__buf_puts(&b, "head and tail");
    vh__buf_consume(&b, 9);
    assert_string_equal(b.data, "tail");
    vh__buf_consume(&b, 4);
    assert_int_equal(b.len, 0);
    vh__buf_fini(&b);
}

static void a_stolen_buffer_is_empty(void **state)
{
    vh__buf b = { 0 };
    char *s;

    (void)state;
    s = vh__buf_steal(&b);
    assert_string_equal(s, "");
    free(s);
    vh__buf_puts(&b, "x");
    s = vh__buf_steal(&b);
    assert_string_equal(s, "x");
    assert_null(b.data);
    free(s);
}

static void failing_to_grow_is_told_once_and_for_all(void **state)
{
    vh__buf b = { 0 };
    vh_error err = { 0 };

    (void)state;
    vh__buf_puts(&b, "kept");
    failalloc_at(1);
    vh__buf_append(&b, (char[4096]){ 0 }, 4096);
    failalloc_at(0);
    vh__buf_puts(&b, "not");
    assert_string_equal(b.data, "kept");
    assert_int_equal(vh__buf_check(&b, "words", &err), -ENOMEM);
    assert_non_null(strstr(err.msg, "words"));
    assert_null(vh__buf_reserve(&b, SIZE_MAX));
    vh__buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_appended_is_there_and_terminated),
        cmocka_unit_test(many_small_pieces_are_copied_a_few_times),
        cmocka_unit_test(consuming_keeps_the_rest),
        cmocka_unit_test(a_stolen_buffer_is_empty),
        cmocka_unit_test(failing_to_grow_is_told_once_and_for_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
