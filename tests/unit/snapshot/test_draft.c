/* Drafts: one maker at a time, death at any moment, a full disk. */
#include "fixture.h"

#include "catalogue_priv.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

/* ---- one maker at a time ---- */

static void the_second_maker_waits_and_then_finds_it_there(void **state)
{
    fixture f;
    char id[VH_SNAPSHOT_ID];
    vh__snapshot_draft *d, *other = NULL;
    vh_error err = { 0 };

    (void)state;
    fixture_init(&f);
    assert_ok(begin_within(f.s, 1, false, 1000, &d, &err), err);
    assert_int_equal(begin_within(f.s, 1, false, 30, &other, &err), VH_ETIMEDOUT);
    assert_ok(begin_within(f.s, 2, false, 1000, &other, &err), err); /* another key does not wait */
    vh__snapshot_draft_abort(other);
    vh__snapshot_draft_abort(d);
    assert_int_equal(count_entries(&f), 0);
    assert_ok(save(f.s, 1, f.memfd, MEMORY, NULL, id, &err), err);
    assert_int_equal(begin_within(f.s, 1, false, 1000, &other, &err), VH_EEXISTS);
    assert_int_equal(count_entries(&f), 1);
    fixture_fini(&f);
}

static void what_is_made_again_takes_the_place_in_the_end(void **state)
{
    fixture f;
    char id[VH_SNAPSHOT_ID], key[VH_DIGEST_TEXT];
    vh__snapshot_draft *d;
    vh__snapshot *snap;
    struct stat before, after;
    vh_error err = { 0 };

    (void)state;
    fixture_init(&f);
    assert_ok(save(f.s, 1, f.memfd, MEMORY, "hello", id, &err), err);
    assert_int_equal(stat(path_of(&f, id, ""), &before), 0);
    assert_ok(begin_within(f.s, 1, true, 1000, &d, &err), err);
    vh__snapshot_draft_abort(d); /* as after a save that failed */
    assert_ok(vh_snapshots_verify(f.s, "hello", NULL, &err), err);
    assert_int_equal(stat(path_of(&f, id, ""), &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_ok(begin_within(f.s, 1, true, 1000, &d, &err), err);
    assert_ok(vh__snapshot_open(f.s, key_of(1, key), &snap, &err), err); /* it is there yet, and taken meanwhile */
    assert_int_equal(finish(d, 0, f.memfd, MEMORY, NULL, id, &err), VH_ESTATE);
    assert_int_equal(begin_within(f.s, 1, true, 1000, &d, &err), VH_ESTATE);
    vh__snapshot_close(snap);
    assert_ok(begin_within(f.s, 1, true, 1000, &d, &err), err);
    assert_ok(finish(d, 0, f.memfd, MEMORY, NULL, id, &err), err);
    assert_ok(vh_snapshots_verify(f.s, "hello", NULL, &err), err);
    assert_int_equal(stat(path_of(&f, id, ""), &after), 0);
    assert_int_not_equal(before.st_ino, after.st_ino);
    assert_int_equal(count_entries(&f), 1);
    fixture_fini(&f);
}

typedef struct racer {
    fixture *f;
    pthread_t thread;
    int rc;
} racer;

static void *race(void *arg)
{
    racer *r = arg;
    char id[VH_SNAPSHOT_ID];

    r->rc = save(r->f->s, 1, r->f->memfd, MEMORY, "hello", id, NULL);
    return NULL;
}

static void of_racing_threads_one_saves(void **state)
{
    fixture f;
    racer r[6];
    int saved = 0;
    vh_error err = { 0 };

    (void)state;
    fixture_init(&f);
    for (size_t i = 0; i < VH_ARRAY_LEN(r); i++) {
        r[i] = (racer){ .f = &f };
        assert_int_equal(pthread_create(&r[i].thread, NULL, race, &r[i]), 0);
    }
    for (size_t i = 0; i < VH_ARRAY_LEN(r); i++) {
        assert_int_equal(pthread_join(r[i].thread, NULL), 0);
        assert_true(r[i].rc == 0 || r[i].rc == VH_EEXISTS);
        saved += r[i].rc == 0;
    }
    assert_int_equal(saved, 1);
    assert_ok(vh_snapshots_verify(f.s, "hello", NULL, &err), err);
    assert_int_equal(count_entries(&f), 1);
    fixture_fini(&f);
}

/* A process of its own: opens the catalogue (and so sweeps it), saves, exits 0 if it did and 1 if it was there. */
static void race_in_child(const fixture *f)
{
    char id[VH_SNAPSHOT_ID];
    vh_snapshots *s;
    int rc = vh_snapshots_new(f->t.env, &s, NULL);

    if (rc == 0)
        rc = save(s, 1, f->memfd, MEMORY, "hello", id, NULL);
    _exit(rc == 0 ? 0 : rc == VH_EEXISTS ? 1 : 2);
}

static void of_racing_processes_one_saves(void **state)
{
    fixture f;
    pid_t pids[5];
    int status, saved = 0;
    vh_error err = { 0 };

    (void)state;
    fixture_init(&f);
    for (size_t i = 0; i < VH_ARRAY_LEN(pids); i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0)
            race_in_child(&f);
    }
    for (size_t i = 0; i < VH_ARRAY_LEN(pids); i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
        saved += WEXITSTATUS(status) == 0;
    }
    assert_int_equal(saved, 1);
    assert_ok(vh_snapshots_verify(f.s, "hello", NULL, &err), err);
    assert_int_equal(count_entries(&f), 1);
    fixture_fini(&f);
}

/* ---- death at any moment ---- */

/* one chunk, so one thread */
#define SMALL (16 * PAGE)

/*
 * Runs |act| in a child that is killed when it enters its |nth| system call. Returns whether it was killed, that is,
 * whether it made that many. The child must stay single-threaded.
 */
static bool kill_at_syscall(const fixture *f, void (*act)(const fixture *), unsigned nth)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
            _exit(99);
        raise(SIGSTOP);
        act(f);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status))
        testenv_skip("ptrace", "a child cannot be traced");
    for (unsigned stop = 1; stop < 2 * nth; stop++) { /* each call stops at its entry and at its end */
        assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0);
            return false;
        }
    }
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return true;
}

