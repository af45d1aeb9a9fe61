/* Engines by name. */
#include "testenv.h"

#include <string.h>

#include "vm.h"

static void every_engine_is_found_by_its_name(void **state)
{
    vh_error err = { 0 };
    vh_engine got;

    (void)state;
    for (int e = VH_ENGINE_AUTO; e <= VH_ENGINE_REAP; e++) {
        assert_ok(vh_engine_parse(vh_engine_name((vh_engine)e), &got, &err), err);
        assert_int_equal(got, e);
    }
}

static void an_unknown_engine_is_refused_with_the_choices(void **state)
{
    vh_engine got = VH_ENGINE_FILE;
    vh_error err = { 0 };

    (void)state;
    assert_int_equal(vh_engine_parse("warp", &got, &err), VH_EINVALID);
    assert_non_null(strstr(err.msg, "warp"));
    assert_non_null(strstr(err.msg, "reap"));
    assert_int_equal(got, VH_ENGINE_FILE);
    assert_string_equal(vh_engine_name((vh_engine)77), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_engine_is_found_by_its_name),
        cmocka_unit_test(an_unknown_engine_is_refused_with_the_choices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
