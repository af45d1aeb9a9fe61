/*
 * Exec: a process's ends are pipes here, and this file moves their bytes from and to messages. vh_exec_wait() needs a
 * thread of its own, for it blocks; the call's thread does the rest, by one poll.
 */
#include "control_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <vhive/exec.h>

#include "auto.h"
#include "fd.h"
#include "thread.h"

/** Bytes of standard input that may wait for the process; more are not read from the caller. */
#define INPUT_MAX 65536
#define PIECE     32768

/* One process. Freed by process_fini() however far it came. */
struct process {
    vh__control_call *call;
    int input[2], output[2], errors[2]; /* pipes, reading end first */
    int ended;                          /* eventfd: wait() is over */
    vh_cancel *enough;                  /* ends wait() */
    vh_exec *exec;
    bool waiting; /* there is a thread */
    pthread_t thread;
    int rc;
    vh_exec_result result;
    vh_error err;
    vh__buf pending; /* standard input that the pipe has not taken */
    bool input_end;  /* nothing follows it */
    bool silent;     /* the caller sends no more */
};

static void process_fini(struct process *p)
{
    if (p->waiting) {
        vh_cancel_trigger(p->enough);
        (void)pthread_join(p->thread, NULL); /* ours, and joined nowhere else */
    }
    vh_exec_free(p->exec);
    vh_cancel_free(p->enough);
    for (int i = 0; i < 2; i++) {
        vh__fd_close(&p->input[i]);
        vh__fd_close(&p->output[i]);
        vh__fd_close(&p->errors[i]);
    }
    vh__fd_close(&p->ended);
    vh__buf_fini(&p->pending);
}

static int open_ends(struct process *p, vh_error *err)
{
    p->ended = eventfd(0, EFD_CLOEXEC);
    if (p->ended < 0 || pipe2(p->input, O_CLOEXEC) || pipe2(p->output, O_CLOEXEC) || pipe2(p->errors, O_CLOEXEC))
        return vh_error_set(err, -errno, "pipes of a process");
    return vh__fd_nonblock(p->input[1], err);
}

static void *wait_for_end(void *arg)
{
    struct process *p = arg;
    vh_call call = { .size = sizeof(call), .cancel = p->enough };
    uint64_t one = 1;

    p->rc = vh_exec_wait(p->exec, &call, &p->result, &p->err);
    if (write(p->ended, &one, sizeof(one)) < 0) {
        /* cannot be: the counter is at 0 */
    }
    return NULL;
}

static int start_waiting(struct process *p, vh_error *err)
{
    int rc = vh__thread_start(&p->thread, "vh-exec", wait_for_end, p, err);

    p->waiting = rc == 0;
    return rc;
}

/* A NULL-terminated list of |n| texts, to be free()d. */
static const char **list_of(char *const *texts, size_t n)
{
    const char **list = calloc(n + 1, sizeof(*list));

    for (size_t i = 0; list && i < n; i++)
        list[i] = texts[i];
    return list;
}

static int start_exec(struct process *p, const VH_PB(ExecStart) *q, vh_exec_options *o, vh_error *err)
{
    const vh__control_options *with = p->call->o;

    if (*q->function && *q->vm)
        return vh_error_set(err, VH_EINVALID, "exec: function and vm are both named; name one");
    if (q->rows > UINT16_MAX || q->cols > UINT16_MAX)
        return vh_error_set(err, VH_EINVALID, "exec: a terminal of %u x %u", q->rows, q->cols);
    o->cwd = vh__control_or_null(q->cwd);
    o->user = vh__control_or_null(q->user);
    o->tty = q->tty;
    o->rows = (uint16_t)q->rows;
    o->cols = (uint16_t)q->cols;
    o->stdin_fd = p->input[0];
    o->stdout_fd = p->output[1];
    o->stderr_fd = p->errors[1];
    return *q->function ? vh_functions_exec(with->functions, q->function, o, &p->call->bounds, &p->exec, err)
                        : vh_exec_start(with->env, vh__control_or_null(q->vm), o, &p->call->bounds, &p->exec, err);
}

static int start(struct process *p, const VH_PB(ExecStart) *q, vh_error *err)
{
    vh_auto_free const char **argv = list_of(q->argv, q->n_argv), **env = list_of(q->env, q->n_env);
    vh_exec_options o = VH_EXEC_OPTIONS_INIT;
    int rc = open_ends(p, err);

    if (rc == 0 && (!argv || !env))
        rc = vh_error_set(err, -ENOMEM, "exec");
    if (rc == 0 && !q->n_argv)
        rc = vh_error_set(err, VH_EINVALID, "exec: argv is empty");
    o.argv = argv;
    o.env = env;
    if (rc == 0)
        rc = vh_cancel_new(&p->enough, err);
    if (rc == 0)
        rc = start_exec(p, q, &o, err);
    return rc ? rc : start_waiting(p, err);
}

