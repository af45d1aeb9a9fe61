/*
 * A process at the other end of a call. One thread moves the bytes (wait); what others want of it meanwhile, a new size
 * or a signal, is left under a lock and the mover is woken.
 */
#include "client_priv.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "auto.h"

/**
 * Input that may be under way without the daemon having passed it on. Within the window that HTTP/2 gives from the
 * start, so that sending never waits: it could wait for a process that waits for us to take its output.
 */
#define AHEAD_MAX 32768
/** A write of so many bytes does not block once poll(2) has said that there is room in a pipe. */
#define PIECE 4096
#define SIGNALS_MAX 16

struct vh_client_exec {
    vh__client_call call;
    int input, output, errors; /* the caller's, -1: none */
    bool started, ended;
    vh_exec_result result;
    size_t ahead;              /* bytes of input that are under way */
    ProtobufCMessage *message; /* one that has not been obeyed to its end; NULL: none */
    size_t written;            /* bytes of its output that were handed on */
    int news;                  /* eventfd: there is something below */
    pthread_mutex_t lock;
    bool resized;
    uint16_t rows, cols;
    uint8_t signals[SIGNALS_MAX];
    size_t nsignals;
};

void vh_client_exec_free(vh_client_exec *exec)
{
    if (!exec)
        return;
    vh__client_close(&exec->call);
    vh__proto_free(exec->message);
    vh__fd_close(&exec->news);
    pthread_mutex_destroy(&exec->lock);
    free(exec);
}

static int make(const vh_exec_options *o, vh_client_exec **exec, vh_error *err)
{
    vh_client_exec *x = calloc(1, sizeof(*x));

    if (!x)
        return vh_error_set(err, -ENOMEM, "process");
    *x = (vh_client_exec){ .input = o->stdin_fd, .output = o->stdout_fd, .errors = o->stderr_fd,
                           .lock = PTHREAD_MUTEX_INITIALIZER };
    x->news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (x->news < 0) {
        int rc = vh_error_set(err, -errno, "eventfd");

        vh_client_exec_free(x);
        return rc;
    }
    *exec = x;
    return 0;
}

static size_t count(const char *const *list)
{
    size_t n = 0;

    while (list && list[n])
        n++;
    return n;
}

static int send_start(vh_client *client, vh_client_exec *x, const char *function, const char *vm,
                      const vh_exec_options *o, vh_error *err)
{
    VH_PB(ExecInput) m = VHIVE__CONTROL__V1__EXEC_INPUT__INIT;
    VH_PB(ExecStart) start = VHIVE__CONTROL__V1__EXEC_START__INIT;
    vh__wait forever = vh__client_bounds(NULL, 0);

    start.function = (char *)(function ? function : ""); /* protobuf-c has no const, here and below */
    start.vm = (char *)(vm ? vm : "");
    start.n_argv = count(o->argv);
    start.argv = (char **)o->argv;
    start.n_env = count(o->env);
    start.env = (char **)o->env;
    start.cwd = (char *)(o->cwd ? o->cwd : "");
    start.user = (char *)(o->user ? o->user : "");
    start.tty = o->tty;
    start.rows = o->rows;
    start.cols = o->cols;
    m.what_case = VHIVE__CONTROL__V1__EXEC_INPUT__WHAT_START;
    m.start = &start;
    return vh__client_open(client, "Exec", &m.base, false, &forever, &x->call, err);
}

static int send_what(vh_client_exec *x, VH_PB(ExecInput) *m, VH_PB(ExecInput__WhatCase) what, vh_error *err)
{
    m->what_case = what;
    return vh__client_send(&x->call, &m->base, err);
}

static int end_input(vh_client_exec *x, vh_error *err)
{
    VH_PB(ExecInput) m = VHIVE__CONTROL__V1__EXEC_INPUT__INIT;

    x->input = -1;
    m.stdin_end = true;
    return send_what(x, &m, VHIVE__CONTROL__V1__EXEC_INPUT__WHAT_STDIN_END, err);
}

