/* Processes in a VM: the client's end of the pipes that its shim serves. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent_host.h"
#include "auto.h"
#include "json.h"
#include "visit.h"
#include "vm.h"

/* A pipe or terminal that has room at all takes this much without blocking, also if it is not non-blocking. */
#define WRITE_MAX  4096
#define START_MS   10000
#define SIGNAL_MAX 64

/* One direction: from |from| to |to|, by way of a buffer. */
struct mover {
    int from, to;     /* -1: at its end; nobody wants it */
    size_t at, len;   /* unwritten bytes of |data| */
    char data[16384];
};

struct vh_exec {
    int sock;
    int pipes[3];     /* our ends of its stdin, stdout, stderr */
    struct mover move[3];
    bool ended;
    vh_exec_result result;
    void (*freed)(void *arg); /* NULL: nobody asks */
    void *freed_arg;
};

static int check_options(const vh_exec_options *o, vh_error *err)
{
    if (!o->argv || !o->argv[0] || !o->argv[0][0])
        return vh_error_set(err, VH_EINVALID, "exec: no command is named");
    for (const char *const *e = o->env; e && *e; e++)
        if (**e == '=' || !strchr(*e, '='))
            return vh_error_set(err, VH_EINVALID, "environment '%s': must be NAME=VALUE", *e);
    return 0;
}

static int make_pipes(vh_exec *x, vh__shim_fd theirs[3], vh_error *err)
{
    for (int i = 0; i < 3; i++) {
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
            return vh_error_set(err, -errno, "exec: pipe");
        x->pipes[i] = ends[i == 0];
        theirs[i].fd = ends[i != 0];
    }
    return vh__fd_nonblock(x->pipes[0], err);
}

/* Sends |op| with |m| as its payload. */
static int request(vh_exec *x, const char *op, const vh__agent_msg *m, const vh__shim_fd *fds, size_t nfds,
                   vh_error *err)
{
    vh_auto_buf vh__buf frame = { 0 };
    vh_auto_json cJSON *j = cJSON_CreateObject();
    int rc = vh__agent_append(&frame, m, err);

    if (rc)
        return rc;
    if (!cJSON_AddStringToObject(j, "op", op))
        return vh_error_set(err, -ENOMEM, "exec");
    return vh__shim_send(x->sock, vh_steal_ptr(j), fds, nfds, frame.data, frame.len, err);
}

static int ask(vh_exec *x, const vh_exec_options *o, const vh__wait *w, vh_error *err)
{
    vh__agent_msg m = { .type = VH_AGENT_EXEC, .stream = 1, /* the shim puts its own in its place */
                        .exec = { .argv = vh__agent_list_of(o->argv), .env = vh__agent_list_of(o->env), .cwd = o->cwd,
                                  .user = o->user, .tty = o->tty, .rows = o->rows, .cols = o->cols } };
    vh__shim_fd theirs[3] = { { "stdin", -1 }, { "stdout", -1 }, { "stderr", -1 } };
    vh__shim_message answer = { 0 };
    int rc = make_pipes(x, theirs, err);

    if (rc == 0)
        rc = request(x, "exec", &m, theirs, 3, err);
    for (int i = 0; i < 3; i++)
        vh__fd_close(&theirs[i].fd); /* so that their end is seen when the shim closes its own */
    if (rc == 0)
        rc = vh__shim_recv(x->sock, w, &answer, err);
    if (rc == 0)
        rc = vh__shim_result(&answer, err);
    vh__shim_message_fini(&answer);
    return rc;
}

/* Tells the end of the input once all of it was handed on. */
static void end_input(vh_exec *x)
{
    if (x->move[0].from >= 0 || x->move[0].len)
        return;
    vh__fd_close(&x->pipes[0]);
    x->move[0].to = -1;
}

