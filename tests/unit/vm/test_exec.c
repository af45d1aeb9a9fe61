/* Processes in VMs, seen from the client: against shims that behave, and against some that do not. */
#include "testenv.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent_host.h"
#include "auto.h"
#include "failalloc.h"
#include "path.h"
#include "visit.h"

/* What a shim does with an exec. "inspect" is answered by all but the silent one. */
typedef enum behaviour { ECHO, SILENT, DEAF, GARBAGE, DIES, REFUSES } behaviour;

struct fixture {
    testenv env;
    pid_t shims[8];
    int n;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    testenv_init(&f->env);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < f->n; i++) {
        kill(f->shims[i], SIGKILL);
        waitpid(f->shims[i], NULL, 0);
    }
    testenv_fini(&f->env);
    free(f);
    return 0;
}

static void reply(int sock, const char *json)
{
    (void)!send(sock, json, strlen(json), MSG_NOSIGNAL); /* a client may have gone */
}

/* Gives back on stdout what comes on stdin, then ends with code 3, or by a signal that it is told. */
static void echo(int sock, vh__shim_message *m)
{
    int in = vh__shim_take_fd(m, "stdin"), out = vh__shim_take_fd(m, "stdout");
    char data[4096];
    ssize_t n;

    reply(sock, "{\"ok\":true}");
    while ((n = read(in, data, sizeof(data))) > 0)
        if (write(out, data, (size_t)n) != n)
            _exit(1);
    close(out);
    reply(sock, "{\"event\":\"exit\",\"code\":3,\"signal\":0,\"text\":\"\"}");
}

static void serve(int sock, behaviour how)
{
    vh__wait w = vh__wait_from(NULL, 10000);
    vh__shim_message m = { 0 };
    const char *op;

    if (how == SILENT)
        pause();
    if (vh__shim_recv(sock, &w, &m, NULL))
        return;
    op = vh__json_str_or(m.json, "op", "");
    if (strcmp(op, "inspect") == 0)
        reply(sock, "{\"ok\":true,\"image\":\"oci:x\",\"address\":\"198.18.0.9\",\"port\":80,\"pid\":7,"
                    "\"engine\":\"reap\",\"snapshot\":\"abc\",\"started_us\":5,\"paused\":true}");
    else if (how == ECHO && (strcmp(op, "pause") == 0 || strcmp(op, "resume") == 0))
        reply(sock, "{\"ok\":true}");
    else if (how == ECHO)
        echo(sock, &m);
    else if (how == GARBAGE)
        reply(sock, "what?");
    else if (how == REFUSES)
        reply(sock, "{\"error\":-5999,\"message\":\"no\"}");
    vh__shim_message_fini(&m);
}

/* A shim of the VM |id|: a process of its own, so that its allocations are not those of the code under test. */
static void start_shim(struct fixture *f, const char *id, behaviour how)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    vh_auto_free char *dir = vh__strf("%s/vms/%s", vh_env_run_dir(f->env.env), id);
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), client;

    assert_int_equal(vh__path_mkdirs(dir, 0700, NULL), 0);
    snprintf(a.sun_path, sizeof(a.sun_path), "%s/" VH_SHIM_SOCKET, dir);
    assert_int_equal(bind(sock, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(sock, how == DEAF ? 0 : 64), 0);
    f->shims[f->n] = fork();
    assert_true(f->shims[f->n] >= 0);
    if (f->shims[f->n++] == 0)
        for (;;) {
            if (how == DEAF)
                pause();
            client = accept(sock, NULL, NULL);
            serve(client, how);
            close(client);
        }
    close(sock);
}

static int start(struct fixture *f, const char *vm, const vh_exec_options *o, vh_exec **x, vh_error *err)
{
    vh_call call = { .size = sizeof(call), .timeout_ms = 5000 };

    return vh_exec_start(f->env.env, vm, o, &call, x, err);
}

static const char *const cat[] = { "cat", NULL };

