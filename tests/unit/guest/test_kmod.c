/* Which modules are taken, and in what order. */
#include "fixture.h"

#include "guest_priv.h"

static int setup(void **state)
{
    testenv *t = test_calloc(1, sizeof(*t));

    testenv_init(t);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    testenv_fini(*state);
    test_free(*state);
    return 0;
}

static void module(const testenv *t, const char *name, const char *depends)
{
    vh_auto_buf vh__buf m = { 0 };

    fixture_depends(&m, depends);
    fixture_file(t->dir, name, m.data, m.len);
}

static void expect(const vh__kmods *mods, const char *const *names, size_t n)
{
    assert_int_equal(mods->n, n);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(mods->v[i].name, names[i]);
}

static void modules_follow_what_they_need(void **state)
{
    static const char *const wanted[] = { "net", "blk", NULL }, *const order[] = { "ring", "core", "fail_over", "net", "blk" };
    vh_auto_kmods vh__kmods mods = { 0 };
    const testenv *t = *state;
    vh_error err = { 0 };

    module(t, "m/drivers/net/net.ko", "core,fail-over");
    module(t, "m/drivers/block/blk.ko", "ring,core");
    module(t, "m/core/core.ko", "ring");
    module(t, "m/core/deep/er/ring.ko", "");
    module(t, "m/fail-over.ko", "");
    module(t, "m/unwanted.ko", "missing");
    fixture_file(t->dir, "m/modules.builtin", "x", 1);
    assert_ok(vh__kmods_load(t->dir, wanted, &mods, &err), err);
    expect(&mods, order, 5);
}

static void a_module_that_is_not_there_is_built_in(void **state)
{
    static const char *const wanted[] = { "virtio_mmio", "there", NULL }, *const order[] = { "there" };
    vh_auto_kmods vh__kmods mods = { 0 };
    const testenv *t = *state;
    vh_error err = { 0 };

    module(t, "m/there.ko", "");
    assert_ok(vh__kmods_load(t->dir, wanted, &mods, &err), err);
    expect(&mods, order, 1);
}

static void a_missing_dependency_is_named(void **state)
{
    static const char *const wanted[] = { "a", NULL };
    vh_auto_kmods vh__kmods mods = { 0 };
    const testenv *t = *state;
    vh_error err = { 0 };

    module(t, "m/a.ko", "gone");
    assert_int_equal(vh__kmods_load(t->dir, wanted, &mods, &err), VH_ECORRUPT);
    assert_non_null(strstr(err.msg, "needs gone"));
}

static void a_circle_ends(void **state)
{
    static const char *const wanted[] = { "a", NULL };
    vh_auto_kmods vh__kmods mods = { 0 };
    const testenv *t = *state;
    vh_error err = { 0 };

    module(t, "m/a.ko", "b");
    module(t, "m/b.ko", "a");
    assert_int_equal(vh__kmods_load(t->dir, wanted, &mods, &err), VH_EINVALID);
    assert_non_null(strstr(err.msg, "circle"));
}

static void what_is_no_elf_file_is_refused(void **state)
{
    static const char *const wanted[] = { "a", NULL };
    vh_auto_kmods vh__kmods mods = { 0 };
    const testenv *t = *state;
    vh_error err = { 0 };

    fixture_file(t->dir, "m/a.ko", "hello", 5);
    assert_int_equal(vh__kmods_load(t->dir, wanted, &mods, &err), VH_EINVALID);
    assert_non_null(strstr(err.msg, "a.ko"));
}

static void compressed_modules_are_unpacked(void **state)
{
    static const char *const wanted[] = { "a", NULL };
    vh_auto_kmods vh__kmods mods = { 0 };
    vh_auto_buf vh__buf plain = { 0 };
    const testenv *t = *state;
    struct archive *a = archive_write_new();
    struct archive_entry *e = archive_entry_new();
    size_t used = 0;
    vh_error err = { 0 };
    char packed[8192];

    fixture_depends(&plain, "");
    archive_write_add_filter_xz(a);
    archive_write_set_format_raw(a);
    assert_int_equal(archive_write_open_memory(a, packed, sizeof(packed), &used), ARCHIVE_OK);
    archive_entry_set_filetype(e, AE_IFREG);
    assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
    assert_int_equal(archive_write_data(a, plain.data, plain.len), (la_ssize_t)plain.len);
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_entry_free(e);
    archive_write_free(a);
    fixture_file(t->dir, "m/a.ko.xz", packed, used);
    assert_ok(vh__kmods_load(t->dir, wanted, &mods, &err), err);
    assert_int_equal(mods.n, 1);
    assert_int_equal(mods.v[0].data.len, plain.len);
    assert_memory_equal(mods.v[0].data.data, plain.data, plain.len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(modules_follow_what_they_need, setup, teardown),
        cmocka_unit_test_setup_teardown(a_module_that_is_not_there_is_built_in, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_dependency_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(a_circle_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_elf_file_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(compressed_modules_are_unpacked, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