int vh_exec_start(const vh_env *env, const char *vm, const vh_exec_options *opts, const vh_call *call, vh_exec **exec,
                  vh_error *err)
{
    vh__wait w = vh__wait_from(call, START_MS);
    vh_exec_options o = VH_EXEC_OPTIONS_INIT;
    vh_exec *x = calloc(1, sizeof(*x));
    char id[24];
    int rc;

    if (!x)
        return vh_error_set(err, -ENOMEM, "exec");
    x->sock = x->pipes[0] = x->pipes[1] = x->pipes[2] = -1;
    memcpy(&o, opts, VH_MIN(opts->size, sizeof(o)));
    rc = check_options(&o, err);
    if (rc == 0)
        rc = vh__visit_find(env, vm, &w, id, err);
    if (rc == 0)
        rc = vh__visit_connect(env, id, &w, &x->sock, err);
    if (rc == 0)
        rc = ask(x, &o, &w, err);
    if (rc) {
        vh_exec_free(x);
        return rc == -EPIPE ? vh_error_set(err, VH_EVMM, "exec: VM %s has just ended", id) : rc;
    }
    x->move[0] = (struct mover){ .from = o.stdin_fd, .to = x->pipes[0] };
    x->move[1] = (struct mover){ .from = x->pipes[1], .to = o.stdout_fd };
    x->move[2] = (struct mover){ .from = x->pipes[2], .to = o.stderr_fd };
    end_input(x); /* there may be none */
    *exec = x;
    return 0;
}

void vh_exec_free(vh_exec *exec)
{
    if (!exec)
        return;
    vh__fd_close(&exec->sock);
    for (int i = 0; i < 3; i++)
        vh__fd_close(&exec->pipes[i]);
    if (exec->freed)
        exec->freed(exec->freed_arg);
    free(exec);
}

void vh__exec_on_free(vh_exec *exec, void (*freed)(void *arg), void *arg)
{
    exec->freed = freed;
    exec->freed_arg = arg;
}

int vh_exec_resize(vh_exec *exec, uint16_t rows, uint16_t cols, vh_error *err)
{
    int rc = request(exec, "tell", &(vh__agent_msg){ .type = VH_AGENT_EXEC_RESIZE, .stream = 1,
                                                     .exec_resize = { rows, cols } }, NULL, 0, err);

    return rc == -EPIPE ? 0 : rc; /* it has ended */
}

int vh_exec_signal(vh_exec *exec, int signal, vh_error *err)
{
    int rc;

    if (signal < 1 || signal > SIGNAL_MAX)
        return vh_error_set(err, VH_EINVALID, "signal %d: must be 1 to %d", signal, SIGNAL_MAX);
    rc = request(exec, "tell", &(vh__agent_msg){ .type = VH_AGENT_EXEC_SIGNAL, .stream = 1,
                                                 .signal.number = (uint32_t)signal }, NULL, 0, err);
    return rc == -EPIPE ? 0 : rc; /* it has ended */
}

/* Reads of |m| what there is; its end closes the way. */
static int fill(struct mover *m, const char *name, vh_error *err)
{
    ssize_t n = read(m->from, m->data, sizeof(m->data));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0 && errno != EIO) /* a terminal that was hung up */
        return vh_error_set(err, -errno, "read %s", name);
    m->at = 0;
    m->len = n > 0 ? (size_t)n : 0;
    if (n <= 0)
        m->from = -1;
    if (m->to < 0)
        m->len = 0; /* nobody wants it */
    return 0;
}

static int drain(struct mover *m, const char *name, vh_error *err)
{
    ssize_t n = write(m->to, m->data + m->at, VH_MIN(m->len, WRITE_MAX));

    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return vh_error_set(err, -errno, "write %s", name);
    if (n > 0) {
        m->at += (size_t)n;
        m->len -= (size_t)n;
    }
    return 0;
}

static const char *const stream_names[] = { "standard input", "standard output", "standard error" };

static bool wants_read(const struct mover *m)
{
    return m->from >= 0 && !m->len;
}

