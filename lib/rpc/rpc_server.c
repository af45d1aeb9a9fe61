#include "rpc.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <uv.h>

#include "auto.h"
#include "grpc_server.h"

/*
 * One connection. Its output goes out whole before anything more is read, so a peer that sends and does not read
 * makes it hold one round of output and no more.
 */
struct conn {
    LIST_ENTRY(conn) link;
    vh__rpc_server *server;
    vh__grpc_server *core;
    uv_tcp_t tcp;
    uv_timer_t idle;
    uv_write_t write;
    vh__buf out; /* on its way to the socket */
    bool writing, closing;
    int handles; /* not closed yet; the last one frees the connection */
};

struct vh__rpc_server {
    vh__rpc_server_options opts;
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_timer_t grace;
    uv_async_t stop;
    bool have_loop, stopping;
    uint16_t port;
    LIST_HEAD(, conn) conns;
    uint32_t nconns;
    char in[16384]; /* one read at a time, on one thread */
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
    uv_close((uv_handle_t *)&c->tcp, on_conn_closed);
    uv_close((uv_handle_t *)&c->idle, on_conn_closed);
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
    conn_flush(c);
    if (!c->closing && !c->writing && uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read))
        conn_close(c);
}

/* The socket is full: what is left of |out| goes when it can, and reading stops until then. */
static void write_later(struct conn *c)
{
    uv_buf_t rest = uv_buf_init(c->out.data, (unsigned)c->out.len);

    (void)uv_read_stop((uv_stream_t *)&c->tcp); /* always succeeds */
    c->write.data = c;
    c->writing = true;
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &rest, 1, on_written)) {
        c->writing = false;
        conn_close(c);
    }
}

static void conn_flush(struct conn *c)
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
            n = uv_try_write((uv_stream_t *)&c->tcp, &all, 1);
            vh__buf_consume(&c->out, n > 0 ? (size_t)n : 0);
            if (c->out.len)
                write_later(c); /* reports what made the write fail, if it was not a full socket */
        }
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct conn *c = stream->data;

    if (n == 0)
        return;
    if (n < 0) {
        conn_close(c);
        return;
    }
    (void)uv_timer_again(&c->idle); /* fails only on a timer that was never started */
    if (vh__grpc_server_recv(c->core, buf->base, (size_t)n, NULL))
        conn_close(c);
    else
        conn_flush(c);
}

static void on_idle(uv_timer_t *timer)
{
    conn_close(timer->data);
}

/* A connection whose handles are in the loop: from here on conn_close() is the way to end it. */
static struct conn *conn_new(vh__rpc_server *s)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->server = s;
    if (vh__grpc_server_new(&s->opts, &c->core, NULL)) {
        free(c);
        return NULL;
    }
    (void)uv_tcp_init(&s->loop, &c->tcp); /* neither allocates anything */
    (void)uv_timer_init(&s->loop, &c->idle);
    c->tcp.data = c->idle.data = c;
    c->handles = 2;
    LIST_INSERT_HEAD(&s->conns, c, link);
    s->nconns++;
    return c;
}

static void on_refused(uv_handle_t *handle)
{
    free(handle);
}

/* Takes the connection off the queue to close it: left there it would be offered again and again. */
static void refuse(vh__rpc_server *s)
{
    uv_tcp_t *tcp = calloc(1, sizeof(*tcp));

    if (!tcp)
        return;
    (void)uv_tcp_init(&s->loop, tcp);
    (void)uv_accept((uv_stream_t *)&s->listener, (uv_stream_t *)tcp); /* closed right here in any case */
    uv_close((uv_handle_t *)tcp, on_refused);
}

static void on_connection(uv_stream_t *listener, int status)
{
    vh__rpc_server *s = listener->data;
    struct conn *c = NULL;

    if (status)
        return; /* the peer is gone already, or descriptors ran out: libuv accepts again when it can */
    if (s->nconns < s->opts.max_connections)
        c = conn_new(s);
    if (!c) {
        refuse(s);
        return;
    }
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) ||
        uv_timer_start(&c->idle, on_idle, s->opts.idle_ms, s->opts.idle_ms) ||
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read)) {
        conn_close(c);
        return;
    }
    (void)uv_tcp_nodelay(&c->tcp, 1); /* slower without, but right */
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

