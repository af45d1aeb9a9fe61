/* Single mechanisms, measured for real. */
#include "testenv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vhive/micro.h>

#include "failalloc.h"
#include "path.h"

/* Path of the directory that measurements work in. */
static const char *work_dir(const testenv *t, char path[128])
{
    snprintf(path, 128, "%s/state/micro", t->dir);
    return path;
}

static double run(vh_micro *m, const char *name)
{
    double value = -1;
    vh_error err = { 0 };
    int rc = vh_micro_run(m, name, NULL, &value, &err);

    if (rc)
        fail_msg("%s: %s", name, err.msg);
    return value;
}

static void every_row_has_a_name_of_its_own(void **state)
{
    const vh_micro_row *row, *other;

    (void)state;
    for (size_t i = 0; (row = vh_micro_at(i)) != NULL; i++) {
        assert_true(*row->name && *row->unit && *row->help);
        for (size_t k = 0; k < i; k++)
            if ((other = vh_micro_at(k)) != NULL)
                assert_string_not_equal(row->name, other->name);
    }
}

static void faults_cost_more_than_installed_pages(void **state)
{
    testenv t;
    vh_micro *m;
    vh_error err = { 0 };

    (void)state;
    if (access("/dev/userfaultfd", R_OK | W_OK) < 0)
        testenv_skip("uffd", "/dev/userfaultfd cannot be opened");
    testenv_init(&t);
    assert_ok(vh_micro_new(t.env, NULL, &m, &err), err);
    assert_true(run(m, "uffd-copy") > 0);
    assert_true(run(m, "uffd-copy-page") > 0);
    assert_true(run(m, "fault") > run(m, "uffd-zero"));
    assert_true(run(m, "ws-fetch") > 0);
    assert_true(run(m, "ws-install") > 0);
    vh_micro_free(m);
    testenv_fini(&t);
}

static void what_was_made_on_disk_goes_with_the_object(void **state)
{
    testenv t;
    vh_micro *m;
    char path[128];
    struct stat st;
    double rate;
    vh_error err = { 0 };
    int rc;

    (void)state;
    testenv_init(&t);
    (void)rmdir(vh_env_state_dir(t.env));
    assert_ok(vh_micro_new(t.env, NULL, &m, &err), err);
    assert_int_equal(stat(vh_env_state_dir(t.env), &st), 0);
    assert_int_equal(st.st_mode & 0111, 0111); /* VMMs, who are nobody, pass through it */
    rc = vh_micro_run(m, "disk-random", NULL, &rate, &err);
    assert_true(rc == -EINVAL || (rc == 0 && rate > 0)); /* some file systems know no O_DIRECT */
    assert_int_equal(access(work_dir(&t, path), F_OK), 0);
    vh_micro_free(m);
    assert_int_equal(access(path, F_OK), -1);
    testenv_fini(&t);
}

static void one_directory_is_for_one_at_a_time(void **state)
{
    testenv t;
    vh_micro *first, *second = NULL;
    char path[128];
    vh_error err = { 0 };

    (void)state;
    testenv_init(&t);
    assert_ok(vh_micro_new(t.env, NULL, &first, &err), err);
    assert_int_equal(vh_micro_new(t.env, NULL, &second, &err), VH_ESTATE);
    assert_null(second);
    assert_int_equal(access(work_dir(&t, path), F_OK), 0);
    vh_micro_free(first);
    assert_ok(vh_micro_new(t.env, NULL, &second, &err), err);
    vh_micro_free(second);
    vh_micro_free(NULL);
    testenv_fini(&t);
}

static void what_cannot_be_is_refused(void **state)
{
    testenv t;
    vh_micro *m = NULL;
    vh_micro_options o = VH_MICRO_OPTIONS_INIT;
    vh_cancel *cancel;
    vh_call call = VH_CALL_INIT;
    double value = -1;
    vh_error err = { 0 };

    (void)state;
    testenv_init(&t);
    o.accel = "hvf";
    assert_int_equal(vh_micro_new(t.env, &o, &m, &err), VH_EINVALID);
    assert_null(m);
    o.accel = "tcg";
    o.qemu = "/nonexistent/qemu";
    o.net_pool = "nowhere";
    assert_ok(vh_micro_new(t.env, &o, &m, &err), err);
    assert_int_equal(vh_micro_run(m, "fual", NULL, &value, &err), VH_EINVALID);
    assert_int_equal(vh_micro_run(m, "net-acquire", NULL, &value, &err), VH_EINVALID);
    vh_micro_free(m);
    o.net_pool = NULL;
    assert_ok(vh_micro_new(t.env, &o, &m, &err), err);
    assert_int_equal(vh_micro_run(m, "vmm-spawn", NULL, &value, &err), VH_EMISSING);
    assert_non_null(strstr(err.msg, "vmm-spawn: "));
    assert_ok(vh_cancel_new(&cancel, &err), err);
    vh_cancel_trigger(cancel);
    call.cancel = cancel;
    assert_int_equal(vh_micro_run(m, "fault", &call, &value, &err), VH_ECANCELED);
    assert_true(value == -1);
    vh_cancel_free(cancel);
    vh_micro_free(m);
    testenv_fini(&t);
}

static int attempt(void *arg)
{
    vh_micro_options o = VH_MICRO_OPTIONS_INIT;
    vh_micro *m;
    int rc;

    o.net_pool = "198.18.0.0/15";
    rc = vh_micro_new(arg, &o, &m, NULL);

    if (rc == 0)
        vh_micro_free(m);
    return rc;
}

static void making_one_survives_any_failing_allocation(void **state)
{
    testenv t;

    (void)state;
    testenv_init(&t);
    failalloc_sweep(attempt, t.env);
    testenv_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_a_name_of_its_own),
        cmocka_unit_test(faults_cost_more_than_installed_pages),
        cmocka_unit_test(what_was_made_on_disk_goes_with_the_object),
        cmocka_unit_test(one_directory_is_for_one_at_a_time),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(making_one_survives_any_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
