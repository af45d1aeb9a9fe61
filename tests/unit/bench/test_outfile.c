/* Where a result goes. */
#include "testenv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"
#include "outfile.h"

static const char *path_in(const testenv *t, const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", t->dir, name);
    return path;
}

static void a_file_is_replaced_at_once_and_as_a_whole(void **state)
{
    testenv t;
    char path[128];
    bench_outfile o;
    vh_auto_buf vh__buf text = { 0 };
    struct stat st;
    vh_error err = { 0 };

    (void)state;
    testenv_init(&t);
    path_in(&t, "out", path);
    assert_ok(vh__file_write_atomic(path, "old", 3, 0644, &err), err);
    assert_ok(bench_outfile_open(&o, path, &err), err);
    fputs("new", o.f);
    fflush(o.f);
    assert_ok(vh__file_read(path, 100, &text, &err), err);
    assert_memory_equal(text.data, "old", 3);
    assert_ok(bench_outfile_commit(&o, &err), err);
    bench_outfile_close(&o);
    text.len = 0;
    assert_ok(vh__file_read(path, 100, &text, &err), err);
    assert_memory_equal(text.data, "new", 3);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0700, 0600);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(t.dir), 0); /* nothing beside it */
    testenv_fini(&t);
}

static void what_is_not_complete_leaves_nothing(void **state)
{
    testenv t;
    char path[128];
    bench_outfile o;
    vh_error err = { 0 };

    (void)state;
    testenv_init(&t);
    assert_ok(bench_outfile_open(&o, path_in(&t, "out", path), &err), err);
    fputs("half", o.f);
    bench_outfile_close(&o);
    bench_outfile_close(&o);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(rmdir(t.dir), 0); /* it is empty */
    testenv_fini(&t);
}

static void what_cannot_be_written_is_told_ahead(void **state)
{
    testenv t;
    char path[128];
    bench_outfile o;
    vh_error err = { 0 };

    (void)state;
    testenv_init(&t);
    assert_int_equal(bench_outfile_open(&o, t.dir, &err), VH_EINVALID);
    bench_outfile_close(&o);
    assert_int_equal(bench_outfile_open(&o, "/dev/null", &err), VH_EINVALID);
    bench_outfile_close(&o);
    assert_int_equal(bench_outfile_open(&o, "", &err), VH_EINVALID);
    bench_outfile_close(&o);
    assert_int_equal(bench_outfile_open(&o, path_in(&t, "no/such/folder", path), &err), -ENOENT);
    assert_non_null(strstr(err.msg, path));
    bench_outfile_close(&o);
    testenv_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_replaced_at_once_and_as_a_whole),
        cmocka_unit_test(what_is_not_complete_leaves_nothing),
        cmocka_unit_test(what_cannot_be_written_is_told_ahead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
