/* JSON from untrusted places. */
#include "testenv.h"

#include <string.h>

#include "json.h"

static int parse(const char *text, cJSON **out)
{
    return vh__json_parse(text, strlen(text), "text", out, NULL);
}

static void what_is_not_exactly_one_value_is_refused(void **state)
{
    static const char *const bad[] = { "", " ", "{", "{}x", "{} {}", "{\"a\":}", "nul" };
    cJSON *j = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(parse(bad[i], &j), VH_EINVALID);
    assert_null(j);
    assert_int_equal(parse(" {\"a\": 1} \n", &j), 0);
    cJSON_Delete(j);
}

static void members_are_typed(void **state)
{
    vh_error err = { 0 };
    const char *s = NULL;
    uint64_t u = 7;
    cJSON *j;

    (void)state;
    assert_int_equal(parse("{\"s\":\"x\",\"n\":-1,\"h\":1.5,\"big\":1e300,\"ok\":9007199254740992,\"t\":true}", &j), 0);
    assert_ok(vh__json_str(j, "s", "obj", &s, &err), err);
    assert_string_equal(s, "x");
    assert_int_equal(vh__json_str(j, "n", "obj", &s, &err), VH_EINVALID);
    assert_non_null(strstr(err.msg, "obj"));
    assert_non_null(strstr(err.msg, "\"n\""));
    assert_int_equal(vh__json_u64(j, "n", "obj", &u, &err), VH_EINVALID);
    assert_int_equal(vh__json_u64(j, "h", "obj", &u, &err), VH_EINVALID);
    assert_int_equal(vh__json_u64(j, "big", "obj", &u, &err), VH_EINVALID);
    assert_int_equal(vh__json_u64(j, "none", "obj", &u, &err), VH_EINVALID);
    assert_int_equal(u, 7);
    assert_ok(vh__json_u64(j, "ok", "obj", &u, &err), err);
    assert_true(u == 1ULL << 53);
    assert_int_equal(vh__json_u64_or(j, "s", 3), 3);
    assert_string_equal(vh__json_str_or(j, "t", "else"), "else");
    assert_true(vh__json_bool_or(j, "t", false));
    assert_true(vh__json_bool_or(j, "s", true));
    cJSON_Delete(j);
}

static void deep_nesting_is_refused_not_followed(void **state)
{
    static char deep[20001];
    cJSON *j = NULL;

    (void)state;
    memset(deep, '[', 20000);
    assert_int_equal(parse(deep, &j), VH_EINVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_exactly_one_value_is_refused),
        cmocka_unit_test(members_are_typed),
        cmocka_unit_test(deep_nesting_is_refused_not_followed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
