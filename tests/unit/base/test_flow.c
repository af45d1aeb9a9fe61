/* The step runner: order, unwinding, background steps, phases. */
#include "testenv.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "auto.h"
#include "flow.h"

struct trace {
    char log[128];
    int fail; /* letter of the step that fails */
};

static void note(void *ctx, const char *what)
{
    struct trace *t = ctx;

    strncat(t->log, what, sizeof(t->log) - strlen(t->log) - 1);
}

static int step(void *ctx, char letter, vh_error *err)
{
    struct trace *t = ctx;

    note(ctx, (char[]){ letter, 0 });
    return t->fail == letter ? vh_error_set(err, VH_ESTATE, "it would not") : 0;
}

static int run_a(void *ctx, const vh__wait *w, vh_error *err)
{
    (void)w;
    return step(ctx, 'a', err);
}

static int run_b(void *ctx, const vh__wait *w, vh_error *err)
{
    (void)w;
    return step(ctx, 'b', err);
}

static int run_c(void *ctx, const vh__wait *w, vh_error *err)
{
    (void)w;
    return step(ctx, 'c', err);
}

static int run_slow(void *ctx, const vh__wait *w, vh_error *err)
{
    struct trace *t = ctx;

    (void)w;
    usleep(20000);
    return t->fail == 's' ? vh_error_set(err, VH_ECORRUPT, "slow one broke") : 0;
}

static void undo_a(void *ctx)
{
    note(ctx, "A");
}

static void undo_b(void *ctx)
{
    note(ctx, "B");
}

static void undo_slow(void *ctx)
{
    note(ctx, "S");
}

static bool skip_always(const void *ctx)
{
    (void)ctx;
    return true;
}

static const vh__step plain[] = {
    { .id = "a", .run = run_a, .undo = undo_a },
    { .id = "b", .run = run_b, .undo = undo_b },
    { .id = "skipped", .run = run_slow, .undo = undo_slow, .skip = skip_always },
    { .id = "c", .run = run_c },
};

static const vh__step overlapped[] = {
    { .id = "slow", .run = run_slow, .undo = undo_slow, .background = true },
    { .id = "a", .run = run_a, .undo = undo_a },
    { .id = "b", .run = run_b, .undo = undo_b, .after = { "slow" } },
};

static void steps_run_in_order_and_are_all_timed(void **state)
{
    struct trace t = { 0 };
    vh_phases p = { 0 };
    vh_error err = { 0 };
    vh__wait w = vh__wait_from(NULL, 1000);

    (void)state;
    assert_ok(vh__flow_run(plain, VH_ARRAY_LEN(plain), &t, &w, &p, &err), err);
    assert_string_equal(t.log, "abc");
    assert_int_equal(p.n, 3);
    assert_string_equal(p.v[2].id, "c");
}

static void a_failing_step_undoes_the_earlier_ones_in_reverse(void **state)
{
    struct trace t = { .fail = 'c' };
    vh_error err = { 0 };
    vh__wait w = vh__wait_from(NULL, 1000);

    (void)state;
    assert_int_equal(vh__flow_run(plain, VH_ARRAY_LEN(plain), &t, &w, NULL, &err), VH_ESTATE);
    assert_string_equal(t.log, "abcBA");
    assert_string_equal(err.msg, "c: it would not");
}

static void a_background_step_overlaps_and_its_wait_is_critical(void **state)
{
    struct trace t = { 0 };
    vh_phases p = { 0 };
    vh_error err = { 0 };
    vh__wait w = vh__wait_from(NULL, 1000);
    int64_t waited = 0;

    (void)state;
    assert_ok(vh__flow_run(overlapped, VH_ARRAY_LEN(overlapped), &t, &w, &p, &err), err);
    for (size_t i = 0; i < p.n; i++) {
        assert_int_equal(p.v[i].critical, strcmp(p.v[i].id, "slow") != 0);
        if (strcmp(p.v[i].id, "wait-slow") == 0)
            waited = p.v[i].ns;
    }
    assert_true(waited > 10000000);
    assert_true(vh_phases_critical_ns(&p) >= waited);
}

static void a_failing_background_step_fails_the_flow_where_it_is_joined(void **state)
{
    struct trace t = { .fail = 's' };
    vh_error err = { 0 };
    vh__wait w = vh__wait_from(NULL, 1000);

    (void)state;
    assert_int_equal(vh__flow_run(overlapped, VH_ARRAY_LEN(overlapped), &t, &w, NULL, &err), VH_ECORRUPT);
    assert_string_equal(t.log, "aA");
    assert_string_equal(err.msg, "slow: slow one broke");
}

static void a_failing_step_joins_and_undoes_what_runs_beside_it(void **state)
{
    struct trace t = { .fail = 'a' };
    vh_error err = { 0 };
    vh__wait w = vh__wait_from(NULL, 1000);

    (void)state;
    assert_int_equal(vh__flow_run(overlapped, VH_ARRAY_LEN(overlapped), &t, &w, NULL, &err), VH_ESTATE);
    assert_string_equal(t.log, "aS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_run_in_order_and_are_all_timed),
        cmocka_unit_test(a_failing_step_undoes_the_earlier_ones_in_reverse),
        cmocka_unit_test(a_background_step_overlaps_and_its_wait_is_critical),
        cmocka_unit_test(a_failing_background_step_fails_the_flow_where_it_is_joined),
        cmocka_unit_test(a_failing_step_joins_and_undoes_what_runs_beside_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