static void input_comes_back_as_output(void **state)
{
    struct fixture *f = *state;
    vh_exec_options o = VH_EXEC_OPTIONS_INIT;
    vh_exec_result result = VH_EXEC_RESULT_INIT;
    int in[2], out[2];
    char got[16] = "";
    vh_error err = { 0 };
    vh_exec *x;

    start_shim(f, "vm-00000001", ECHO);
    assert_true(pipe(in) == 0 && pipe(out) == 0);
    assert_int_equal(write(in[1], "hello", 5), 5);
    close(in[1]);
    o.argv = cat;
    o.stdin_fd = in[0];
    o.stdout_fd = out[1];
    assert_ok(start(f, NULL, &o, &x, &err), err);
    assert_ok(vh_exec_wait(x, NULL, &result, &err), err);
    assert_int_equal(result.code, 3);
    assert_string_equal(result.reason, "");
    assert_int_equal(read(out[0], got, sizeof(got)), 5);
    assert_string_equal(got, "hello");
    assert_int_equal(vh_exec_signal(x, 0, &err), VH_EINVALID);
    assert_int_equal(vh_exec_signal(x, SIGINT, &err), 0); /* after its end: nothing happens */
    vh_exec_free(x);
    close(in[0]);
    close(out[0]);
    close(out[1]);
}

static void a_wait_that_is_over_leaves_the_process(void **state)
{
    struct fixture *f = *state;
    vh_call call = { .size = sizeof(call), .timeout_ms = 50 };
    vh_exec_options o = VH_EXEC_OPTIONS_INIT;
    vh_exec_result result = VH_EXEC_RESULT_INIT;
    vh_error err = { 0 };
    vh_exec *x;
    int in[2];

    start_shim(f, "vm-00000001", ECHO);
    assert_int_equal(pipe(in), 0);
    o.argv = cat;
    o.stdin_fd = in[0];
    assert_ok(start(f, "vm-0", &o, &x, &err), err);
    assert_int_equal(vh_exec_wait(x, &call, &result, &err), VH_ETIMEDOUT);
    close(in[1]);
    assert_ok(vh_exec_wait(x, NULL, &result, &err), err);
    assert_int_equal(result.code, 3);
    vh_exec_free(x);
    close(in[0]);
}

static void shims_that_misbehave_are_errors(void **state)
{
    struct fixture *f = *state;
    vh_exec_options o = VH_EXEC_OPTIONS_INIT;
    vh_error err = { 0 };
    vh_exec *x;

    o.argv = cat;
    start_shim(f, "vm-aaaaaaaa", GARBAGE);
    start_shim(f, "vm-bbbbbbbb", DIES);
    start_shim(f, "vm-cccccccc", REFUSES);
    assert_int_equal(start(f, "aa", &o, &x, &err), VH_EPROTOCOL);
    assert_int_equal(start(f, "bb", &o, &x, &err), VH_EVMM);
    assert_int_equal(start(f, "cc", &o, &x, &err), -5999);
    assert_string_equal(err.msg, "no");
}

static void a_vm_is_paused_and_resumed_by_its_id(void **state)
{
    struct fixture *f = *state;
    vh_error err = { 0 };

    start_shim(f, "vm-00000001", ECHO);
    assert_ok(vh_vms_pause(f->env.env, "vm-00000001", NULL, &err), err);
    assert_ok(vh_vms_resume(f->env.env, NULL, NULL, &err), err);
    start_shim(f, "vm-aaaaaaaa", GARBAGE);
    start_shim(f, "vm-bbbbbbbb", DIES);
    start_shim(f, "vm-cccccccc", REFUSES);
    assert_int_equal(vh_vms_pause(f->env.env, "aa", NULL, &err), VH_EPROTOCOL);
    assert_int_equal(vh_vms_resume(f->env.env, "bb", NULL, &err), VH_EVMM);
    assert_string_equal(err.msg, "resume: VM vm-bbbbbbbb has just ended");
    assert_int_equal(vh_vms_pause(f->env.env, "cc", NULL, &err), -5999);
    assert_int_equal(vh_vms_pause(f->env.env, "dd", NULL, &err), VH_ENOTFOUND);
    assert_int_equal(vh_vms_pause(f->env.env, NULL, NULL, &err), VH_EINVALID);
}

