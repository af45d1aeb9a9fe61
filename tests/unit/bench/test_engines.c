/* Engines by name, and the order in which they take turns. */
#include "testenv.h"

#include <string.h>

#include "engines.h"
#include "functions.h"

static void engines_are_read_in_the_order_of_the_list(void **state)
{
    bench_engines e;
    vh_error err = { 0 };

    (void)state;
    assert_ok(bench_engines_parse("warm,file,reap", &e, &err), err);
    assert_int_equal(e.n, 3);
    assert_string_equal(e.v[0]->name, "warm");
    assert_true(e.v[0]->running);
    assert_int_equal(e.v[1]->how, VH_ENGINE_FILE);
    assert_int_equal(e.v[2]->how, VH_ENGINE_REAP);
    assert_false(e.v[2]->running || e.v[2]->shell);
    assert_ok(bench_engines_parse(BENCH_ENGINES, &e, &err), err);
    assert_int_equal(e.n, 7);
}

static void lists_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = { "", ",", "file,", "rea", "reaper", "file,reap,file", "file reap" };
    bench_engines e = { .n = 7 };
    vh_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(bench_engines_parse(bad[i], &e, &err), VH_EINVALID);
    assert_int_equal(e.n, 7);
    assert_int_equal(bench_engines_parse("rea", &e, &err), VH_EINVALID);
    assert_non_null(strstr(err.msg, BENCH_ENGINES));
}

/* Counts for |n| engines, over as many rounds as make the order even, who comes where and who follows whom. */
static void turns_are_even_for(size_t n)
{
    size_t rounds = n % 2 ? 2 * n : n, place[8][8] = { 0 }, after[8][8] = { 0 };

    for (size_t round = 0; round < rounds; round++)
        for (size_t k = 0; k < n; k++) {
            size_t e = bench_engines_turn(n, round, k);

            assert_true(e < n);
            place[e][k]++;
            if (k)
                after[e][bench_engines_turn(n, round, k - 1)]++;
        }
    for (size_t a = 0; a < n; a++)
        for (size_t b = 0; b < n; b++) {
            assert_int_equal(place[a][b], rounds / n);
            assert_int_equal(after[a][b], a == b ? 0 : rounds / n);
        }
}

static void every_engine_comes_at_each_place_and_follows_each_other_equally_often(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 8; n++)
        turns_are_even_for(n);
}

static void a_function_is_named_by_the_last_part_of_its_image(void **state)
{
    static const char *const names[][2] = {
        { "oci:build/functions/hello", "hello" }, { "oci:/a/b/hello:v1", "hello" }, { "oci:hello", "hello" },
        { "docker://registry.example:5000/team/hello:v2", "hello" }, { "registry/hello@sha256:0123", "hello" },
        { "sha256:0123456789", "0123456789" }, { "oci:a/", "oci:a/" },
    };
    char name[64];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        bench_function_name(names[i][0], name, sizeof(name));
        assert_string_equal(name, names[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(engines_are_read_in_the_order_of_the_list),
        cmocka_unit_test(lists_that_are_none_are_refused),
        cmocka_unit_test(every_engine_comes_at_each_place_and_follows_each_other_equally_often),
        cmocka_unit_test(a_function_is_named_by_the_last_part_of_its_image),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
