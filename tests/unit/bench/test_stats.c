/* Quantiles and bootstrap intervals. */
#include "testenv.h"

#include <math.h>

#include "auto.h"
#include "failalloc.h"
#include "stats.h"

#define assert_near(a, b) assert_true(fabs((a) - (b)) < 1e-9)

static void quantiles_are_interpolated_between_neighbours(void **state)
{
    double v[] = { 40, 10, 30, 20 };

    (void)state;
    bench_sort(v, VH_ARRAY_LEN(v));
    assert_near(v[0], 10);
    assert_near(v[3], 40);
    assert_near(bench_quantile(v, 4, 0), 10);
    assert_near(bench_quantile(v, 4, 0.5), 25);
    assert_near(bench_quantile(v, 4, 0.9), 37);
    assert_near(bench_quantile(v, 4, 1), 40);
    assert_near(bench_quantile(v, 3, 0.5), 20);
    assert_near(bench_quantile(v, 1, 0.99), 10);
    assert_near(bench_mean(v, 4), 25);
}

static void of_no_values_all_is_zero(void **state)
{
    (void)state;
    bench_sort(NULL, 0);
    assert_near(bench_quantile(NULL, 0, 0.5), 0);
    assert_near(bench_mean(NULL, 0), 0);
}

static void an_interval_holds_the_median_and_narrows_with_more_values(void **state)
{
    static const double one = 1;
    double few[5], many[101];
    bench_interval wide, narrow;
    vh_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < 5; i++)
        few[i] = 80 + 10 * (double)i;
    for (size_t i = 0; i < 101; i++)
        many[i] = 80 + 0.4 * (double)i;
    assert_ok(bench_ratio_interval(few, 5, &one, 1, &wide, &err), err);
    assert_ok(bench_ratio_interval(many, 101, &one, 1, &narrow, &err), err);
    assert_true(wide.low >= 80 && wide.low < 100 && wide.high > 100 && wide.high <= 120);
    assert_true(narrow.low < 100 && narrow.high > 100);
    assert_true(narrow.high - narrow.low < (wide.high - wide.low) / 2);
}

static void equal_input_gives_equal_intervals(void **state)
{
    static const double a[] = { 7, 9, 8, 12, 7.5 }, b[] = { 10, 11, 14, 9 };
    bench_interval first, second;
    vh_error err = { 0 };

    (void)state;
    assert_ok(bench_ratio_interval(a, VH_ARRAY_LEN(a), b, VH_ARRAY_LEN(b), &first, &err), err);
    assert_ok(bench_ratio_interval(a, VH_ARRAY_LEN(a), b, VH_ARRAY_LEN(b), &second, &err), err);
    assert_memory_equal(&first, &second, sizeof(first));
    assert_true(first.low < 8 / 10.5 && first.high > 8 / 10.5);
}

static void a_ratio_of_constants_has_no_width(void **state)
{
    static const double a[] = { 3, 3, 3 }, b[] = { 4, 4 };
    bench_interval i;
    vh_error err = { 0 };

    (void)state;
    assert_ok(bench_ratio_interval(a, 3, b, 2, &i, &err), err);
    assert_near(i.low, 0.75);
    assert_near(i.high, 0.75);
}

static int interval(void *arg)
{
    static const double a[] = { 1, 2 };
    bench_interval i;

    (void)arg;
    return bench_ratio_interval(a, 2, a, 2, &i, NULL);
}

static void an_interval_survives_any_failing_allocation(void **state)
{
    (void)state;
    failalloc_sweep(interval, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_interpolated_between_neighbours),
        cmocka_unit_test(of_no_values_all_is_zero),
        cmocka_unit_test(an_interval_holds_the_median_and_narrows_with_more_values),
        cmocka_unit_test(equal_input_gives_equal_intervals),
        cmocka_unit_test(a_ratio_of_constants_has_no_width),
        cmocka_unit_test(an_interval_survives_any_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