static void a_vm_is_found_by_what_is_unambiguous(void **state)
{
    struct fixture *f = *state;
    vh__wait w = vh__wait_from(NULL, 5000);
    vh_error err = { 0 };
    char id[24];

    assert_int_equal(vh__visit_find(f->env.env, NULL, &w, id, &err), VH_ENOTFOUND);
    start_shim(f, "vm-12340000", ECHO);
    assert_ok(vh__visit_find(f->env.env, NULL, &w, id, &err), err);
    assert_string_equal(id, "vm-12340000");
    start_shim(f, "vm-12350000", ECHO);
    assert_int_equal(vh__visit_find(f->env.env, NULL, &w, id, &err), VH_EINVALID);
    assert_int_equal(vh__visit_find(f->env.env, "123", &w, id, &err), VH_EINVALID);
    assert_int_equal(vh__visit_find(f->env.env, "999", &w, id, &err), VH_ENOTFOUND);
    assert_ok(vh__visit_find(f->env.env, "1235", &w, id, &err), err);
    assert_string_equal(id, "vm-12350000");
}

static bool count(const vh_vm_info *info, void *arg)
{
    assert_string_equal(info->image, "oci:x");
    assert_true(info->port == 80 && info->pid == 7 && info->started_ns == 5000 && info->paused);
    ++*(int *)arg;
    return true;
}

static void who_does_not_answer_is_not_listed(void **state)
{
    struct fixture *f = *state;
    vh_auto_free char *dead = vh__strf("%s/vms/vm-dead0000", vh_env_run_dir(f->env.env));
    vh_error err = { 0 };
    int n = 0;

    assert_ok(vh_vms_list(f->env.env, NULL, count, &n, &err), err);
    assert_int_equal(n, 0);
    start_shim(f, "vm-00000001", ECHO);
    start_shim(f, "vm-00000002", SILENT);
    assert_int_equal(mkdir(dead, 0700), 0);
    assert_ok(vh_vms_list(f->env.env, NULL, count, &n, &err), err);
    assert_int_equal(n, 1);
}

/* Whoever connects to a shim that does not accept waits in its queue, or for a place there. */
static void a_full_queue_is_waited_for_within_the_deadline(void **state)
{
    struct fixture *f = *state;
    vh_exec_options o = VH_EXEC_OPTIONS_INIT;
    vh__wait w = vh__wait_from(NULL, 300);
    vh_error err = { 0 };
    int queued = -1, n = 0, rc, sock;
    vh_exec *x;

    o.argv = cat;
    start_shim(f, "vm-00000001", DEAF);
    assert_ok(vh__visit_connect(f->env.env, "vm-00000001", &w, &queued, &err), err);
    alarm(20); /* else a hang */
    rc = vh__visit_connect(f->env.env, "vm-00000001", &w, &sock, &err);
    assert_int_equal(rc, VH_ETIMEDOUT);
    assert_ok(vh_vms_list(f->env.env, NULL, count, &n, &err), err);
    assert_int_equal(n, 0);
    assert_int_equal(start(f, "vm-00000001", &o, &x, &err), VH_ENOTFOUND);
    alarm(0);
    close(queued);
}

static void bad_options_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = { "NAME", NULL };
    vh_exec_options o = VH_EXEC_OPTIONS_INIT;
    vh_error err = { 0 };
    vh_exec *x;

    assert_int_equal(start(f, NULL, &o, &x, &err), VH_EINVALID);
    o.argv = cat;
    o.env = bad;
    assert_int_equal(start(f, NULL, &o, &x, &err), VH_EINVALID);
    assert_non_null(strstr(err.msg, "NAME=VALUE"));
}

static int attempt(void *arg)
{
    vh_exec_options o = VH_EXEC_OPTIONS_INIT;
    vh_exec *x = NULL;
    int rc;

    o.argv = cat;
    rc = start(arg, "vm-00000001", &o, &x, NULL);
    assert_true((rc == 0) == (x != NULL));
    vh_exec_free(x);
    return rc;
}

static void each_failing_allocation_is_survived(void **state)
{
    start_shim(*state, "vm-00000001", ECHO);
    failalloc_sweep(attempt, *state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(input_comes_back_as_output),
        TEST(a_wait_that_is_over_leaves_the_process),
        TEST(shims_that_misbehave_are_errors),
        TEST(a_vm_is_paused_and_resumed_by_its_id),
        TEST(a_vm_is_found_by_what_is_unambiguous),
        TEST(who_does_not_answer_is_not_listed),
        TEST(a_full_queue_is_waited_for_within_the_deadline),
        TEST(bad_options_are_refused),
        TEST(each_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