static int send_output(struct process *p, VH_PB(ExecOutput__WhatCase) what, const void *bytes, size_t n, vh_error *err)
{
    VH_PB(ExecOutput) m = VHIVE__CONTROL__V1__EXEC_OUTPUT__INIT;

    m.what_case = what;
    m.stdout.data = (uint8_t *)bytes; /* stderr lies in the same place of the union */
    m.stdout.len = n;
    return vh__control_send(p->call, &m.base, err);
}

/* Reads once from |*fd| and sends it as |what|; closes it at its end. */
static int pass_output(struct process *p, int *fd, VH_PB(ExecOutput__WhatCase) what, vh_error *err)
{
    char bytes[PIECE];
    ssize_t n = read(*fd, bytes, sizeof(bytes));

    if (n < 0)
        return errno == EINTR ? 0 : vh_error_set(err, -errno, "output of a process");
    if (n == 0)
        vh__fd_close(fd);
    return n ? send_output(p, what, bytes, (size_t)n, err) : 0;
}

/* Gives the process what it takes of its input, and tells the caller how much that was. */
static int pass_input(struct process *p, vh_error *err)
{
    VH_PB(ExecOutput) m = VHIVE__CONTROL__V1__EXEC_OUTPUT__INIT;
    ssize_t n = p->pending.len ? write(p->input[1], p->pending.data, p->pending.len) : 0;

    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return vh_error_set(err, -errno, "input of a process");
    if (n > 0)
        vh__buf_consume(&p->pending, (size_t)n);
    if (p->input_end && p->pending.len == 0)
        vh__fd_close(&p->input[1]);
    if (n <= 0)
        return 0;
    m.what_case = VHIVE__CONTROL__V1__EXEC_OUTPUT__WHAT_STDIN_TAKEN;
    m.stdin_taken = (uint32_t)n;
    return vh__control_send(p->call, &m.base, err);
}

static int obey(struct process *p, const VH_PB(ExecInput) *m, vh_error *err)
{
    switch (m->what_case) {
    case VHIVE__CONTROL__V1__EXEC_INPUT__WHAT_STDIN:
        if (!p->input_end)
            vh__buf_append(&p->pending, m->stdin.data, m->stdin.len);
        return vh__buf_check(&p->pending, "input of a process", err);
    case VHIVE__CONTROL__V1__EXEC_INPUT__WHAT_STDIN_END:
        p->input_end = true;
        return 0;
    case VHIVE__CONTROL__V1__EXEC_INPUT__WHAT_RESIZE:
        /* that of a VM that is busy or has ended is of no use: the next one will do */
        (void)vh_exec_resize(p->exec, (uint16_t)VH_MIN(m->resize->rows, UINT16_MAX),
                             (uint16_t)VH_MIN(m->resize->cols, UINT16_MAX), NULL);
        return 0;
    case VHIVE__CONTROL__V1__EXEC_INPUT__WHAT_SIGNAL:
        if (m->signal < 1 || m->signal > 64)
            return vh_error_set(err, VH_EINVALID, "signal %u: signals are 1 to 64", m->signal);
        return vh_exec_signal(p->exec, (int)m->signal, err);
    default:
        return vh_error_set(err, VH_EINVALID, "exec: a message after the first that says nothing, or starts again");
    }
}

/* Whether messages of the caller are taken now. */
static bool listens(const struct process *p)
{
    return !p->silent && p->pending.len < INPUT_MAX;
}

/* Messages of the caller that are there; one that sends no more has ended its input. */
static int take_messages(struct process *p, vh_error *err)
{
    while (listens(p) && vh__rpc_stream_ready(p->call->stream)) {
        vh_auto_buf vh__buf bytes = { 0 };
        ProtobufCMessage *m = NULL;
        int rc = vh__rpc_stream_recv(p->call->stream, &bytes, NULL, err);

        p->silent = rc == 0;
        p->input_end = p->input_end || p->silent;
        if (rc > 0)
            rc = vh__proto_unpack(&vhive__control__v1__exec_input__descriptor, bytes.data, bytes.len, &m, err);
        if (rc == 0 && m)
            rc = obey(p, (VH_PB(ExecInput) *)m, err);
        vh__proto_free(m);
        if (rc)
            return rc;
    }
    return 0;
}

