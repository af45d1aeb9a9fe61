#include "http_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>
#include <uv.h>

#include "auto.h"
#include "sigpipe.h"
#include "socket.h"

#define LINGER_MS 1000

/*
 * One connection reads a head, or writes an answer, or, after its last answer, discards what still comes: closed before
 * that, the kernel would reset it and the peer might lose the answer.
 */
struct conn {
    LIST_ENTRY(conn) link;
    vh__http_server *server;
    vh__socket peer;
    uv_timer_t timer;
    uv_write_t write;
    uv_shutdown_t shutdown;
    vh__buf in, out;
    bool writing, last, ending, closing;
    int handles; /* not closed yet; the last one frees the connection */
};

struct vh__http_server {
    vh__http_server_options opts;
    uv_loop_t loop;
    vh__socket listener;
    vh__socket_refusal refusal;
    uv_async_t stop;
    bool have_loop, unix_socket;
    LIST_HEAD(, conn) conns;
    uint32_t nconns;
    char in[4096]; /* one read at a time, on one thread */
};

static void on_conn_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;

    if (--c->handles)
        return;
    vh__buf_fini(&c->in);
    vh__buf_fini(&c->out);
    free(c);
}

static void conn_close(struct conn *c)
{
    if (c->closing)
        return;
    c->closing = true;
    LIST_REMOVE(c, link);
    c->server->nconns--;
    uv_close(&c->peer.handle, on_conn_closed);
    uv_close((uv_handle_t *)&c->timer, on_conn_closed);
}

static void on_time_over(uv_timer_t *timer)
{
    conn_close(timer->data);
}

/* From now, not from when the loop last looked at the clock, before a handler took its time. */
static void set_timer(struct conn *c, uint32_t ms)
{
    uv_update_time(&c->server->loop);
    (void)uv_timer_start(&c->timer, on_time_over, ms, 0); /* fails only without a callback */
}

static void put_answer(struct conn *c, const vh__http_answer *a, bool head)
{
    vh__buf_printf(&c->out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n",
                   a->status, vh__http_reason(a->status), a->type, a->body.len);
    vh__buf_puts(&c->out, a->status == 405 ? "Allow: GET, HEAD\r\n" : "");
    vh__buf_puts(&c->out, c->last ? "Connection: close\r\n\r\n" : "\r\n");
    if (!head)
        vh__buf_append(&c->out, a->body.data, a->body.len);
    c->out.oom = c->out.oom || a->body.oom;
}

static void answer(struct conn *c, const vh__http_head *request)
{
    vh__http_answer a = { .status = 404, .type = "text/plain; charset=utf-8" };

    c->server->opts.handler(request, &a, c->server->opts.arg);
    if (a.status != 200 && a.body.len == 0)
        vh__buf_printf(&a.body, "%s\n", vh__http_reason(a.status));
    c->last = !request->keep_alive;
    put_answer(c, &a, request->head);
    vh__buf_fini(&a.body);
}

/* Nothing that follows could be understood. */
static void refuse(struct conn *c, int status)
{
    vh__http_answer a = { .status = status, .type = "text/plain; charset=utf-8" };

    c->last = true;
    vh__buf_printf(&a.body, "%s\n", vh__http_reason(status));
    put_answer(c, &a, false);
    vh__buf_fini(&a.body);
}

static void conn_read(struct conn *c);
static void conn_serve(struct conn *c);

static void on_shut_down(uv_shutdown_t *request, int status)
{
    if (status)
        conn_close(request->data);
}

static void on_written(uv_write_t *write, int status)
{
    struct conn *c = write->data;

    c->writing = false;
    vh__buf_clear(&c->out);
    if (status) { /* the peer has gone, or the connection is being closed */
        conn_close(c);
        return;
    }
    if (!c->last) {
        set_timer(c, c->in.len ? c->server->opts.head_ms : c->server->opts.idle_ms);
        conn_serve(c);
        return;
    }
    c->ending = true;
    set_timer(c, LINGER_MS);
    c->shutdown.data = c;
    if (uv_shutdown(&c->shutdown, &c->peer.stream, on_shut_down))
        conn_close(c);
    else
        conn_read(c);
}

static void conn_write(struct conn *c)
{
    uv_buf_t all = uv_buf_init(c->out.data, (unsigned)c->out.len);

    (void)uv_read_stop(&c->peer.stream); /* always succeeds */
    set_timer(c, c->server->opts.write_ms);
    c->write.data = c;
    c->writing = true;
    if (c->out.oom || uv_write(&c->write, &c->peer.stream, &all, 1, on_written)) {
        c->writing = false;
        conn_close(c);
    }
}

/* Answers the next request if it is there, else reads on. */
static void conn_serve(struct conn *c)
{
    vh__http_head request;
    int n = vh__http_head_parse(c->in.len ? c->in.data : "", c->in.len, &request);

    if (n == 0) {
        conn_read(c);
        return;
    }
    if (n > 0) {
        answer(c, &request);
        vh__buf_consume(&c->in, (size_t)n);
    } else {
        refuse(c, -n);
    }
    conn_write(c);
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct conn *c = handle->data;

    (void)hint;
    *buf = uv_buf_init(c->server->in, sizeof(c->server->in));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct conn *c = stream->data;

    if (n == 0 || (n > 0 && c->ending))
        return;
    if (n < 0) {
        conn_close(c);
        return;
    }
    if (c->in.len == 0)
        set_timer(c, c->server->opts.head_ms);
    vh__buf_append(&c->in, buf->base, (size_t)n);
    if (c->in.oom)
        conn_close(c);
    else
        conn_serve(c);
}

