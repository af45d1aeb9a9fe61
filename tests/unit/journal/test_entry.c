/* Entries of the ledger: names, notes, locks that follow descriptors, reaping. */
#include "testenv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auto.h"
#include "failalloc.h"
#include "fd.h"
#include "journal.h"
#include "path.h"

struct fixture {
    testenv t;
    char dir[96];
    vh__journal *j;
    char undone[256]; /* "kind value;" in the order in which they were undone */
};

static int undo_noting(const char *kind, const char *value, struct fixture *f)
{
    size_t n = strlen(f->undone);

    snprintf(f->undone + n, sizeof(f->undone) - n, "%s %s;", kind, value);
    return 0;
}

static int undo_dir(const char *value, void *arg, vh_error *err)
{
    (void)err;
    return undo_noting("dir", value, arg);
}

static int undo_link(const char *value, void *arg, vh_error *err)
{
    (void)err;
    return undo_noting("link", value, arg);
}

static int undo_badly(const char *value, void *arg, vh_error *err)
{
    undo_noting("bad", value, arg);
    return vh_error_set(err, -EBUSY, "remove %s", value);
}

static const vh__journal_handler handlers[] = {
    { "dir", undo_dir },
    { "link", undo_link },
    { "bad", undo_badly },
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    vh_error err = { 0 };

    assert_non_null(f);
    testenv_init(&f->t);
    snprintf(f->dir, sizeof(f->dir), "%s/a/ledger", f->t.dir);
    assert_ok(vh__journal_open(f->dir, &f->j, &err), err);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    vh__journal_free(f->j);
    testenv_fini(&f->t);
    free(f);
    return 0;
}

static void path_of(const struct fixture *f, const char *name, char *path, size_t n)
{
    snprintf(path, n, "%s/%s", f->dir, name);
}

static int there_is(const struct fixture *f, const char *name)
{
    char path[160];

    path_of(f, name, path, sizeof(path));
    return access(path, F_OK) == 0;
}

static void write_file(const struct fixture *f, const char *name, const char *text)
{
    char path[160];
    vh_error err = { 0 };

    path_of(f, name, path, sizeof(path));
    assert_ok(vh__file_write_atomic(path, text, strlen(text), 0600, &err), err);
}

static size_t reap(struct fixture *f)
{
    vh_error err = { 0 };
    size_t n = 0;

    assert_ok(vh__journal_reap(f->j, handlers, VH_ARRAY_LEN(handlers), f, &n, &err), err);
    return n;
}

static bool count_states(const char *name, bool live, void *arg)
{
    (void)name;
    ((int *)arg)[live]++;
    return true;
}

