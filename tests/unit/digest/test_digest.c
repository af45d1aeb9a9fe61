/* SHA-256 against the standard's examples (FIPS 180-4). */
#include "testenv.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "digest.h"
#include "failalloc.h"

#define ABC "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void the_standards_examples_come_out(void **state)
{
    char text[VH_DIGEST_TEXT];
    vh_error err = { 0 };

    (void)state;
    assert_ok(vh__digest_bytes("abc", 3, text, &err), err);
    assert_string_equal(text, ABC);
    assert_ok(vh__digest_bytes("", 0, text, &err), err);
    assert_string_equal(text, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void a_running_hash_starts_anew_after_its_end(void **state)
{
    char text[VH_DIGEST_TEXT];
    vh_error err = { 0 };
    vh__digest *d;

    (void)state;
    assert_ok(vh__digest_new(&d, &err), err);
    for (int i = 0; i < 2; i++) {
        assert_ok(vh__digest_update(d, "a", 1, &err), err);
        assert_ok(vh__digest_update(d, "bc", 2, &err), err);
        assert_ok(vh__digest_final(d, text, &err), err);
        assert_string_equal(text, ABC);
    }
    vh__digest_free(d);
}

static void a_file_is_hashed_from_its_start(void **state)
{
    int fd = memfd_create("x", MFD_CLOEXEC);
    char text[VH_DIGEST_TEXT];
    vh_error err = { 0 };

    (void)state;
    assert_int_equal(write(fd, "abc", 3), 3); /* the offset is now at the end */
    assert_ok(vh__digest_fd(fd, "file", text, &err), err);
    assert_string_equal(text, ABC);
    close(fd);
}

static void only_whole_lower_case_digests_are_valid(void **state)
{
    (void)state;
    assert_true(vh__digest_valid(ABC));
    assert_false(vh__digest_valid(ABC "0"));
    assert_false(vh__digest_valid("sha256:../../etc/passwd"));
    assert_false(vh__digest_valid("sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"));
    assert_false(vh__digest_valid("sha512:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    assert_false(vh__digest_valid(""));
}

static int attempt(void *arg)
{
    vh__digest *d = NULL;
    int rc = vh__digest_new(&d, NULL);

    (void)arg;
    vh__digest_free(d);
    return rc;
}

static void a_hash_that_cannot_be_made_leaves_nothing(void **state)
{
    (void)state;
    failalloc_sweep(attempt, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_standards_examples_come_out),
        cmocka_unit_test(a_running_hash_starts_anew_after_its_end),
        cmocka_unit_test(a_file_is_hashed_from_its_start),
        cmocka_unit_test(only_whole_lower_case_digests_are_valid),
        cmocka_unit_test(a_hash_that_cannot_be_made_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
