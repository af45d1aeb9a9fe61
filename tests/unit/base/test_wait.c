/* Bounds of blocking calls. */
#include "testenv.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "failalloc.h"
#include "wait.h"

static void a_call_without_time_gets_the_default(void **state)
{
    vh_call call = VH_CALL_INIT;
    vh__wait w = vh__wait_from(&call, 5000);

    (void)state;
    assert_in_range(vh__wait_left_ms(&w), 4000, 5000);
    call.timeout_ms = 100;
    w = vh__wait_from(&call, 5000);
    assert_in_range(vh__wait_left_ms(&w), 0, 100);
    w = vh__wait_within(&w, 60000);
    assert_in_range(vh__wait_left_ms(&w), 0, 100);
}

static void a_descriptor_that_stays_silent_times_out(void **state)
{
    vh__wait w = vh__wait_from(NULL, 10);
    vh_error err = { 0 };
    int pair[2];

    (void)state;
    assert_int_equal(pipe(pair), 0);
    assert_int_equal(vh__wait_fd(&w, pair[0], POLLIN, "the pipe", &err), VH_ETIMEDOUT);
    assert_non_null(strstr(err.msg, "the pipe"));
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_ok(vh__wait_fd(&w, pair[0], POLLIN, "the pipe", &err), err); /* ready counts also when late */
    close(pair[0]);
    close(pair[1]);
}

static void a_triggered_token_ends_waits_and_sleeps_for_good(void **state)
{
    vh__wait w = vh__wait_from(NULL, 60000);
    vh_error err = { 0 };

    (void)state;
    assert_ok(vh_cancel_new(&w.cancel, &err), err);
    assert_ok(vh__wait_sleep(&w, 1, "nap", &err), err);
    assert_false(vh_cancel_triggered(w.cancel));
    vh_cancel_trigger(w.cancel);
    vh_cancel_trigger(w.cancel);
    assert_true(vh_cancel_triggered(w.cancel));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(vh__wait_sleep(&w, 60000, "nap", &err), VH_ECANCELED);
        assert_int_equal(vh__wait_check(&w, "work", &err), VH_ECANCELED);
    }
    vh_cancel_free(w.cancel);
}

static void a_sleep_beyond_the_deadline_is_a_timeout(void **state)
{
    vh__wait w = vh__wait_from(NULL, 10);
    vh_error err = { 0 };

    (void)state;
    assert_int_equal(vh__wait_sleep(&w, 60000, "nap", &err), VH_ETIMEDOUT);
}

static int attempt(void *arg)
{
    vh_cancel *c = NULL;
    int rc = vh_cancel_new(&c, NULL);

    (void)arg;
    vh_cancel_free(c);
    return rc;
}

static void a_token_that_cannot_be_made_leaves_nothing(void **state)
{
    (void)state;
    failalloc_sweep(attempt, NULL);
}

static int attempt_env(void *arg)
{
    vh_env *env = NULL;
    int rc = vh_env_new(arg, &env, NULL);

    vh_env_free(env);
    return rc;
}

static void an_environment_that_cannot_be_made_leaves_nothing(void **state)
{
    vh_env_options o = VH_ENV_OPTIONS_INIT;

    (void)state;
    o.libexec_dir = "/usr/libexec/vhive";
    failalloc_sweep(attempt_env, &o);
}

static void directories_must_be_absolute(void **state)
{
    vh_env_options o = VH_ENV_OPTIONS_INIT;
    vh_error err = { 0 };
    vh_env *env;

    (void)state;
    o.state_dir = "relative";
    assert_int_equal(vh_env_new(&o, &env, &err), VH_EINVALID);
    assert_non_null(strstr(err.msg, "relative"));
    o.state_dir = "/tmp/x//";
    assert_ok(vh_env_new(&o, &env, &err), err);
    assert_string_equal(vh_env_state_dir(env), "/tmp/x");
    vh_env_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_without_time_gets_the_default),
        cmocka_unit_test(a_descriptor_that_stays_silent_times_out),
        cmocka_unit_test(a_triggered_token_ends_waits_and_sleeps_for_good),
        cmocka_unit_test(a_sleep_beyond_the_deadline_is_a_timeout),
        cmocka_unit_test(a_token_that_cannot_be_made_leaves_nothing),
        cmocka_unit_test(an_environment_that_cannot_be_made_leaves_nothing),
        cmocka_unit_test(directories_must_be_absolute),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
