/* Reading .modinfo out of module files, whatever they are. */
#include "fixture.h"

#include "guest_priv.h"

static void a_key_is_found(void **state)
{
    vh_auto_buf vh__buf m = { 0 };
    const char *value = NULL;
    vh_error err = { 0 };

    (void)state;
    fixture_depends(&m, "virtio,virtio_ring");
    assert_ok(vh__modinfo_get(m.data, m.len, "depends", &value, &err), err);
    assert_string_equal(value, "virtio,virtio_ring");
    assert_ok(vh__modinfo_get(m.data, m.len, "license", &value, &err), err);
    assert_string_equal(value, "GPL");
    assert_ok(vh__modinfo_get(m.data, m.len, "depend", &value, &err), err);
    assert_string_equal(value, "");
}

static void a_file_cut_anywhere_is_refused_or_read(void **state)
{
    vh_auto_buf vh__buf m = { 0 };
    const char *value = NULL;

    (void)state;
    fixture_depends(&m, "a,b");
    for (size_t n = 0; n < m.len; n++) {
        vh_auto_free char *cut = malloc(n + 1); /* the sanitizer sees a read beyond it */
        char *exact = realloc(cut, n ? n : 1);

        cut = exact ? exact : cut;
        memcpy(cut, m.data, n);
        assert_int_equal(vh__modinfo_get(cut, n, "depends", &value, NULL), VH_EINVALID);
    }
}

static void offsets_that_point_outside_are_refused(void **state)
{
    static const size_t fields[] = { offsetof(Elf64_Ehdr, e_shoff), offsetof(Elf64_Ehdr, e_shstrndx),
                                     offsetof(Elf64_Ehdr, e_shentsize) };
    const char *value = NULL;

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(fields); i++) {
        vh_auto_buf vh__buf m = { 0 };

        fixture_depends(&m, "a");
        memset(m.data + fields[i], 0xff, 2);
        assert_int_equal(vh__modinfo_get(m.data, m.len, "depends", &value, NULL), VH_EINVALID);
    }
}

static void a_section_without_its_end_is_refused(void **state)
{
    vh_auto_buf vh__buf m = { 0 };
    const char *value = NULL;

    (void)state;
    fixture_module(&m, "depends=x", 9);
    assert_int_equal(vh__modinfo_get(m.data, m.len, "depends", &value, NULL), VH_EINVALID);
}

static void text_is_no_module(void **state)
{
    const char *value = NULL;
    vh_error err = { 0 };

    (void)state;
    assert_int_equal(vh__modinfo_get("#!/bin/sh\n", 10, "depends", &value, &err), VH_EINVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_found),
        cmocka_unit_test(a_file_cut_anywhere_is_refused_or_read),
        cmocka_unit_test(offsets_that_point_outside_are_refused),
        cmocka_unit_test(a_section_without_its_end_is_refused),
        cmocka_unit_test(text_is_no_module),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