/* Hands output on, as fast as its reader takes it. A wait that ends meanwhile is gone on with by the next one. */
static int write_out(vh_client_exec *x, int fd, const ProtobufCBinaryData *bytes, const vh__wait *w, vh_error *err)
{
    while (fd >= 0 && x->written < bytes->len) {
        int rc = vh__wait_fd(w, fd, POLLOUT, "output of the process", err);
        ssize_t n = rc ? 0 : write(fd, bytes->data + x->written, VH_MIN(bytes->len - x->written, PIECE));

        if (rc)
            return rc;
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return vh_error_set(err, -errno, "output of the process");
        x->written += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static void take_exit(vh_client_exec *x, const VH_PB(ExecExit) *m)
{
    x->ended = true;
    x->result.code = m->code;
    x->result.signal = m->signal;
    (void)snprintf(x->result.reason, sizeof(x->result.reason), "%s", m->reason); /* for people */
}

static int obey(vh_client_exec *x, const VH_PB(ExecOutput) *m, const vh__wait *w, vh_error *err)
{
    switch (m->what_case) {
    case VHIVE__CONTROL__V1__EXEC_OUTPUT__WHAT_STARTED:
        x->started = true;
        return 0;
    case VHIVE__CONTROL__V1__EXEC_OUTPUT__WHAT_STDOUT:
        return write_out(x, x->output, &m->stdout, w, err);
    case VHIVE__CONTROL__V1__EXEC_OUTPUT__WHAT_STDERR:
        return write_out(x, x->errors, &m->stderr, w, err);
    case VHIVE__CONTROL__V1__EXEC_OUTPUT__WHAT_STDIN_TAKEN:
        x->ahead -= VH_MIN(x->ahead, m->stdin_taken);
        return 0;
    case VHIVE__CONTROL__V1__EXEC_OUTPUT__WHAT_EXIT:
        take_exit(x, m->exit);
        return 0;
    default:
        return 0; /* of a newer daemon */
    }
}

/* One message of the daemon, or the rest of one. */
static int take_message(vh_client_exec *x, const vh__wait *w, vh_error *err)
{
    int rc = x->message ? 1 : vh__client_next(&x->call, w, VH_PB_TYPE(exec_output), &x->message, err);

    if (rc == 0)
        return vh_error_set(err, VH_EPROTOCOL, "Exec: vhived ends the call before the process");
    if (rc > 0)
        rc = obey(x, (VH_PB(ExecOutput) *)x->message, w, err);
    if (rc)
        return rc;
    vh__proto_free(x->message);
    x->message = NULL;
    x->written = 0;
    return 0;
}

int vh_client_exec_start(vh_client *client, const char *function, const char *vm, const vh_exec_options *opts,
                         const vh_call *call, vh_client_exec **exec, vh_error *err)
{
    vh__wait w = vh__client_bounds(call, function ? 0 : 10000);
    vh_exec_options o = VH_EXEC_OPTIONS_INIT;
    vh_client_exec *x = NULL;
    int rc;

    memcpy(&o, opts, VH_MIN(opts->size, sizeof(o)));
    rc = make(&o, &x, err);
    if (rc)
        return rc;
    rc = send_start(client, x, function, vm, &o, err);
    if (rc == 0 && x->input < 0)
        rc = end_input(x, err);
    while (rc == 0 && !x->started)
        rc = take_message(x, &w, err);
    if (rc) {
        vh_client_exec_free(x);
        return rc;
    }
    *exec = x;
    return 0;
}

/* Sends what other threads want. */
static int pass_wishes(vh_client_exec *x, vh_error *err)
{
    VH_PB(WindowSize) size = VHIVE__CONTROL__V1__WINDOW_SIZE__INIT;
    uint8_t signals[SIGNALS_MAX];
    uint64_t count_of_news;
    bool resized;
    size_t n;
    int rc = 0;

    if (read(x->news, &count_of_news, sizeof(count_of_news)) < 0)
        return 0; /* nothing new */
    pthread_mutex_lock(&x->lock);
    resized = x->resized;
    size.rows = x->rows;
    size.cols = x->cols;
    n = x->nsignals;
    memcpy(signals, x->signals, n);
    x->resized = false;
    x->nsignals = 0;
    pthread_mutex_unlock(&x->lock);
    if (resized) {
        VH_PB(ExecInput) m = VHIVE__CONTROL__V1__EXEC_INPUT__INIT;

        m.resize = &size;
        rc = send_what(x, &m, VHIVE__CONTROL__V1__EXEC_INPUT__WHAT_RESIZE, err);
    }
    for (size_t i = 0; rc == 0 && i < n; i++) {
        VH_PB(ExecInput) m = VHIVE__CONTROL__V1__EXEC_INPUT__INIT;

        m.signal = signals[i];
        rc = send_what(x, &m, VHIVE__CONTROL__V1__EXEC_INPUT__WHAT_SIGNAL, err);
    }
    return rc;
}

/* Reads input once and sends it. */
static int pass_input(vh_client_exec *x, vh_error *err)
{
    VH_PB(ExecInput) m = VHIVE__CONTROL__V1__EXEC_INPUT__INIT;
    uint8_t bytes[PIECE];
    ssize_t n = read(x->input, bytes, sizeof(bytes));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0)
        return vh_error_set(err, -errno, "input for the process");
    if (n == 0)
        return end_input(x, err);
    x->ahead += (size_t)n;
    m.stdin.data = bytes;
    m.stdin.len = (size_t)n;
    return send_what(x, &m, VHIVE__CONTROL__V1__EXEC_INPUT__WHAT_STDIN, err);
}

/* Waits until the daemon, the input, another thread or the end of the wait has something to say. */
static int pump_once(vh_client_exec *x, const vh__wait *w, vh_error *err)
{
    struct pollfd fds[] = {
        { vh__rpc_exchange_fd(x->call.exchange), POLLIN, 0 },
        { x->ahead + PIECE <= AHEAD_MAX ? x->input : -1, POLLIN, 0 },
        { x->news, POLLIN, 0 },
        { vh__cancel_fd(w->cancel), POLLIN, 0 },
    };
    int rc = vh__wait_check(w, "process", err);

    if (rc)
        return rc;
    if (x->message || vh__rpc_exchange_ready(x->call.exchange))
        return take_message(x, w, err);
    if (poll(fds, VH_ARRAY_LEN(fds), vh__wait_left_ms(w)) < 0 && errno != EINTR)
        return vh_error_set(err, -errno, "poll of a process");
    if (fds[1].revents)
        rc = pass_input(x, err);
    if (rc == 0 && fds[2].revents)
        rc = pass_wishes(x, err);
    return rc;
}

int vh_client_exec_wait(vh_client_exec *exec, const vh_call *call, vh_exec_result *result, vh_error *err)
{
    vh__wait w = vh__client_bounds(call, 0);
    size_t size = result->size;
    int rc = 0;

    while (rc == 0 && !exec->ended)
        rc = pump_once(exec, &w, err);
    if (rc)
        return rc;
    exec->result.size = size;
    memcpy(result, &exec->result, VH_MIN(size, sizeof(exec->result)));
    return 0;
}

/* Wakes the mover. */
static void tell_news(vh_client_exec *x)
{
    uint64_t one = 1;

    if (write(x->news, &one, sizeof(one)) < 0) {
        /* EAGAIN only: it has been told often enough */
    }
}

int vh_client_exec_resize(vh_client_exec *exec, uint16_t rows, uint16_t cols, vh_error *err)
{
    (void)err; /* nothing can go wrong here; the last size is what counts */
    pthread_mutex_lock(&exec->lock);
    exec->resized = true;
    exec->rows = rows;
    exec->cols = cols;
    pthread_mutex_unlock(&exec->lock);
    tell_news(exec);
    return 0;
}

int vh_client_exec_signal(vh_client_exec *exec, int signal, vh_error *err)
{
    bool full;

    if (signal < 1 || signal > 64)
        return vh_error_set(err, VH_EINVALID, "signal %d: signals are 1 to 64", signal);
    pthread_mutex_lock(&exec->lock);
    full = exec->nsignals == SIGNALS_MAX;
    if (!full)
        exec->signals[exec->nsignals++] = (uint8_t)signal;
    pthread_mutex_unlock(&exec->lock);
    tell_news(exec);
    return full ? vh_error_set(err, -EAGAIN, "signal %d: %d others wait", signal, SIGNALS_MAX) : 0;
}