static void open_and_save(const fixture *f)
{
    char id[VH_SNAPSHOT_ID];
    vh_snapshots *s;

    if (vh_snapshots_new(f->t.env, &s, NULL) || save(s, 1, f->memfd, SMALL, "hello", id, NULL))
        _exit(1);
    vh_snapshots_free(s);
}

static void open_and_remove(const fixture *f)
{
    char key[VH_DIGEST_TEXT], id[VH_SNAPSHOT_ID];
    vh_snapshots *s;

    vh__snapshot_id_of(key_of(1, key), id); /* its label may be gone since an earlier attempt */
    if (vh_snapshots_new(f->t.env, &s, NULL) || vh_snapshots_remove(s, id, NULL))
        _exit(1);
    vh_snapshots_free(s);
}

/* What the next process finds: a whole snapshot or none, and nothing else. Returns how many. */
static int expect_whole_or_none(fixture *f)
{
    vh_error err = { 0 };
    vh_snapshots *next;
    char id[VH_SNAPSHOT_ID], key[VH_DIGEST_TEXT];
    int n;

    assert_ok(vh_snapshots_new(f->t.env, &next, &err), err);
    n = count_snapshots(next);
    assert_in_range(n, 0, 1);
    assert_int_equal(count_entries(f), n);
    if (n) {
        vh__snapshot_id_of(key_of(1, key), id);
        assert_ok(vh_snapshots_verify(next, id, NULL, &err), err);
    } else {
        assert_int_equal(vh_snapshots_verify(next, "hello", NULL, &err), VH_ENOTFOUND);
    }
    vh_snapshots_free(next);
    return n;
}

static void killed_at_any_system_call_a_save_leaves_all_or_nothing(void **state)
{
    fixture f;
    unsigned nth = 1;
    int whole = 0, seen;
    char id[VH_SNAPSHOT_ID], key[VH_DIGEST_TEXT];
    vh_error err = { 0 };

    (void)state;
    fixture_init(&f);
    vh__snapshot_id_of(key_of(1, key), id);
    for (; kill_at_syscall(&f, open_and_save, nth); nth++) {
        seen = expect_whole_or_none(&f);
        whole += seen;
        if (seen)
            assert_ok(vh_snapshots_remove(f.s, id, &err), err);
    }
    print_message("killed at each of %u system calls; %d times it was published\n", nth - 1, whole);
    assert_true(nth > 40);
    assert_true(whole > 0 && (unsigned)whole < nth / 2); /* after it only the freeing, with what sanitizers do there */
    assert_int_equal(expect_whole_or_none(&f), 1);
    fixture_fini(&f);
}

static void killed_at_any_system_call_a_removal_leaves_all_or_nothing(void **state)
{
    fixture f;
    unsigned nth = 1;
    int whole = 0;
    bool more = true;

    (void)state;
    fixture_init(&f);
    for (; more; nth++) {
        if (expect_whole_or_none(&f) == 0)
            open_and_save(&f);
        more = kill_at_syscall(&f, open_and_remove, nth);
        whole += expect_whole_or_none(&f);
    }
    assert_true(nth > 20);
    assert_true(whole > 0);
    assert_int_equal(count_entries(&f), 0);
    fixture_fini(&f);
}

