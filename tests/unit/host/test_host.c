/* The composition root: what it makes, and what it refuses. */
#include "testenv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <vhive/host.h>

#include "failalloc.h"

static void options_of(const testenv *t, char state[96], char run[96], vh_env_options *o)
{
    snprintf(state, 96, "%s/state", t->dir);
    snprintf(run, 96, "%s/run", t->dir);
    *o = (vh_env_options)VH_ENV_OPTIONS_INIT;
    o->state_dir = state;
    o->run_dir = run;
}

static void a_host_has_all_its_objects(void **state)
{
    vh_env_options o;
    vh_error err = { 0 };
    char st[96], run[96];
    vh_host *host;
    testenv t;

    (void)state;
    if (geteuid() != 0)
        testenv_skip("root", "a host is root's");
    testenv_init(&t);
    options_of(&t, st, run, &o);
    assert_ok(vh_host_new(NULL, &o, &host, &err), err);
    assert_non_null(vh_host_images(host));
    assert_non_null(vh_host_snapshots(host));
    assert_non_null(vh_host_vms(host));
    assert_string_equal(vh_env_state_dir(vh_host_env(host)), st);
    vh_host_free(host);
    testenv_fini(&t);
}

static void a_run_directory_too_long_for_sockets_is_refused(void **state)
{
    vh_env_options o;
    vh_error err = { 0 };
    char st[96], run[96];
    vh_host *host;
    testenv t;

    (void)state;
    testenv_init(&t);
    options_of(&t, st, run, &o);
    o.run_dir = "/tmp/0123456789012345678901234567890123456789012345678901234567890123456789";
    assert_int_equal(vh_host_new(NULL, &o, &host, &err), VH_EINVALID);
    assert_non_null(strstr(err.msg, "shorter"));
    testenv_fini(&t);
}

static int attempt(void *arg)
{
    vh_host *host = NULL;
    int rc = vh_host_new(NULL, arg, &host, NULL);

    vh_host_free(host);
    return rc;
}

/* Clearing up after others is allowed to fail, so only errors of the construction count. */
static void a_host_that_runs_out_of_memory_leaves_nothing(void **state)
{
    vh_env_options o;
    char st[96], run[96];
    testenv t;

    (void)state;
    if (geteuid() != 0)
        testenv_skip("root", "a host is root's");
    testenv_init(&t);
    options_of(&t, st, run, &o);
    assert_int_equal(attempt(&o), 0);
    for (unsigned i = 1; i < 20; i++) {
        int rc;

        failalloc_at(i);
        rc = attempt(&o);
        failalloc_at(0);
        assert_true(rc == 0 || rc == -ENOMEM);
    }
    testenv_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_has_all_its_objects),
        cmocka_unit_test(a_run_directory_too_long_for_sockets_is_refused),
        cmocka_unit_test(a_host_that_runs_out_of_memory_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