/* Input that nobody takes any more is no failure: a process need not read it. */
static int move_input(vh_exec *x, const struct pollfd p[2], vh_error *err)
{
    struct mover *m = &x->move[0];
    int rc = 0;

    if (p[0].revents)
        rc = fill(m, stream_names[0], err);
    if (rc == 0 && p[1].revents && drain(m, stream_names[0], NULL)) {
        m->from = -1;
        m->len = 0;
    }
    end_input(x);
    return rc;
}

static int take_event(vh_exec *x, vh_error *err)
{
    vh__wait now = vh__wait_from(&(vh_call){ .size = sizeof(vh_call) }, 1000); /* something is there */
    vh__shim_message m = { 0 };
    int rc = vh__shim_recv(x->sock, &now, &m, err);

    if (rc == -EPIPE)
        return vh_error_set(err, VH_EVMM, "exec: the VM has ended");
    if (rc == 0 && !cJSON_GetObjectItemCaseSensitive(m.json, "event"))
        rc = vh__shim_result(&m, err);
    if (rc == 0) {
        x->result.signal = (int)vh__json_u64_or(m.json, "signal", 0);
        x->result.code = x->result.signal ? 128 + x->result.signal : (int)vh__json_u64_or(m.json, "code", 255);
        snprintf(x->result.reason, sizeof(x->result.reason), "%s", vh__json_str_or(m.json, "text", ""));
        x->ended = true;
        x->move[0].from = -1; /* what it did not read is not asked for */
        x->move[0].len = 0;
    }
    vh__shim_message_fini(&m);
    return rc;
}

enum { P_CANCEL, P_SOCK, P_MOVE, P_COUNT = P_MOVE + 6 };

static void poll_set(const vh_exec *x, const vh__wait *w, struct pollfd p[P_COUNT])
{
    p[P_CANCEL] = (struct pollfd){ .fd = vh__cancel_fd(w->cancel), .events = POLLIN };
    p[P_SOCK] = (struct pollfd){ .fd = x->ended ? -1 : x->sock, .events = POLLIN };
    for (int i = 0; i < 3; i++) {
        const struct mover *m = &x->move[i];

        p[P_MOVE + 2 * i] = (struct pollfd){ .fd = wants_read(m) ? m->from : -1, .events = POLLIN };
        p[P_MOVE + 2 * i + 1] = (struct pollfd){ .fd = m->len ? m->to : -1, .events = POLLOUT };
    }
}

static int dispatch(vh_exec *x, const struct pollfd p[P_COUNT], vh_error *err)
{
    int rc = p[P_SOCK].revents ? take_event(x, err) : 0;

    if (rc == 0)
        rc = move_input(x, p + P_MOVE, err);
    for (int i = 1; i < 3 && rc == 0; i++) {
        if (p[P_MOVE + 2 * i].revents)
            rc = fill(&x->move[i], stream_names[i], err);
        if (rc == 0 && p[P_MOVE + 2 * i + 1].revents)
            rc = drain(&x->move[i], stream_names[i], err);
    }
    return rc;
}

static bool is_over(const vh_exec *x)
{
    return x->ended && x->move[1].from < 0 && x->move[2].from < 0 && !x->move[1].len && !x->move[2].len;
}

int vh_exec_wait(vh_exec *exec, const vh_call *call, vh_exec_result *result, vh_error *err)
{
    vh__wait w = vh__wait_from(call, UINT32_MAX);
    size_t size = VH_MIN(result->size, sizeof(exec->result));

    while (!is_over(exec)) {
        struct pollfd p[P_COUNT];
        int rc = vh__wait_check(&w, "process in the VM", err);

        if (rc)
            return rc;
        poll_set(exec, &w, p);
        if (poll(p, P_COUNT, vh__wait_left_ms(&w)) < 0) {
            if (errno == EINTR)
                continue;
            return vh_error_set(err, -errno, "process in the VM: poll");
        }
        rc = dispatch(exec, p, err);
        if (rc)
            return rc;
    }
    exec->result.size = result->size;
    memcpy(result, &exec->result, size);
    return 0;
}
