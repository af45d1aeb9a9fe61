/* OCI user strings against the image's own files. */
#include "testenv.h"

#include <stdio.h>
#include <string.h>

#include "user.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                             "# a comment\n"
                             "broken:x:1\n"
                             "web:x:33:44:Web,,,:/srv/web:/bin/false\n"
                             "123:x:500:501::/srv/digits:\n"
                             "far:x:4294967294:9::relative:\n"
                             "bad:x:4294967295:9::/:\n"
                             "last:x:7:8:no newline:/last";
static const char group[] = "root:x:0:\n"
                            "video:x:27:root,web\n"
                            "tape:x:26:webmaster,web,x\n"
                            "other:x:60:webmaster\n"
                            "44g:x:61:\n"
                            "odd:x:62:,web\n";

static vh__agent_user resolved(const char *spec)
{
    vh__agent_user u = { 0 };
    const char *wrong = vh__agent_user_resolve(spec, passwd, group, &u);

    if (wrong)
        fail_msg("%s: %s", spec, wrong);
    return u;
}

static void refused(const char *spec, const char *why)
{
    vh__agent_user u = { .uid = 4711 };
    const char *wrong = vh__agent_user_resolve(spec, passwd, group, &u);

    assert_non_null(wrong);
    assert_non_null(strstr(wrong, why));
    assert_int_equal(u.uid, 4711);
}

static void nothing_means_root(void **state)
{
    vh__agent_user u = resolved("");

    (void)state;
    assert_int_equal(u.uid, 0);
    assert_int_equal(u.gid, 0);
    assert_int_equal(u.ngroups, 1);
    assert_int_equal(u.groups[0], 27);
    assert_string_equal(u.home, "/root");
}

static void a_name_brings_group_home_and_supplementary_groups(void **state)
{
    vh__agent_user u = resolved("web");

    (void)state;
    assert_int_equal(u.uid, 33);
    assert_int_equal(u.gid, 44);
    assert_string_equal(u.home, "/srv/web");
    assert_int_equal(u.ngroups, 3);
    assert_int_equal(u.groups[0], 27);
    assert_int_equal(u.groups[1], 26);
    assert_int_equal(u.groups[2], 62);
}

static void a_listed_number_is_its_user(void **state)
{
    vh__agent_user u = resolved("33");

    (void)state;
    assert_int_equal(u.gid, 44);
    assert_int_equal(u.ngroups, 3);
}

static void an_unlisted_number_is_taken_as_it_is(void **state)
{
    vh__agent_user u = resolved("1000");

    (void)state;
    assert_int_equal(u.uid, 1000);
    assert_int_equal(u.gid, 0);
    assert_int_equal(u.ngroups, 0);
    assert_string_equal(u.home, "/");
}

static void a_group_replaces_the_users_own(void **state)
{
    vh__agent_user u = resolved("web:video");

    (void)state;
    assert_int_equal(u.gid, 27);
    assert_int_equal(u.ngroups, 0);
    u = resolved("1000:1001");
    assert_int_equal(u.uid, 1000);
    assert_int_equal(u.gid, 1001);
    u = resolved("web:60");
    assert_int_equal(u.gid, 60);
    u = resolved(":26");
    assert_int_equal(u.uid, 0);
    assert_int_equal(u.gid, 26);
    u = resolved("web:");
    assert_int_equal(u.gid, 44);
}

static void a_name_of_digits_goes_before_a_number(void **state)
{
    vh__agent_user u = resolved("123");

    (void)state;
    assert_int_equal(u.uid, 500);
    assert_string_equal(u.home, "/srv/digits");
}

static void a_home_that_is_no_path_is_the_root(void **state)
{
    vh__agent_user u = resolved("far");

    (void)state;
    assert_int_equal(u.uid, 4294967294u);
    assert_string_equal(u.home, "/");
    assert_string_equal(resolved("last").home, "/last");
}

static void names_that_are_not_listed_are_refused(void **state)
{
    (void)state;
    refused("nobody", "no such user");
    refused("broken", "no such user");
    refused("bad", "no such user");
    refused("4294967295", "no such user");
    refused("-1", "no such user");
    refused("0x10", "no such user");
    refused("99999999999", "no such user");
    refused("web:nogroup", "no such group");
    refused("web:4294967295", "no such group");
}

static void missing_files_leave_numbers(void **state)
{
    vh__agent_user u;

    (void)state;
    assert_null(vh__agent_user_resolve("", "", "", &u));
    assert_int_equal(u.uid, 0);
    assert_null(vh__agent_user_resolve("5:6", "", "", &u));
    assert_int_equal(u.gid, 6);
    assert_non_null(vh__agent_user_resolve("root", "", "", &u));
}

static void supplementary_groups_are_bounded(void **state)
{
    char many[8192];
    size_t n = 0;
    vh__agent_user u;

    (void)state;
    for (int i = 0; i < 200; i++)
        n += (size_t)snprintf(many + n, sizeof(many) - n, "g%d:x:%d:web\n", i, 1000 + i);
    assert_null(vh__agent_user_resolve("web", passwd, many, &u));
    assert_int_equal(u.ngroups, VH_AGENT_GROUPS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_means_root),
        cmocka_unit_test(a_name_brings_group_home_and_supplementary_groups),
        cmocka_unit_test(a_listed_number_is_its_user),
        cmocka_unit_test(an_unlisted_number_is_taken_as_it_is),
        cmocka_unit_test(a_group_replaces_the_users_own),
        cmocka_unit_test(a_name_of_digits_goes_before_a_number),
        cmocka_unit_test(a_home_that_is_no_path_is_the_root),
        cmocka_unit_test(names_that_are_not_listed_are_refused),
        cmocka_unit_test(missing_files_leave_numbers),
        cmocka_unit_test(supplementary_groups_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
