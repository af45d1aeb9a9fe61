/* Many processes at one ledger: nobody gets what another has, nothing is undone twice, nothing stays. */
#include "testenv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auto.h"
#include "journal.h"
#include "path.h"

#define PROCESSES 8
#define ROUNDS    50
#define SLOTS     4 /* fewer than processes: they collide all the time */

/* Undoing creates nothing and removes exactly one file, so a second undo of the same entry shows. */
static int undo_file(const char *value, void *arg, vh_error *err)
{
    (void)arg;
    return unlink(value) == 0 ? 0 : vh_error_set(err, -errno, "remove %s", value);
}

static const vh__journal_handler handlers[] = { { "file", undo_file } };

static vh__journal *open_ledger(const testenv *t)
{
    vh__journal *j = NULL;
    vh_error err = { 0 };
    char dir[96];

    snprintf(dir, sizeof(dir), "%s/ledger", t->dir);
    if (vh__journal_open(dir, &j, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        _exit(10);
    }
    return j;
}

/* What an entry stands for: a file that only its holder may make. */
static void make_resource(const testenv *t, vh__journal_entry *e, int slot, char *path, size_t n)
{
    vh_auto_fd int fd = -1;

    snprintf(path, n, "%s/resource-%d", t->dir, slot);
    if (vh__journal_note(e, "file", path, NULL))
        _exit(11);
    fd = open(path, O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        _exit(12);
}

/* Begins and ends entries in the slots that happen to be free, reaping in between. */
static void work(const testenv *t, unsigned seed)
{
    vh__journal *j = open_ledger(t);
    vh_error err = { 0 };

    for (int done = 0; done < ROUNDS;) {
        int slot = (int)(seed++ % SLOTS);
        char name[16], path[96];
        vh__journal_entry *e = NULL;
        int rc;

        snprintf(name, sizeof(name), "slot-%d", slot);
        rc = vh__journal_begin(j, name, &e, &err);
        if (rc == 0) {
            make_resource(t, e, slot, path, sizeof(path));
            if (unlink(path))
                _exit(13);
            vh__journal_end(e);
            done++;
        } else if (rc != VH_EEXISTS) {
            fprintf(stderr, "%s\n", err.msg);
            _exit(14);
        }
        if (seed % 3 == 0 && vh__journal_reap(j, NULL, 0, NULL, NULL, &err) && err.code != VH_EUNSUPPORTED)
            _exit(15);
    }
    _exit(0);
}

static void wait_for_all(pid_t *pids, int want_signal)
{
    for (int i = 0; i < PROCESSES; i++) {
        int status;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        if (want_signal ? !WIFSIGNALED(status) : status != 0)
            fail_msg("process %d: status %x", i, (unsigned)status);
    }
}

static void processes_that_begin_and_end_never_share_a_name(void **state)
{
    testenv t;
    pid_t pids[PROCESSES];
    char dir[96];

    (void)state;
    testenv_init(&t);
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            work(&t, (unsigned)i);
    }
    wait_for_all(pids, 0);
    snprintf(dir, sizeof(dir), "%s/ledger", t.dir);
    assert_int_equal(rmdir(dir), 0); /* empty */
    testenv_fini(&t);
}

/* Begins one entry after another with its resource until it is killed. */
static void litter(const testenv *t, int self)
{
    vh__journal *j = open_ledger(t);

    for (int i = 0; i < ROUNDS; i++) {
        char name[32], path[96];
        vh__journal_entry *e;

        snprintf(name, sizeof(name), "vm-%d-%d", self, i);
        if (vh__journal_begin(j, name, &e, NULL))
            _exit(16);
        make_resource(t, e, self * ROUNDS + i, path, sizeof(path));
    }
    raise(SIGKILL);
}

static void reap_all(const testenv *t)
{
    vh__journal *j = open_ledger(t);
    vh_error err = { 0 };
    size_t n = 0;

    if (vh__journal_reap(j, handlers, 1, NULL, &n, &err)) {
        fprintf(stderr, "%s\n", err.msg); /* a second undo finds the file gone */
        _exit(17);
    }
    _exit(0);
}

static void reapers_at_once_undo_each_entry_once(void **state)
{
    testenv t;
    pid_t pids[PROCESSES];
    char dir[96];

    (void)state;
    testenv_init(&t);
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            litter(&t, i);
    }
    wait_for_all(pids, SIGKILL);
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            reap_all(&t);
    }
    wait_for_all(pids, 0);
    snprintf(dir, sizeof(dir), "%s/ledger", t.dir);
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(rmdir(t.dir), 0); /* and no resource is left beside it */
    testenv_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processes_that_begin_and_end_never_share_a_name),
        cmocka_unit_test(reapers_at_once_undo_each_entry_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