/* Runs |child| in a process that then waits to be killed; returns once |child| is through. */
static pid_t holder(struct fixture *f, void (*child)(struct fixture *f))
{
    int ready[2];
    char c;
    pid_t pid;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        child(f);
        if (write(ready[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    close(ready[0]);
    return pid;
}

static void end_holder(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void begin_noted(struct fixture *f)
{
    vh__journal_entry *e;

    if (vh__journal_begin(f->j, "vm-7", &e, NULL) || vh__journal_note(e, "dir", "/one", NULL) ||
        vh__journal_note(e, "link", "two and a half", NULL))
        _exit(1);
}

static void do_nothing(struct fixture *f)
{
    (void)f;
}

static void an_entry_is_a_file_from_begin_to_end(void **state)
{
    struct fixture *f = *state;
    vh__journal_entry *e = NULL;
    vh_error err = { 0 };

    assert_ok(vh__journal_begin(f->j, "vm-1", &e, &err), err);
    assert_true(there_is(f, "vm-1"));
    assert_true(vh__journal_fd(e) >= 0);
    vh__journal_end(e);
    assert_false(there_is(f, "vm-1"));
    vh__journal_end(NULL);
    vh__journal_abandon(NULL);
}

static void a_name_is_taken_while_live_and_while_stale(void **state)
{
    struct fixture *f = *state;
    vh__journal_entry *e = NULL, *other = NULL;
    vh_error err = { 0 };

    assert_ok(vh__journal_begin(f->j, "x", &e, &err), err);
    assert_int_equal(vh__journal_begin(f->j, "x", &other, &err), VH_EEXISTS);
    vh__journal_abandon(e);
    assert_int_equal(vh__journal_begin(f->j, "x", &other, &err), VH_EEXISTS);
    assert_null(other);
    assert_int_equal(reap(f), 1);
    assert_ok(vh__journal_begin(f->j, "x", &other, &err), err);
    vh__journal_end(other);
}

static void names_kinds_and_values_are_checked(void **state)
{
    static const char *const bad[] = { "", ".", "..", ".hidden", "a/b", "a b", "\xc3\xa4" };
    struct fixture *f = *state;
    vh__journal_entry *e = NULL;
    vh_error err = { 0 };
    char large[VH_JOURNAL_VALUE_MAX + 2];

    for (size_t i = 0; i < VH_ARRAY_LEN(bad); i++)
        assert_int_equal(vh__journal_begin(f->j, bad[i], &e, &err), VH_EINVALID);
    assert_ok(vh__journal_begin(f->j, "a.b_c-1", &e, &err), err);
    assert_int_equal(vh__journal_note(e, "two words", "v", &err), VH_EINVALID);
    assert_int_equal(vh__journal_note(e, "dir", "", &err), VH_EINVALID);
    assert_int_equal(vh__journal_note(e, "dir", "a\nlink b", &err), VH_EINVALID);
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    assert_int_equal(vh__journal_note(e, "dir", large, &err), VH_ELIMIT);
    large[VH_JOURNAL_VALUE_MAX] = '\0';
    for (int i = 0; i < VH_JOURNAL_ENTRY_MAX / (VH_JOURNAL_VALUE_MAX + 5); i++)
        assert_ok(vh__journal_note(e, "dir", large, &err), err);
    assert_int_equal(vh__journal_note(e, "dir", large, &err), VH_ELIMIT);
    vh__journal_end(e);
}

static void a_killed_holder_leaves_an_entry_that_is_undone_last_note_first(void **state)
{
    struct fixture *f = *state;
    pid_t pid = holder(f, begin_noted);

    assert_int_equal(reap(f), 0);
    assert_string_equal(f->undone, "");
    end_holder(pid);
    assert_int_equal(reap(f), 1);
    assert_string_equal(f->undone, "link two and a half;dir /one;");
    assert_false(there_is(f, "vm-7"));
    assert_int_equal(reap(f), 0);
}

static void an_inherited_descriptor_keeps_the_entry_alive(void **state)
{
    struct fixture *f = *state;
    vh__journal_entry *e = NULL;
    vh_error err = { 0 };
    pid_t shim;

    assert_ok(vh__journal_begin(f->j, "vm-2", &e, &err), err);
    assert_ok(vh__journal_note(e, "dir", "/two", &err), err);
    shim = holder(f, do_nothing);
    vh__journal_abandon(e);
    assert_int_equal(reap(f), 0);
    end_holder(shim);
    assert_int_equal(reap(f), 1);
    assert_string_equal(f->undone, "dir /two;");
}

static void an_ended_entry_is_gone_though_another_holds_its_descriptor(void **state)
{
    struct fixture *f = *state;
    vh__journal_entry *e = NULL, *next = NULL;
    vh_error err = { 0 };
    pid_t shim;

    assert_ok(vh__journal_begin(f->j, "vm-3", &e, &err), err);
    shim = holder(f, do_nothing);
    vh__journal_end(e);
    assert_ok(vh__journal_begin(f->j, "vm-3", &next, &err), err);
    end_holder(shim);
    assert_int_equal(reap(f), 0);
    vh__journal_end(next);
}

static void a_torn_last_line_is_ignored(void **state)
{
    struct fixture *f = *state;

    write_file(f, "torn", "dir /a\nlink b");
    assert_int_equal(reap(f), 1);
    assert_string_equal(f->undone, "dir /a;");
}

static void what_cannot_be_undone_is_kept_and_the_rest_goes_on(void **state)
{
    struct fixture *f = *state;
    vh_error err = { 0 };
    size_t n = 0;

    write_file(f, "fails", "dir /a\nbad b\nlink c\n");
    assert_int_equal(vh__journal_reap(f->j, handlers, VH_ARRAY_LEN(handlers), f, &n, &err), -EBUSY);
    assert_string_equal(f->undone, "link c;bad b;dir /a;");
    assert_non_null(strstr(err.msg, "entry fails is kept: remove b"));
    assert_true(there_is(f, "fails"));

    write_file(f, "fails", "from-the-future x\n");
    write_file(f, "good", "link d\n");
    assert_int_equal(vh__journal_reap(f->j, handlers, VH_ARRAY_LEN(handlers), f, &n, &err), VH_EUNSUPPORTED);
    assert_non_null(strstr(err.msg, "from-the-future"));
    assert_int_equal(n, 1);
    assert_false(there_is(f, "good"));
}

static void garbage_in_the_directory_is_passed_over_or_kept(void **state)
{
    struct fixture *f = *state;
    char path[160];
    int states[2] = { 0 };
    vh_error err = { 0 };

    path_of(f, "subdir", path, sizeof(path));
    assert_int_equal(mkdir(path, 0700), 0);
    path_of(f, "fifo", path, sizeof(path));
    assert_int_equal(mkfifo(path, 0600), 0);
    path_of(f, "symlink", path, sizeof(path));
    assert_int_equal(symlink("/etc/passwd", path), 0);
    write_file(f, ".lock", "not ours\n");
    write_file(f, "empty", "");
    assert_int_equal(reap(f), 1); /* the empty one: killed between begin and its first note */
    assert_true(there_is(f, "subdir") && there_is(f, "fifo") && there_is(f, ".lock"));
    assert_ok(vh__journal_list(f->j, count_states, states, &err), err);
    assert_int_equal(states[0] + states[1], 0);

    write_file(f, "prose", "hello\n\n");
    assert_int_equal(vh__journal_reap(f->j, handlers, VH_ARRAY_LEN(handlers), f, NULL, &err), VH_ECORRUPT);
    assert_true(there_is(f, "prose"));
    assert_string_equal(f->undone, "");
}

static void a_list_tells_the_live_from_the_stale_without_locking(void **state)
{
    struct fixture *f = *state;
    vh__journal_entry *e = NULL;
    vh_error err = { 0 };
    int states[2] = { 0 };

    write_file(f, "stale-1", "dir /a\n");
    write_file(f, "stale-2", "dir /b\n");
    assert_ok(vh__journal_begin(f->j, "live", &e, &err), err);
    assert_ok(vh__journal_list(f->j, count_states, states, &err), err);
    assert_int_equal(states[false], 2);
    assert_int_equal(states[true], 1);
    vh__journal_end(e);
}

static void a_directory_that_others_may_write_to_is_refused(void **state)
{
    struct fixture *f = *state;
    vh__journal *j = NULL;
    vh_error err = { 0 };

    assert_int_equal(chmod(f->dir, 0777), 0);
    assert_int_equal(vh__journal_open(f->dir, &j, &err), VH_ESTATE);
    assert_null(j);
    assert_int_equal(chmod(f->dir, 0700), 0);
    assert_int_equal(vh__journal_open("/dev/null/x", &j, &err), -ENOTDIR);
}

static int open_and_begin(void *arg)
{
    struct fixture *f = arg;
    vh__journal *j = NULL;
    vh__journal_entry *e = NULL;
    int rc = vh__journal_open(f->dir, &j, NULL);

    if (rc == 0)
        rc = vh__journal_begin(j, "sweep", &e, NULL);
    if (rc == 0)
        rc = vh__journal_note(e, "dir", "/x", NULL);
    vh__journal_end(e);
    vh__journal_free(j);
    assert_false(there_is(f, "sweep"));
    return rc;
}

static void a_failing_allocation_leaves_nothing(void **state)
{
    failalloc_sweep(open_and_begin, *state);
}

static void reading_a_stale_entry_may_run_out_of_memory_too(void **state)
{
    struct fixture *f = *state;
    vh_error err = { 0 };

    write_file(f, "stale", "dir /a\n");
    failalloc_at(1);
    assert_int_equal(vh__journal_reap(f->j, handlers, VH_ARRAY_LEN(handlers), f, NULL, &err), -ENOMEM);
    failalloc_at(0);
    assert_int_equal(reap(f), 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(an_entry_is_a_file_from_begin_to_end),
        T(a_name_is_taken_while_live_and_while_stale),
        T(names_kinds_and_values_are_checked),
        T(a_killed_holder_leaves_an_entry_that_is_undone_last_note_first),
        T(an_inherited_descriptor_keeps_the_entry_alive),
        T(an_ended_entry_is_gone_though_another_holds_its_descriptor),
        T(a_torn_last_line_is_ignored),
        T(what_cannot_be_undone_is_kept_and_the_rest_goes_on),
        T(garbage_in_the_directory_is_passed_over_or_kept),
        T(a_list_tells_the_live_from_the_stale_without_locking),
        T(a_directory_that_others_may_write_to_is_refused),
        T(a_failing_allocation_leaves_nothing),
        T(reading_a_stale_entry_may_run_out_of_memory_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
