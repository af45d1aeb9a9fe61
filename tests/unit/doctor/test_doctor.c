/* The examination as a whole; what its checks find is told by tests/ctl/doctor_finds_faults.py. */
#include "testenv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor_priv.h"
#include "failalloc.h"

struct tally {
    unsigned n, kernel, stores;
    char names[1024];
};

static void count(const vh_finding *f, void *arg)
{
    struct tally *t = arg;

    assert_null(strstr(t->names, f->check)); /* each once */
    assert_true(strlen(f->detail) > 0);
    assert_true((f->level == VH_FINDING_OK) == (*f->remedy == '\0'));
    strcat(strcat(t->names, f->check), " ");
    t->n++;
}

static vh_env_options options_in(const testenv *t, char state[96], char run[96])
{
    vh_env_options o = VH_ENV_OPTIONS_INIT;

    snprintf(state, 96, "%s/elsewhere", t->dir);
    snprintf(run, 96, "%s/run", t->dir);
    o.state_dir = state;
    o.run_dir = run;
    return o;
}

static void every_check_is_made_and_nothing_is_left(void **unused)
{
    struct tally tally = { 0 };
    char state[96], run[96];
    vh_config *config;
    vh_env_options o;
    vh_error err = { 0 };
    testenv t;

    (void)unused;
    testenv_init(&t);
    o = options_in(&t, state, run);
    assert_ok(vh_config_new(&config, &err), err);
    /* any file: asking apt for one takes seconds */
    assert_ok(vh_config_set(config, "guest.kernel", "/proc/self/exe", VH_CONFIG_FROM_FLAG, "test", &err), err);
    assert_ok(vh_doctor_run(config, &o, NULL, count, &tally, &err), err);
    vh_config_free(config);
    assert_int_equal(tally.n, 17);
    assert_int_equal(access(state, F_OK), -1);
    assert_int_equal(access(run, F_OK), -1);
    testenv_fini(&t);
}

static void a_cancelled_examination_ends(void **unused)
{
    struct tally tally = { 0 };
    vh_call call = VH_CALL_INIT;
    vh_error err = { 0 };

    (void)unused;
    assert_ok(vh_cancel_new(&call.cancel, &err), err);
    vh_cancel_trigger(call.cancel);
    assert_int_equal(vh_doctor_run(NULL, NULL, &call, count, &tally, &err), VH_ECANCELED);
    assert_int_equal(tally.n, 0);
    vh_cancel_free(call.cancel);
}

static void the_nearest_directory_is_found_above_what_is_missing(void **unused)
{
    char dir[128], want[128], path[160], file[96];
    testenv t;

    (void)unused;
    testenv_init(&t);
    snprintf(path, sizeof(path), "%s/a/b/c", t.dir);
    assert_true(vh__place_existing(path, dir, sizeof(dir)));
    assert_string_equal(dir, t.dir);
    assert_true(vh__place_existing("/nonexistent-anywhere/x", dir, sizeof(dir)));
    assert_string_equal(dir, "/");
    snprintf(want, sizeof(want), "%s/a", t.dir);
    assert_int_equal(mkdir(want, 0700), 0);
    assert_true(vh__place_existing(path, dir, sizeof(dir)));
    assert_string_equal(dir, want);
    snprintf(file, sizeof(file), "/dev/null/x");
    assert_false(vh__place_existing(file, dir, sizeof(dir)));
    assert_false(vh__place_existing(path, dir, 8));
    assert_int_equal(rmdir(want), 0);
    testenv_fini(&t);
}

static void sizes_and_levels_have_names(void **unused)
{
    char text[24];

    (void)unused;
    assert_string_equal(vh__found_size(3ULL << 30, text), "3.0 GiB");
    assert_string_equal(vh__found_size(300ULL << 20, text), "300 MiB");
    assert_string_equal(vh_finding_level_name(VH_FINDING_WARN), "warn");
    assert_string_equal(vh_finding_level_name((vh_finding_level)9), "?");
}

static int attempt(void *arg)
{
    vh_env_options o = VH_ENV_OPTIONS_INIT;
    vh__exam x;
    int rc;

    o.libexec_dir = "/usr/libexec/vhive"; /* looking for it gets by with less memory */
    rc = vh__exam_init(&x, NULL, &o, arg, NULL);

    vh__exam_fini(&x);
    return rc;
}

static void an_examination_without_memory_is_none(void **unused)
{
    vh__wait w = vh__wait_from(NULL, 1000);

    (void)unused;
    failalloc_sweep(attempt, &w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_check_is_made_and_nothing_is_left),
        cmocka_unit_test(a_cancelled_examination_ends),
        cmocka_unit_test(the_nearest_directory_is_found_above_what_is_missing),
        cmocka_unit_test(sizes_and_levels_have_names),
        cmocka_unit_test(an_examination_without_memory_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