/* The process has ended and wait() with it: what it wrote is in the pipes, whose ends follow. */
static int note_end(struct process *p, vh_error *err)
{
    (void)pthread_join(p->thread, NULL); /* as in process_fini() */
    p->waiting = false;
    p->silent = true; /* nobody is left who would obey */
    vh__fd_close(&p->ended);
    vh_exec_free(p->exec);
    p->exec = NULL;
    vh__fd_close(&p->output[1]);
    vh__fd_close(&p->errors[1]);
    if (p->rc && err)
        *err = p->err;
    return p->rc;
}

/* Who has something to say, and what follows from it. */
enum { CALLER, GONE, INPUT, OUTPUT, ERRORS, ENDED, FDS };

static int wait_for_news(struct process *p, struct pollfd fds[FDS], vh_error *err)
{
    fds[CALLER] = (struct pollfd){ listens(p) ? vh__rpc_stream_fd(p->call->stream) : -1, POLLIN, 0 };
    fds[GONE] = (struct pollfd){ vh__cancel_fd(p->call->bounds.cancel), POLLIN, 0 };
    fds[INPUT] = (struct pollfd){ p->pending.len ? p->input[1] : -1, POLLOUT, 0 };
    fds[OUTPUT] = (struct pollfd){ p->output[0], POLLIN, 0 };
    fds[ERRORS] = (struct pollfd){ p->errors[0], POLLIN, 0 };
    fds[ENDED] = (struct pollfd){ p->ended, POLLIN, 0 };
    if (poll(fds, FDS, -1) < 0 && errno != EINTR)
        return vh_error_set(err, -errno, "poll of a process");
    return fds[GONE].revents ? vh_error_set(err, VH_ECANCELED, "exec: the caller has gone") : 0;
}

static int pump_once(struct process *p, vh_error *err)
{
    struct pollfd fds[FDS] = { 0 };
    int rc = p->exec ? take_messages(p, err) : 0;

    if (rc == 0)
        rc = pass_input(p, err);
    if (rc == 0)
        rc = wait_for_news(p, fds, err);
    if (rc == 0 && fds[OUTPUT].revents)
        rc = pass_output(p, &p->output[0], VHIVE__CONTROL__V1__EXEC_OUTPUT__WHAT_STDOUT, err);
    if (rc == 0 && fds[ERRORS].revents)
        rc = pass_output(p, &p->errors[0], VHIVE__CONTROL__V1__EXEC_OUTPUT__WHAT_STDERR, err);
    if (rc == 0 && fds[ENDED].revents)
        rc = note_end(p, err);
    return rc;
}

static int send_start(struct process *p, vh_error *err)
{
    VH_PB(ExecOutput) m = VHIVE__CONTROL__V1__EXEC_OUTPUT__INIT;

    m.what_case = VHIVE__CONTROL__V1__EXEC_OUTPUT__WHAT_STARTED;
    m.started = true;
    return vh__control_send(p->call, &m.base, err);
}

static int send_exit(struct process *p, vh_error *err)
{
    VH_PB(ExecOutput) m = VHIVE__CONTROL__V1__EXEC_OUTPUT__INIT;
    VH_PB(ExecExit) how = VHIVE__CONTROL__V1__EXEC_EXIT__INIT;

    how.code = p->result.code;
    how.signal = p->result.signal;
    how.reason = p->result.reason;
    m.what_case = VHIVE__CONTROL__V1__EXEC_OUTPUT__WHAT_EXIT;
    m.exit = &how;
    return vh__control_send(p->call, &m.base, err);
}

int vh__control_exec(vh__control_call *call, const void *request, vh_error *err)
{
    const VH_PB(ExecInput) *first = request;
    struct process p = { .call = call, .input = { -1, -1 }, .output = { -1, -1 }, .errors = { -1, -1 }, .ended = -1,
                         .result = VH_EXEC_RESULT_INIT };
    int rc;

    if (first->what_case != VHIVE__CONTROL__V1__EXEC_INPUT__WHAT_START)
        return vh_error_set(err, VH_EINVALID, "exec: the first message must say what to start");
    rc = start(&p, first->start, err);
    if (rc == 0)
        rc = send_start(&p, err);
    while (rc == 0 && (p.exec || p.output[0] >= 0 || p.errors[0] >= 0))
        rc = pump_once(&p, err);
    if (rc == 0)
        rc = send_exit(&p, err);
    process_fini(&p);
    return rc;
}
