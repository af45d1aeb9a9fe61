#include "rpc_server_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "auto.h"
#include "clock.h"
#include "sigpipe.h"

/*
 * One connection. Its output goes out whole before anything more is read, so a peer that sends and does not read
 * makes it hold one round of output and no more.
 */
struct conn {
    LIST_ENTRY(conn) link;
    vh__rpc_server *server;
    vh__grpc_server *core;
    vh__socket socket;
    uv_timer_t idle, due;
    int64_t due_ns;  /* what |due| is set to */
    uint64_t frames; /* that had come when there was progress last */
    bool asked;      /* for a sign of life since */
    uv_write_t write;
    vh__buf out; /* on its way to the socket */
    bool writing, closing;
    int handles; /* not closed yet; the last one frees the connection */
};

static void conn_free(struct conn *c)
{
    vh__grpc_server_free(c->core);
    vh__buf_fini(&c->out);
    free(c);
}

static void on_conn_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;

    if (--c->handles == 0)
        conn_free(c);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void conn_close(struct conn *c)
{
    if (c->closing)
        return;
    c->closing = true;
    LIST_REMOVE(c, link);
    uv_close(&c->socket.handle, on_conn_closed);
    uv_close((uv_handle_t *)&c->idle, on_conn_closed);
    uv_close((uv_handle_t *)&c->due, on_conn_closed);
    if (--c->server->nconns == 0 && c->server->stopping)
        close_handle((uv_handle_t *)&c->server->grace);
}

static void conn_flush(struct conn *c);
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct conn *c = handle->data;

    (void)hint;
    *buf = uv_buf_init(c->server->in, sizeof(c->server->in));
}

static void on_written(uv_write_t *write, int status)
{
    struct conn *c = write->data;

    c->writing = false;
    vh__buf_clear(&c->out);
    if (status) {
        conn_close(c);
        return;
    }
    (void)uv_timer_again(&c->idle); /* the peer has taken something; fails only on a timer that was never started */
    conn_flush(c);
    if (!c->closing && !c->writing && uv_read_start(&c->socket.stream, on_alloc, on_read))
        conn_close(c);
}

/* The socket is full: what is left of |out| goes when it can, and reading stops until then. */
static void write_later(struct conn *c)
{
    uv_buf_t rest = uv_buf_init(c->out.data, (unsigned)c->out.len);

    (void)uv_read_stop(&c->socket.stream); /* always succeeds */
    c->write.data = c;
    c->writing = true;
    if (uv_write(&c->write, &c->socket.stream, &rest, 1, on_written)) {
        c->writing = false;
        conn_close(c);
    }
}

/* Gives the core's output to the socket, as far as that takes it. */
static void write_out(struct conn *c)
{
    while (!c->writing && !c->closing) {
        uv_buf_t all;
        int n;

        if (vh__grpc_server_output(c->core, &c->out, NULL)) {
            conn_close(c);
        } else if (c->out.len == 0) {
            if (!vh__grpc_server_alive(c->core))
                conn_close(c);
            return;
        } else {
            all = uv_buf_init(c->out.data, (unsigned)c->out.len);
            n = uv_try_write(&c->socket.stream, &all, 1);
            vh__buf_consume(&c->out, n > 0 ? (size_t)n : 0);
            if (c->out.len)
                write_later(c); /* reports what made the write fail, if it was not a full socket */
        }
    }
}

static void on_due(uv_timer_t *timer)
{
    struct conn *c = timer->data;

    c->due_ns = INT64_MAX;
    if (vh__grpc_server_expire(c->core, vh__clock_mono_ns(), NULL))
        conn_close(c);
    else
        conn_flush(c);
}

/* Sets the timer to what is due next. */
static void set_due(struct conn *c)
{
    int64_t due = vh__grpc_server_due(c->core), left;

    if (due == c->due_ns)
        return;
    c->due_ns = due;
    if (due == INT64_MAX) {
        (void)uv_timer_stop(&c->due); /* always succeeds */
        return;
    }
    left = VH_MAX(due - vh__clock_mono_ns(), 0);
    uv_update_time(&c->server->loop); /* timers count from the loop's time, which a handler may have left behind */
    (void)uv_timer_start(&c->due, on_due, (uint64_t)(left / VH_NS_PER_MS) + 1, 0); /* fails only without a callback */
}

static void conn_flush(struct conn *c)
{
    write_out(c);
    if (!c->closing)
        set_due(c);
}