static void on_grace_over(uv_timer_t *timer)
{
    close_all(timer->data);
}

static void on_stop(uv_async_t *stop)
{
    vh__rpc_server *s = stop->data;
    struct conn *c, *next;

    if (s->stopping)
        return;
    s->stopping = true;
    close_handle((uv_handle_t *)&s->listener);
    (void)uv_timer_start(&s->grace, on_grace_over, s->opts.grace_ms, 0); /* fails only without a callback */
    for (c = LIST_FIRST(&s->conns); c; c = next) {
        next = LIST_NEXT(c, link);
        if (vh__grpc_server_goaway(c->core, NULL))
            conn_close(c);
        else
            conn_flush(c);
    }
    if (s->nconns == 0)
        close_handle((uv_handle_t *)&s->grace);
}

static int bind_to(vh__rpc_server *s, const char *address)
{
    struct sockaddr_storage at;
    int rc = uv_ip6_addr(address, s->opts.port, (struct sockaddr_in6 *)&at);

    if (rc)
        rc = uv_ip4_addr(address, s->opts.port, (struct sockaddr_in *)&at);
    return rc ? rc : uv_tcp_bind(&s->listener, (const struct sockaddr *)&at, 0);
}

static int listen_on(vh__rpc_server *s, vh_error *err)
{
    const char *address = s->opts.address ? s->opts.address : "::";
    struct sockaddr_storage at;
    int len = sizeof(at);
    int rc = bind_to(s, address);

    if (rc == UV_EAFNOSUPPORT && !s->opts.address)
        rc = bind_to(s, "0.0.0.0");
    if (!rc)
        rc = uv_listen((uv_stream_t *)&s->listener, 128, on_connection);
    if (!rc)
        rc = uv_tcp_getsockname(&s->listener, (struct sockaddr *)&at, &len);
    if (rc == UV_EINVAL)
        return vh_error_set(err, VH_EINVALID, "gRPC server: %s is no numeric address", address);
    if (rc)
        return vh_error_set(err, rc, "gRPC server: listen on [%s]:%u", address, s->opts.port);
    s->port = ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port
                                             : ((struct sockaddr_in *)&at)->sin_port);
    return 0;
}

static void set_defaults(vh__rpc_server_options *o)
{
    if (!o->max_message)
        o->max_message = VH_RPC_MESSAGE_MAX;
    if (!o->max_streams)
        o->max_streams = 100;
    if (!o->max_connections)
        o->max_connections = 256;
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
    (void)uv_tcp_init(&s->loop, &s->listener); /* neither allocates anything */
    (void)uv_timer_init(&s->loop, &s->grace);
    s->listener.data = s->grace.data = s->stop.data = s;
    rc = uv_async_init(&s->loop, &s->stop, on_stop);
    if (rc)
        return vh_error_set(err, rc, "gRPC server: wake-up descriptor");
    uv_unref((uv_handle_t *)&s->stop); /* it stays open for vh__rpc_server_stop() until the server is freed */
    return 0;
}

int vh__rpc_server_new(const vh__rpc_server_options *opts, vh__rpc_server **server, vh_error *err)
{
    vh__rpc_server *s = calloc(1, sizeof(*s));
    int rc;

    if (!s)
        return vh_error_set(err, -ENOMEM, "gRPC server");
    s->opts = *opts;
    set_defaults(&s->opts);
    LIST_INIT(&s->conns);
    rc = open_loop(s, err);
    if (!rc)
        rc = listen_on(s, err);
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
    int rc = uv_run(&server->loop, UV_RUN_DEFAULT);

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
        close_all(server);
        uv_walk(&server->loop, close_walked, NULL);
        (void)uv_run(&server->loop, UV_RUN_DEFAULT); /* runs the close callbacks; nothing else is left */
        (void)uv_loop_close(&server->loop);          /* busy only with an open handle */
    }
    free(server);
}
