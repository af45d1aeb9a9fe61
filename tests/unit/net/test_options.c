/* What a network may be made from; needs no privilege. */
#include "testenv.h"

#include <string.h>
#include <unistd.h>

#include "auto.h"
#include "failalloc.h"
#include "net.h"

static void assert_refused(vh__net_options o, const char *says)
{
    vh__net *net = NULL;
    vh_error err = { 0 };
    testenv t;

    testenv_init(&t);
    assert_int_equal(vh__net_new(t.env, &o, &net, &err), VH_EINVALID);
    assert_null(net);
    if (!strstr(err.msg, says))
        fail_msg("\"%s\" is not in \"%s\"", says, err.msg);
    testenv_fini(&t);
}

static void pools_that_are_no_ranges_are_refused(void **state)
{
    static const char *const bad[] = {
        "",      "198.18.0.0",  "198.18.0.0/", "198.18.0.0/31", "10.0.0.0/7", "1.2.3/24", "198.18.0.0/15x",
        "::/64", "999.0.0.0/8", " 10.0.0.0/8", "10.0.0.0/ 8"
    };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(bad); i++)
        assert_refused((vh__net_options){ .pool = bad[i] }, "must be an IPv4 range");
    assert_refused((vh__net_options){ .pool = "198.19.0.0/15" }, "not the first of a /15");
}

static void unknown_egress_and_relative_directories_are_refused(void **state)
{
    (void)state;
    assert_refused((vh__net_options){ .egress = "all" }, "must be public or none");
    assert_refused((vh__net_options){ .lease_dir = "leases" }, "must be absolute");
}

static void reaping_where_nothing_was_ever_leased_does_nothing(void **state)
{
    testenv t;
    vh__net *net = NULL;
    vh_error err = { 0 };
    vh__wait w = vh__wait_from(NULL, 1000);

    (void)state;
    testenv_init(&t);
    assert_ok(vh__net_new(t.env, &(vh__net_options){ .lease_dir = "/nonexistent/leases" }, &net, &err), err);
    assert_ok(vh__net_reap(net, &w, &err), err);
    assert_int_not_equal(access("/nonexistent", F_OK), 0);
    vh__net_free(net);
    vh__net_free(NULL);
    testenv_fini(&t);
}

static int make(void *arg)
{
    vh__net *net = NULL;
    int rc = vh__net_new(arg, NULL, &net, NULL);

    vh__net_free(net);
    return rc;
}

static void a_failing_allocation_leaves_nothing(void **state)
{
    testenv t;

    (void)state;
    testenv_init(&t);
    failalloc_sweep(make, t.env);
    testenv_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_that_are_no_ranges_are_refused),
        cmocka_unit_test(unknown_egress_and_relative_directories_are_refused),
        cmocka_unit_test(reaping_where_nothing_was_ever_leased_does_nothing),
        cmocka_unit_test(a_failing_allocation_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