/* Whole frames are progress, single bytes of one are not. */
static void note_progress(struct conn *c)
{
    uint64_t frames = vh__grpc_server_frames(c->core);

    if (frames == c->frames)
        return;
    c->frames = frames;
    c->asked = false;
    (void)uv_timer_again(&c->idle); /* fails only on a timer that was never started */
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct conn *c = stream->data;

    if (n == 0)
        return;
    if (n < 0 || vh__grpc_server_recv(c->core, buf->base, (size_t)n, NULL)) {
        conn_close(c);
        return;
    }
    note_progress(c);
    conn_flush(c);
}

/* A peer that has calls under way may have nothing to say for hours: it is asked before it is given up. */
static void on_idle(uv_timer_t *timer)
{
    struct conn *c = timer->data;

    if (c->asked || !vh__grpc_server_busy(c->core) || vh__grpc_server_ping(c->core, NULL)) {
        conn_close(c);
        return;
    }
    c->asked = true;
    conn_flush(c);
}

/* A streaming call begins: |arg| is its connection. */
static vh__grpc_status on_begin(vh__grpc_stream *core, void *arg, vh__buf *why)
{
    struct conn *c = arg;
    vh__rpc_server *s = c->server;
    vh__rpc_stream *stream;
    vh_error err = { 0 };

    if (s->nstreams >= s->opts.max_threads) {
        vh__buf_printf(why, "%u calls that stream are under way, more are not allowed here", s->nstreams);
        return VH_GRPC_RESOURCE_EXHAUSTED;
    }
    if (vh__rpc_stream_start(c->core, core, &s->wake, c, &stream, &err)) {
        vh__buf_puts(why, err.msg);
        return VH_GRPC_RESOURCE_EXHAUSTED;
    }
    LIST_INSERT_HEAD(&s->streams, stream, link);
    if (s->nstreams++ == 0)
        uv_ref((uv_handle_t *)&s->wake); /* the loop may not end before their threads have */
    return VH_GRPC_OK;
}

static const vh__grpc_stream_events stream_events = {
    .begin = on_begin,
    .message = vh__rpc_stream_on_message,
    .last = vh__rpc_stream_on_last,
    .drained = vh__rpc_stream_on_drained,
    .gone = vh__rpc_stream_on_gone,
};

/* A handler has left something. */
static void on_wake(uv_async_t *wake)
{
    vh__rpc_server *s = wake->data;
    vh__rpc_stream *stream, *next;

    for (stream = LIST_FIRST(&s->streams); stream; stream = next) {
        struct conn *c = stream->conn;
        int rc;

        next = LIST_NEXT(stream, link);
        if (vh__rpc_stream_sync(stream, &rc)) {
            if (--s->nstreams == 0)
                uv_unref((uv_handle_t *)&s->wake);
        }
        if (c && rc)
            conn_close(c);
        else if (c && !c->closing)
            conn_flush(c);
    }
}

/* A connection whose handles are in the loop: from here on conn_close() is the way to end it. */
static struct conn *conn_new(vh__rpc_server *s)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->server = s;
    c->due_ns = INT64_MAX;
    if (vh__grpc_server_new(&s->opts, &stream_events, c, &c->core, NULL)) {
        free(c);
        return NULL;
    }
    vh__socket_init(&c->socket, &s->loop, s->is_unix);
    (void)uv_timer_init(&s->loop, &c->idle); /* allocates nothing */
    (void)uv_timer_init(&s->loop, &c->due);
    c->socket.handle.data = c->idle.data = c->due.data = c;
    c->handles = 3;
    LIST_INSERT_HEAD(&s->conns, c, link);
    s->nconns++;
    return c;
}

void vh__rpc_on_connection(uv_stream_t *listener, int status)
{
    vh__rpc_server *s = listener->data;
    struct conn *c = NULL;

    if (status)
        return; /* the peer is gone already, or descriptors ran out: libuv accepts again when it can */
    if (s->nconns < s->opts.max_connections)
        c = conn_new(s);
    if (!c) {
        vh__socket_refuse(&s->refusal, listener);
        return;
    }
    if (uv_accept(listener, &c->socket.stream) ||
        uv_timer_start(&c->idle, on_idle, s->opts.idle_ms, s->opts.idle_ms) ||
        uv_read_start(&c->socket.stream, on_alloc, on_read)) {
        conn_close(c);
        return;
    }
    if (!s->is_unix)
        (void)uv_tcp_nodelay(&c->socket.tcp, 1); /* slower without, but right */
    conn_flush(c);
}

static void close_all(vh__rpc_server *s)
{
    struct conn *c, *next;

    for (c = LIST_FIRST(&s->conns); c; c = next) {
        next = LIST_NEXT(c, link);
        conn_close(c);
    }
}

