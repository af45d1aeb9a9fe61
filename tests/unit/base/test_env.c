/* The environment's sinks: what reaches them, and what is left out. */
#include "testenv.h"

#include <string.h>

#include "log.h"
#include "metric.h"

struct seen {
    unsigned records, updates, flows;
    int64_t amount;
    char text[64];
};

static void on_log(const vh_log_record *record, void *arg)
{
    struct seen *seen = arg;

    seen->records++;
    strcpy(seen->text, record->message);
}

static void on_metric(const char *name, const char *const *values, int64_t amount, void *arg)
{
    struct seen *seen = arg;

    assert_string_equal(name, "vhive_x_total");
    assert_string_equal(values[0], "a");
    assert_string_equal(values[1], "b");
    assert_null(values[2]);
    seen->updates++;
    seen->amount += amount;
}

static void on_trace(const vh_trace_record *record, void *arg)
{
    struct seen *seen = arg;

    assert_string_equal(record->name, "cold-start");
    seen->flows++;
}

static vh_env *make(struct seen *seen, bool sinks)
{
    vh_env_options o = VH_ENV_OPTIONS_INIT;
    vh_error err = { 0 };
    vh_env *env = NULL;

    o.log = sinks ? on_log : NULL;
    o.metrics = sinks ? on_metric : NULL;
    o.trace = sinks ? on_trace : NULL;
    o.log_arg = o.metrics_arg = o.trace_arg = seen;
    assert_ok(vh_env_new(&o, &env, &err), err);
    return env;
}

static void sinks_get_what_modules_tell(void **state)
{
    struct seen seen = { 0 };
    vh_env *env = make(&seen, true);

    (void)state;
    assert_true(vh__metric_wanted(env));
    vh__metric(env, "vhive_x_total", 2, "a", "b");
    vh__metric(env, "vhive_x_total", 3, "a", "b");
    vh__trace_ended(env, &(vh_trace_record){ .name = "cold-start" });
    assert_int_equal(seen.updates, 2);
    assert_int_equal(seen.amount, 5);
    assert_int_equal(seen.flows, 1);
    vh_env_free(env);
}

static void without_sinks_nothing_is_told(void **state)
{
    vh_env *env = make(NULL, false);

    (void)state;
    assert_false(vh__metric_wanted(env));
    vh__metric(env, "vhive_x_total", 1, "a", "b");
    vh__metric(NULL, "vhive_x_total", 1, "a", "b");
    vh__trace_ended(env, &(vh_trace_record){ .name = "cold-start" });
    vh__log(env, VH_LOG_ERROR, "test", NULL, "unheard");
    vh_env_free(env);
}

static void records_that_strangers_cause_are_told_once_in_a_while(void **state)
{
    vh__log_pace pace = { 0 };
    uint32_t more = 99;

    (void)state;
    assert_true(vh__log_paced(&pace, 1, &more));
    assert_int_equal(more, 0);
    for (int64_t i = 0; i < 1000; i++)
        assert_false(vh__log_paced(&pace, 2 + i, &more));
    assert_true(vh__log_paced(&pace, 1 + VH_LOG_PAUSE_NS, &more));
    assert_int_equal(more, 1000);
    assert_true(vh__log_paced(&pace, 2 + 2 * VH_LOG_PAUSE_NS, &more));
    assert_int_equal(more, 0);
}

static void the_log_level_changes_while_it_is_used(void **state)
{
    struct seen seen = { 0 };
    vh_env *env = make(&seen, true);

    (void)state;
    vh__log(env, VH_LOG_DEBUG, "test", NULL, "left out");
    assert_int_equal(seen.records, 0);
    vh_env_set_log_level(env, VH_LOG_DEBUG);
    vh__log(env, VH_LOG_DEBUG, "test", NULL, "told %d", 1);
    assert_string_equal(seen.text, "told 1");
    vh_env_set_log_level(env, VH_LOG_ERROR);
    vh__log(env, VH_LOG_WARN, "test", NULL, "left out");
    assert_int_equal(seen.records, 1);
    vh_env_free(env);
}

static void an_older_program_gives_no_later_sinks(void **state)
{
    struct seen seen = { 0 };
    vh_env_options o = VH_ENV_OPTIONS_INIT;
    vh_error err = { 0 };
    vh_env *env = NULL;

    (void)state;
    o.metrics = on_metric;
    o.metrics_arg = &seen;
    o.size = offsetof(vh_env_options, metrics);
    assert_ok(vh_env_new(&o, &env, &err), err);
    assert_false(vh__metric_wanted(env));
    vh_env_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sinks_get_what_modules_tell),
        cmocka_unit_test(without_sinks_nothing_is_told),
        cmocka_unit_test(the_log_level_changes_while_it_is_used),
        cmocka_unit_test(records_that_strangers_cause_are_told_once_in_a_while),
        cmocka_unit_test(an_older_program_gives_no_later_sinks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
