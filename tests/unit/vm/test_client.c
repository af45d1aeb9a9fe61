/* The library's end of a shim, against the real vhive-shim without a VM. */
#include "testenv.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auto.h"
#include "vm_priv.h"

struct fixture {
    testenv env;
    vh_env *built; /* its libexec_dir is the build's */
    struct client c;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    vh_error err = { 0 };

    testenv_init(&f->env);
    assert_ok(vh_env_new(NULL, &f->built, &err), err);
    f->c = (struct client){ .process = VH_PROCESS_INIT, .sock = -1 };
    assert_ok(vh__client_start(&f->c, f->built, &err), err);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    vh__client_kill(&f->c);
    vh_env_free(f->built);
    testenv_fini(&f->env);
    free(f);
    return 0;
}

static int call(struct fixture *f, const char *op, vh_error *err)
{
    vh__wait w = vh__wait_from(NULL, 5000);

    return vh__client_call(&f->c, &w, vh__client_request(op), NULL, 0, NULL, NULL, err);
}

static void a_shim_without_a_vm_refuses_what_needs_one(void **state)
{
    struct fixture *f = *state;
    vh_error err = { 0 };

    assert_int_equal(call(f, "stats", &err), VH_ESTATE);
    assert_int_equal(call(f, "resume", &err), VH_ESTATE);
    assert_int_equal(call(f, "pause", &err), VH_ESTATE);
    assert_int_equal(call(f, "unpause", &err), VH_ESTATE);
    assert_int_equal(call(f, "continue", &err), VH_ESTATE);
}

static void an_unknown_request_is_refused_and_the_shim_goes_on(void **state)
{
    struct fixture *f = *state;
    vh_error err = { 0 };

    assert_int_equal(call(f, "dance", &err), VH_EPROTOCOL);
    assert_non_null(strstr(err.msg, "dance"));
    assert_int_equal(call(f, "spawn", &err), VH_EPROTOCOL);
    assert_int_equal(call(f, "stats", &err), VH_ESTATE);
}

static void the_death_of_a_shim_is_told_by_the_next_request(void **state)
{
    struct fixture *f = *state;
    vh_error err = { 0 };

    assert_int_equal(vh__process_signal(&f->c.process, SIGKILL), 0);
    assert_int_equal(call(f, "stats", &err), VH_EVMM);
    assert_non_null(strstr(err.msg, "killed by SIGKILL"));
    assert_int_equal(call(f, "stats", &err), VH_ESTATE);
}

static void waiting_for_the_end_notices_the_death_of_the_shim(void **state)
{
    struct fixture *f = *state;
    vh__wait w = vh__wait_from(NULL, 5000);
    vh_error err = { 0 };

    assert_int_equal(vh__process_signal(&f->c.process, SIGKILL), 0);
    assert_ok(vh__client_wait_exit(&f->c, &w, &err), err);
    assert_true(f->c.exit.ended && !f->c.exit.function);
    assert_non_null(strstr(f->c.exit.reason, "SIGKILL"));
}

static void a_cancelled_wait_returns_at_once(void **state)
{
    struct fixture *f = *state;
    vh__wait w = vh__wait_from(NULL, 60000);
    vh_error err = { 0 };

    assert_ok(vh_cancel_new(&w.cancel, &err), err);
    vh_cancel_trigger(w.cancel);
    assert_int_equal(vh__client_wait_exit(&f->c, &w, &err), VH_ECANCELED);
    vh_cancel_free(w.cancel);
}

#define test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_shim_without_a_vm_refuses_what_needs_one),
        test(an_unknown_request_is_refused_and_the_shim_goes_on),
        test(the_death_of_a_shim_is_told_by_the_next_request),
        test(waiting_for_the_end_notices_the_death_of_the_shim),
        test(a_cancelled_wait_returns_at_once),
    };

    if (geteuid() != 0)
        return testenv_without("root", "a shim lives in a pid namespace of its own");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