/* Ends the streams of all connections, or only the watches, and lets the callers know. */
static void cut_streams(vh__rpc_server *s, bool watches)
{
    struct conn *c, *next;

    for (c = LIST_FIRST(&s->conns); c; c = next) {
        next = LIST_NEXT(c, link);
        if (vh__grpc_server_cut(c->core, watches, VH_GRPC_UNAVAILABLE, "the server stops", NULL))
            conn_close(c);
        else
            conn_flush(c);
    }
}

static void on_grace_over(uv_timer_t *timer)
{
    cut_streams(timer->data, false);
    close_all(timer->data);
}

static void on_stop(uv_async_t *stop)
{
    vh__rpc_server *s = stop->data;
    struct conn *c, *next;

    if (s->stopping)
        return;
    s->stopping = true;
    vh__rpc_unlisten(s);
    (void)uv_timer_start(&s->grace, on_grace_over, s->opts.grace_ms, 0); /* fails only without a callback */
    for (c = LIST_FIRST(&s->conns); c; c = next) {
        next = LIST_NEXT(c, link);
        if (vh__grpc_server_goaway(c->core, NULL))
            conn_close(c);
        else
            conn_flush(c);
    }
    cut_streams(s, true);
    if (s->nconns == 0)
        close_handle((uv_handle_t *)&s->grace);
}

static void set_defaults(vh__rpc_server_options *o)
{
    if (!o->max_message)
        o->max_message = VH_RPC_MESSAGE_MAX;
    if (!o->max_streams)
        o->max_streams = 100;
    if (!o->max_connections)
        o->max_connections = 256;
    if (!o->max_threads)
        o->max_threads = 64;
    if (!o->idle_ms)
        o->idle_ms = 300000;
    if (!o->grace_ms)
        o->grace_ms = 5000;
}

static int open_loop(vh__rpc_server *s, vh_error *err)
{
    int rc = uv_loop_init(&s->loop);

    if (rc)
        return vh_error_set(err, rc, "gRPC server: event loop");
    s->have_loop = true;
    (void)uv_timer_init(&s->loop, &s->grace); /* allocates nothing */
    s->grace.data = s->stop.data = s->wake.data = s;
    rc = uv_async_init(&s->loop, &s->stop, on_stop);
    if (!rc)
        rc = uv_async_init(&s->loop, &s->wake, on_wake);
    if (rc)
        return vh_error_set(err, rc, "gRPC server: wake-up descriptor");
    uv_unref((uv_handle_t *)&s->stop); /* it stays open for vh__rpc_server_stop() until the server is freed */
    uv_unref((uv_handle_t *)&s->wake);
    return 0;
}

int vh__rpc_server_new(const vh__rpc_server_options *opts, vh__rpc_server **server, vh_error *err)
{
    vh__rpc_server *s = calloc(1, sizeof(*s));
    int fd = opts->listen_fd > 0 ? opts->listen_fd : -1, rc;

    if (!s) {
        vh__fd_close(&fd);
        return vh_error_set(err, -ENOMEM, "gRPC server");
    }
    s->opts = *opts;
    set_defaults(&s->opts);
    LIST_INIT(&s->conns);
    LIST_INIT(&s->streams);
    rc = open_loop(s, err);
    if (!rc)
        rc = vh__rpc_listen(s, &fd, err);
    vh__fd_close(&fd); /* unless it was taken */
    if (rc) {
        vh__rpc_server_free(s);
        return rc;
    }
    *server = s;
    return 0;
}

uint16_t vh__rpc_server_port(const vh__rpc_server *server)
{
    return server->port;
}

int vh__rpc_server_run(vh__rpc_server *server, vh_error *err)
{
    sigset_t signals;
    int rc;

    vh__sigpipe_block(&signals);
    rc = uv_run(&server->loop, UV_RUN_DEFAULT);
    vh__sigpipe_restore(&signals);
    return rc < 0 ? vh_error_set(err, rc, "gRPC server: event loop") : 0;
}

void vh__rpc_server_stop(vh__rpc_server *server)
{
    (void)uv_async_send(&server->stop); /* fails only on a handle that is no async */
}

static void close_walked(uv_handle_t *handle, void *arg)
{
    (void)arg;
    close_handle(handle);
}

void vh__rpc_server_free(vh__rpc_server *server)
{
    if (!server)
        return;
    if (server->have_loop) {
        vh__rpc_unlisten(server);
        close_all(server);
        uv_walk(&server->loop, close_walked, NULL);
        (void)uv_run(&server->loop, UV_RUN_DEFAULT); /* runs the close callbacks; nothing else is left */
        (void)uv_loop_close(&server->loop);          /* busy only with an open handle */
    }
    free(server);
}