static void a_dead_makers_files_make_room_for_the_next(void **state)
{
    fixture f;
    char id[VH_SNAPSHOT_ID];
    vh__snapshot_draft *d;
    vh_error err = { 0 };
    pid_t pid;

    (void)state;
    fixture_init(&f);
    pid = fork();
    if (pid == 0) {
        (void)begin_within(f.s, 1, false, 1000, &d, NULL);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(count_entries(&f), 1);
    assert_int_equal(count_snapshots(f.s), 0);
    assert_ok(save(f.s, 1, f.memfd, MEMORY, NULL, id, &err), err); /* by an object that was there all the while */
    assert_ok(vh_snapshots_verify(f.s, id, NULL, &err), err);
    assert_int_equal(count_entries(&f), 1);
    fixture_fini(&f);
}

/* ---- what cannot be saved ---- */

static void what_is_not_whole_is_not_published(void **state)
{
    fixture f;
    char id[VH_SNAPSHOT_ID] = "";
    vh__snapshot_facts nameless = some_facts;
    vh__snapshot_draft *d;
    vh__wait w = vh__wait_from(NULL, 20000), over = { 0 };
    vh_error err = { 0 };

    (void)state;
    nameless.vmm_version = NULL;
    fixture_init(&f);
    assert_ok(begin_within(f.s, 1, false, 1000, &d, &err), err);
    assert_int_equal(vh__snapshot_draft_save_memory(d, f.memfd, 100, &w, &err), VH_EINVALID);
    assert_int_equal(vh__snapshot_draft_save_memory(d, f.memfd, MEMORY, &over, &err), VH_ETIMEDOUT);
    vh__snapshot_draft_abort(d);
    assert_ok(begin_within(f.s, 1, false, 1000, &d, &err), err);
    assert_int_equal(vh__snapshot_draft_publish(d, &some_facts, NULL, id, &err), VH_ESTATE);
    assert_ok(vh__snapshot_draft_save_memory(d, f.memfd, MEMORY, &w, &err), err);
    assert_int_equal(vh__snapshot_draft_publish(d, &some_facts, NULL, id, &err), VH_ESTATE); /* empty vmstate */
    assert_int_equal(pwrite(vh__snapshot_draft_vmstate_fd(d), "x", 1, 0), 1);
    assert_int_equal(vh__snapshot_draft_publish(d, &some_facts, "../x", id, &err), VH_EINVALID);
    assert_int_equal(vh__snapshot_draft_publish(d, &nameless, NULL, id, &err), VH_EINVALID);
    assert_non_null(strstr(err.msg, "version"));
    vh__snapshot_draft_abort(d);
    assert_string_equal(id, "");
    assert_int_equal(count_entries(&f), 0);
    fixture_fini(&f);
}

static void memory_shorter_than_said_is_an_error(void **state)
{
    fixture f;
    vh__snapshot_draft *d;
    vh__wait w = vh__wait_from(NULL, 20000);
    vh_error err = { 0 };

    (void)state;
    fixture_init(&f);
    assert_ok(begin_within(f.s, 1, false, 1000, &d, &err), err);
    assert_int_equal(vh__snapshot_draft_save_memory(d, f.memfd, 2 * MEMORY, &w, &err), VH_ECORRUPT);
    vh__snapshot_draft_abort(d);
    fixture_fini(&f);
}

static void a_full_disk_is_a_clear_error_and_leaves_nothing(void **state)
{
    testenv t;
    fixture f;
    char where[96], id[VH_SNAPSHOT_ID];
    vh_error err = { 0 };
    int rc;

    (void)state;
    testenv_init(&t);
    snprintf(where, sizeof(where), "%s/state", t.dir);
    assert_int_equal(mkdir(where, 0700), 0);
    if (mount("vhive-test", where, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m") < 0) {
        testenv_fini(&t);
        testenv_skip("root", "a small tmpfs cannot be mounted");
    }
    f = (fixture){ .t = t, .memfd = memfd_create("full", MFD_CLOEXEC) };
    assert_int_equal(ftruncate(f.memfd, MEMORY), 0);
    for (unsigned i = 0; i < MEMORY / PAGE; i++)
        assert_int_equal(pwrite(f.memfd, "data", 4, i * PAGE), 4);
    rc = vh_snapshots_new(t.env, &f.s, &err);
    if (rc == 0)
        rc = save(f.s, 1, f.memfd, MEMORY, "hello", id, &err);
    assert_int_equal(rc, -ENOSPC);
    assert_non_null(strstr(err.msg, "no room below"));
    assert_non_null(strstr(err.msg, "vhive-ctl snapshot ls"));
    assert_int_equal(count_entries(&f), 0);
    vh_snapshots_free(f.s);
    close(f.memfd);
    assert_int_equal(umount(where), 0);
    testenv_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_maker_waits_and_then_finds_it_there),
        cmocka_unit_test(what_is_made_again_takes_the_place_in_the_end),
        cmocka_unit_test(of_racing_threads_one_saves),
        cmocka_unit_test(of_racing_processes_one_saves),
        cmocka_unit_test(killed_at_any_system_call_a_save_leaves_all_or_nothing),
        cmocka_unit_test(killed_at_any_system_call_a_removal_leaves_all_or_nothing),
        cmocka_unit_test(a_dead_makers_files_make_room_for_the_next),
        cmocka_unit_test(what_is_not_whole_is_not_published),
        cmocka_unit_test(memory_shorter_than_said_is_an_error),
        cmocka_unit_test(a_full_disk_is_a_clear_error_and_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
