/* Child processes: exactly the named descriptors, failures told, ends seen, deadlines kept. */
#include "testenv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "spawn.h"

static int run(const char *script, vh__spawn_fd *fds, size_t nfds)
{
    vh__process p = VH_PROCESS_INIT;
    vh__wait w = vh__wait_from(NULL, 10000);
    vh_error err = { 0 };
    int status;

    assert_ok(vh__spawn(&(vh__spawn_options){ .argv = (const char *[]){ "/bin/sh", "-c", script, NULL }, .fds = fds,
                                              .nfds = nfds },
                        &p, &err),
              err);
    assert_ok(vh__process_wait(&p, &w, "script", &status, &err), err);
    return status;
}

static void a_child_sees_only_the_descriptors_it_was_given(void **state)
{
    int secret = open("/dev/zero", O_RDONLY); /* not even close-on-exec */
    int given = open("/dev/null", O_RDONLY | O_CLOEXEC);
    char script[128];

    (void)state;
    assert_true(secret > 2 && secret != 9);
    snprintf(script, sizeof(script), "test -e /proc/self/fd/9 && ! test -e /proc/self/fd/%d", secret);
    assert_int_equal(run(script, (vh__spawn_fd[]){ { given, 9 } }, 1), 0);
    close(secret);
    close(given);
}

static void descriptors_that_trade_places_arrive_right(void **state)
{
    int pair[2];
    char byte;

    (void)state;
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    /* the child's numbers are the parent's, exchanged */
    assert_int_equal(run("printf x >&3", (vh__spawn_fd[]){ { pair[1], 3 }, { pair[0], 4 } }, 2), 0);
    assert_int_equal(read(pair[0], &byte, 1), 1);
    close(pair[0]);
    close(pair[1]);
}

static void a_program_that_cannot_be_executed_is_told(void **state)
{
    vh__process p = VH_PROCESS_INIT;
    vh_error err = { 0 };
    testenv t;

    (void)state;
    testenv_init(&t);
    assert_int_equal(vh__spawn(&(vh__spawn_options){ .argv = (const char *[]){ "/no/such", NULL } }, &p, &err),
                     -ENOENT);
    assert_non_null(strstr(err.msg, "/no/such: execute"));
    assert_int_equal(vh__spawn(&(vh__spawn_options){ .argv = (const char *[]){ "/bin/true", NULL }, .cwd = "/no" }, &p,
                               &err),
                     -ENOENT);
    assert_non_null(strstr(err.msg, "change directory"));
    testenv_fini(&t); /* counts descriptors */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* and there is no zombie */
}

static void a_deadline_leaves_the_child_and_kill_ends_it(void **state)
{
    vh__process p = VH_PROCESS_INIT;
    vh__wait w = vh__wait_from(NULL, 20);
    vh_error err = { 0 };
    char text[64];
    int status;

    (void)state;
    assert_ok(vh__spawn(&(vh__spawn_options){ .argv = (const char *[]){ "/bin/sleep", "60", NULL } }, &p, &err), err);
    assert_int_equal(vh__process_wait(&p, &w, "sleep", &status, &err), VH_ETIMEDOUT);
    assert_string_equal(vh__process_status_text(vh__process_kill(&p), text, sizeof(text)), "killed by SIGKILL");
    assert_int_equal(vh__process_kill(&p), 0);
}

static void the_death_of_a_namespaces_init_takes_its_children(void **state)
{
    vh__process p = VH_PROCESS_INIT;
    vh_error err = { 0 };
    int pair[2];
    char byte;

    (void)state;
    if (geteuid() != 0)
        testenv_skip("root", "a pid namespace needs it");
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    assert_ok(vh__spawn(&(vh__spawn_options){
                            .argv = (const char *[]){ "/bin/sh", "-c", "sleep 60 >&3 & printf x >&3; wait", NULL },
                            .fds = (vh__spawn_fd[]){ { pair[1], 3 } }, .nfds = 1, .new_pid_ns = true },
                        &p, &err),
              err);
    close(pair[1]);
    assert_int_equal(read(pair[0], &byte, 1), 1);
    (void)vh__process_kill(&p);
    assert_int_equal(read(pair[0], &byte, 1), 0); /* the grandchild held the other end */
    close(pair[0]);
}

static void limited_capabilities_stay_limited(void **state)
{
    vh__process p = VH_PROCESS_INIT;
    vh__wait w = vh__wait_from(NULL, 10000);
    vh_error err = { 0 };
    int status;

    (void)state;
    if (geteuid() != 0)
        testenv_skip("root", "only root has capabilities to lose");
    assert_ok(vh__spawn(&(vh__spawn_options){
                            .argv = (const char *[]){ "/bin/grep", "-q", "^CapEff:.*00000000000000c0$",
                                                      "/proc/self/status", NULL },
                            .limit_caps = true, .keep_caps = 1ULL << 6 | 1ULL << 7 },
                        &p, &err),
              err);
    assert_ok(vh__process_wait(&p, &w, "grep", &status, &err), err);
    assert_int_equal(status, 0);
}

static void write_score(const char *text)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    if (write(fd, text, strlen(text)) < 0)
        testenv_skip("CAP_SYS_RESOURCE", "only a process that has it can be spared");
    close(fd);
}

static void who_is_spared_has_children_that_are_not(void **state)
{
    (void)state;
    write_score("7");
    assert_int_equal(run("grep -qx 7 /proc/self/oom_score_adj", NULL, 0), 0);
    write_score("0");
    write_score("-500");
    assert_int_equal(run("grep -qx 0 /proc/self/oom_score_adj", NULL, 0), 0);
    write_score("0");
}

static void a_failing_program_is_told_by_its_last_line(void **state)
{
    vh__wait w = vh__wait_from(NULL, 10000);
    vh_error err = { 0 };
    vh__buf out = { 0 };

    (void)state;
    assert_int_equal(vh__run_program((const char *[]){ "/bin/sh", "-c", "echo one; echo two >&2; exit 3", NULL }, NULL,
                                     &w, 4096, &out, &err),
                     VH_EMISSING);
    assert_non_null(strstr(err.msg, "exited with code 3"));
    assert_non_null(strstr(err.msg, "two"));
    vh__buf_clear(&out);
    assert_ok(vh__run_program((const char *[]){ "/bin/sh", "-c", "yes | head -c 100000", NULL }, NULL, &w, 10, &out,
                              &err),
              err);
    assert_int_equal(out.len, 10);
    vh__buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_sees_only_the_descriptors_it_was_given),
        cmocka_unit_test(descriptors_that_trade_places_arrive_right),
        cmocka_unit_test(a_program_that_cannot_be_executed_is_told),
        cmocka_unit_test(a_deadline_leaves_the_child_and_kill_ends_it),
        cmocka_unit_test(the_death_of_a_namespaces_init_takes_its_children),
        cmocka_unit_test(limited_capabilities_stay_limited),
        cmocka_unit_test(who_is_spared_has_children_that_are_not),
        cmocka_unit_test(a_failing_program_is_told_by_its_last_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