static void conn_read(struct conn *c)
{
    int rc = uv_read_start(&c->peer.stream, on_alloc, on_read);

    if (rc && rc != UV_EALREADY)
        conn_close(c);
}

static struct conn *conn_new(vh__http_server *s)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->server = s;
    vh__socket_init(&c->peer, &s->loop, s->unix_socket);
    (void)uv_timer_init(&s->loop, &c->timer); /* allocates nothing */
    c->peer.handle.data = c->timer.data = c;
    c->handles = 2;
    LIST_INSERT_HEAD(&s->conns, c, link);
    s->nconns++;
    return c;
}

static void on_connection(uv_stream_t *listener, int status)
{
    vh__http_server *s = listener->data;
    struct conn *c = NULL;

    if (status)
        return; /* the peer is gone already, or descriptors ran out: libuv accepts again when it can */
    if (s->nconns < s->opts.max_connections)
        c = conn_new(s);
    if (!c) {
        vh__socket_refuse(&s->refusal, listener);
        return;
    }
    if (uv_accept(listener, &c->peer.stream)) {
        conn_close(c);
        return;
    }
    set_timer(c, s->opts.idle_ms);
    conn_read(c);
}

static void close_walked(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void close_all(vh__http_server *s)
{
    struct conn *c, *next;

    for (c = LIST_FIRST(&s->conns); c; c = next) {
        next = LIST_NEXT(c, link);
        conn_close(c);
    }
}

/* Closes all but |stop|, which vh__http_server_stop() may still use; the loop ends when that is done. */
static void on_stop(uv_async_t *stop)
{
    vh__http_server *s = stop->data;

    close_all(s);
    close_walked(&s->listener.handle, NULL);
}

static void set_defaults(vh__http_server_options *o)
{
    if (!o->max_connections)
        o->max_connections = 64;
    if (!o->head_ms)
        o->head_ms = 5000;
    if (!o->idle_ms)
        o->idle_ms = 60000;
    if (!o->write_ms)
        o->write_ms = 10000;
}

/* Takes the listening socket into the loop, which closes it from then on. */
static int open_listener(vh__http_server *s, int fd, vh_error *err)
{
    int rc;

    s->unix_socket = uv_guess_handle(fd) == UV_NAMED_PIPE;
    vh__socket_init(&s->listener, &s->loop, s->unix_socket);
    s->listener.handle.data = s;
    rc = s->unix_socket ? uv_pipe_open(&s->listener.pipe, fd) : uv_tcp_open(&s->listener.tcp, fd);
    if (rc) {
        (void)close(fd); /* not the loop's; nothing to do about it */
        return vh_error_set(err, rc, "HTTP server: listening socket");
    }
    rc = uv_listen(&s->listener.stream, 64, on_connection);
    return rc ? vh_error_set(err, rc, "HTTP server: listen") : 0;
}

static int open_loop(vh__http_server *s, vh_error *err)
{
    int rc = uv_loop_init(&s->loop);

    if (rc)
        return vh_error_set(err, rc, "HTTP server: event loop");
    s->have_loop = true;
    s->stop.data = s;
    rc = uv_async_init(&s->loop, &s->stop, on_stop);
    if (rc)
        return vh_error_set(err, rc, "HTTP server: wake-up descriptor");
    uv_unref((uv_handle_t *)&s->stop);
    return 0;
}

int vh__http_server_new(const vh__http_server_options *opts, vh__http_server **server, vh_error *err)
{
    vh__http_server *s = calloc(1, sizeof(*s));
    vh_auto_fd int fd = opts->listen_fd;
    int rc;

    if (!s)
        return vh_error_set(err, -ENOMEM, "HTTP server");
    s->opts = *opts;
    set_defaults(&s->opts);
    LIST_INIT(&s->conns);
    rc = open_loop(s, err);
    if (rc == 0)
        rc = open_listener(s, vh_steal_fd(&fd), err);
    if (rc) {
        vh__http_server_free(s);
        return rc;
    }
    *server = s;
    return 0;
}

int vh__http_server_run(vh__http_server *server, vh_error *err)
{
    sigset_t signals;
    int rc;

    vh__sigpipe_block(&signals);
    rc = uv_run(&server->loop, UV_RUN_DEFAULT);
    vh__sigpipe_restore(&signals);
    return rc < 0 ? vh_error_set(err, rc, "HTTP server: event loop") : 0;
}

void vh__http_server_stop(vh__http_server *server)
{
    (void)uv_async_send(&server->stop); /* fails only on a handle that is no async */
}

void vh__http_server_free(vh__http_server *server)
{
    if (!server)
        return;
    if (server->have_loop) {
        close_all(server);
        uv_walk(&server->loop, close_walked, NULL);
        (void)uv_run(&server->loop, UV_RUN_DEFAULT); /* runs the close callbacks; nothing else is left */
        (void)uv_loop_close(&server->loop);          /* busy only with an open handle */
    }
    free(server);
}
