/* Error values: messages, context, codes. */
#include "testenv.h"

#include <errno.h>
#include <string.h>

static void the_systems_words_follow_its_codes_only(void **state)
{
    vh_error err = { 0 };

    (void)state;
    assert_int_equal(vh_error_set(&err, -ENOENT, "open %s", "x"), -ENOENT);
    assert_string_equal(err.msg, "open x: No such file or directory");
    assert_int_equal(vh_error_set(&err, VH_EINVALID, "port %d", 0), VH_EINVALID);
    assert_string_equal(err.msg, "port 0");
}

static void context_comes_in_front(void **state)
{
    vh_error err = { 0 };

    (void)state;
    (void)vh_error_set(&err, VH_ECORRUPT, "short");
    assert_int_equal(vh_error_wrap(&err, VH_EVMM, "restore %d", 7), VH_EVMM);
    assert_string_equal(err.msg, "restore 7: short");
    assert_int_equal(err.code, VH_EVMM);
}

static void codes_survive_without_an_error_to_fill(void **state)
{
    (void)state;
    assert_int_equal(vh_error_set(NULL, -EIO, "x"), -EIO);
    assert_int_equal(vh_error_wrap(NULL, -EIO, "x"), -EIO);
}

static void long_messages_are_cut_and_stay_terminated(void **state)
{
    char word[VH_ERROR_MSG + 50];
    vh_error err = { 0 };

    (void)state;
    memset(word, 'a', sizeof(word));
    word[sizeof(word) - 1] = '\0';
    (void)vh_error_set(&err, -EIO, "%s", word);
    assert_int_equal(strlen(err.msg), VH_ERROR_MSG - 1);
    (void)vh_error_wrap(&err, -EIO, "%s", "context");
    assert_memory_equal(err.msg, "context: aaa", 12);
    assert_int_equal(strlen(err.msg), VH_ERROR_MSG - 1);
    (void)vh_error_wrap(&err, -EIO, "%s", word);
    assert_true(strlen(err.msg) < VH_ERROR_MSG);
}

static void every_code_has_a_name_and_a_text(void **state)
{
    (void)state;
#define CHECK(name, value, text)                                                                                       \
    assert_string_equal(vh_error_name(name), #name);                                                                   \
    assert_string_equal(vh_strerror(name), text);
    VH_ERROR_LIST(CHECK)
#undef CHECK
    assert_string_equal(vh_error_name(-ENOENT), "ENOENT");
    assert_string_equal(vh_error_name(-99999), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_systems_words_follow_its_codes_only),
        cmocka_unit_test(context_comes_in_front),
        cmocka_unit_test(codes_survive_without_an_error_to_fill),
        cmocka_unit_test(long_messages_are_cut_and_stay_terminated),
        cmocka_unit_test(every_code_has_a_name_and_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
