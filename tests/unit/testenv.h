/* What every unit test starts from: cmocka, an environment of its own and a temporary folder that goes with it. */
#ifndef VH_TESTS_TESTENV_H
#define VH_TESTS_TESTENV_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <vhive/env.h>

typedef struct testenv {
    char dir[64];  /* temporary folder, removed by testenv_fini() */
    vh_env *env;   /* state in dir/state, run in dir/run; logs to stderr when VH_TEST_LOG is set */
    int open_fds;  /* when it was made: testenv_fini() fails the test if more are open then */
} testenv;

void testenv_init(testenv *t);
void testenv_fini(testenv *t);

/** How many descriptors this process has open, give or take the same few. */
int testenv_count_fds(void);

/**
 * Ends the test as skipped because |capability| is missing, or fails it when VH_TEST_REQUIRE (a comma-separated
 * list) names the capability.
 */
#define testenv_skip(capability, why)                                                                                  \
    do {                                                                                                               \
        if (testenv_required(capability))                                                                              \
            fail_msg("VH_TEST_REQUIRE names %s, but: %s", capability, why);                                            \
        print_message("skipped, no %s: %s\n", capability, why);                                                        \
        skip();                                                                                                        \
    } while (0)

int testenv_required(const char *capability);

/** What main() of a program that can test nothing without |capability| returns; set-up functions cannot skip. */
int testenv_without(const char *capability, const char *why);

/** Asserts that |call| returned 0, printing the message of |err| otherwise. */
#define assert_ok(call, err)                                                                                           \
    do {                                                                                                               \
        int assert_ok_rc = (call);                                                                                     \
        if (assert_ok_rc)                                                                                              \
            fail_msg("%s: %d (%s): %s", #call, assert_ok_rc, vh_error_name(assert_ok_rc), (err).msg);                  \
    } while (0)

#endif
