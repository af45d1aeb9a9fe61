#include "rpc_proxy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "auto.h"
#include "h2.h"
#include "sigpipe.h"
#include "socket.h"

/* How often the backend is tried while calls wait for it. A connect() that fails costs microseconds. */
#define RETRY_MS 20
/* How often deadlines are looked at. */
#define TICK_MS 1000

/* One connection: to a client, or, with |front|, to the backend for that client. */
struct link {
    LIST_ENTRY(link) entry; /* of the proxy's fronts, or of its front's backs */
    STAILQ_ENTRY(link) woken;
    vh__rpc_proxy *proxy;
    vh__grpc_end *end;
    uv_pipe_t pipe;
    uv_write_t write;
    vh__buf out; /* on its way to the socket */
    bool awake, writing, closing, connected;
    struct link *front;
    LIST_HEAD(, link) backs;
    uint64_t since_ms; /* front: when a call was last under way; back: since when it waits, 0 until it was tried */
};

struct vh__rpc_proxy {
    vh__rpc_proxy_options opts;
    struct sockaddr_un backend;
    vh__grpc_proxy *core;
    uv_loop_t loop;
    uv_pipe_t listener;
    vh__socket_refusal refusal;
    uv_timer_t tick, retry, grace;
    uv_prepare_t flush;
    uv_async_t stop;
    bool have_loop, stopping;
    LIST_HEAD(, link) fronts;
    STAILQ_HEAD(, link) woken;
    uint32_t nfronts;
    char in[65536]; /* one read at a time, on one thread */
};

static void on_wake(vh__grpc_end *end, void *arg)
{
    vh__rpc_proxy *p = arg;
    struct link *l = vh__grpc_end_user(end);

    if (!l || l->awake || l->closing)
        return;
    l->awake = true;
    STAILQ_INSERT_TAIL(&p->woken, l, woken);
}

static void on_closed(uv_handle_t *handle)
{
    struct link *l = handle->data;

    vh__buf_fini(&l->out);
    free(l);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void all_gone(vh__rpc_proxy *p)
{
    (void)uv_timer_stop(&p->tick); /* always succeeds */
    if (!p->stopping)
        return;
    close_handle((uv_handle_t *)&p->tick);
    close_handle((uv_handle_t *)&p->retry);
    close_handle((uv_handle_t *)&p->grace);
}

/* |why| is what calls are answered that a lost backend leaves behind. */
static void link_close(struct link *l, const char *why)
{
    vh__rpc_proxy *p = l->proxy;
    struct link *back;

    if (l->closing)
        return;
    l->closing = true;
    if (l->awake)
        STAILQ_REMOVE(&p->woken, l, link, woken);
    LIST_REMOVE(l, entry);
    vh__grpc_end_free(l->end, why);
    l->end = NULL;
    while ((back = LIST_FIRST(&l->backs)) != NULL)
        link_close(back, why);
    uv_close((uv_handle_t *)&l->pipe, on_closed);
    if (!l->front && --p->nfronts == 0)
        all_gone(p);
}

/* A backend's connection has ended; how, says the core's error if there is one. */
static void link_lost(struct link *l, const char *how)
{
    vh_error err = { 0 };

    (void)vh_error_set(&err, VH_EREMOTE, "%s: %s", l->proxy->backend.sun_path, how);
    link_close(l, err.msg);
}

static void on_written(uv_write_t *write, int status)
{
    struct link *l = write->data;

    l->writing = false;
    vh__buf_clear(&l->out);
    if (l->closing)
        return;
    if (status)
        link_lost(l, "the connection was lost while the call was under way");
    else
        on_wake(l->end, l->proxy);
}

/* The socket is full: what is left of |out| goes when it can. */
static void write_later(struct link *l)
{
    uv_buf_t rest = uv_buf_init(l->out.data, (unsigned)l->out.len);

    l->write.data = l;
    l->writing = true;
    if (uv_write(&l->write, (uv_stream_t *)&l->pipe, &rest, 1, on_written) == 0)
        return;
    l->writing = false;
    link_lost(l, "the connection was lost while the call was under way");
}

static void send_out(struct link *l)
{
    uv_buf_t all = uv_buf_init(l->out.data, (unsigned)l->out.len);
    int n = uv_try_write((uv_stream_t *)&l->pipe, &all, 1);

    if (n == (int)l->out.len) {
        vh__buf_clear(&l->out);
        return;
    }
    vh__buf_consume(&l->out, n > 0 ? (size_t)n : 0);
    write_later(l); /* reports what made the write fail, if it was not a full socket */
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct link *l = handle->data;

    (void)hint;
    *buf = uv_buf_init(l->proxy->in, sizeof(l->proxy->in));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct link *l = stream->data;

    if (n == 0)
        return;
    if (n < 0)
        link_lost(l, "the connection was lost while the call was under way");
    else if (vh__grpc_end_recv(l->end, buf->base, (size_t)n, NULL))
        link_lost(l, "the peer does not speak HTTP/2");
    else if (vh__grpc_end_calls(l->end))
        l->since_ms = uv_now(&l->proxy->loop);
}

static struct link *link_new(vh__rpc_proxy *p)
{
    struct link *l = calloc(1, sizeof(*l));

    if (!l)
        return NULL;
    l->proxy = p;
    LIST_INIT(&l->backs);
    (void)uv_pipe_init(&p->loop, &l->pipe, 0); /* allocates nothing */
    l->pipe.data = l;
    return l;
}

/* A descriptor that is connected to the backend, or -errno: a Unix socket does not let one wait. */
static int dial(const vh__rpc_proxy *p)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int rc;

    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&p->backend, sizeof(p->backend)) == 0)
        return fd;
    rc = -errno;
    (void)close(fd); /* the first error is the one to tell */
    return rc;
}

static void back_connect(struct link *l)
{
    vh__rpc_proxy *p = l->proxy;
    int fd = dial(p);
    vh_error err = { 0 };

    if (fd >= 0 && uv_pipe_open(&l->pipe, fd) == 0) {
        l->connected = true;
        if (uv_read_start((uv_stream_t *)&l->pipe, on_alloc, on_read))
            link_lost(l, "the connection had to be given up");
        else
            on_wake(l->end, p);
    } else if (fd >= 0) {
        (void)close(fd); /* nothing was sent */
        link_lost(l, "the connection had to be given up");
    } else if (uv_now(&p->loop) - l->since_ms >= p->opts.connect_ms) {
        (void)vh_error_set(&err, fd, "%s: no connection within %u ms", p->backend.sun_path, p->opts.connect_ms);
        link_close(l, err.msg);
    }
}

static void on_retry(uv_timer_t *retry)
{
    vh__rpc_proxy *p = retry->data;
    struct link *f, *b, *next;
    bool waiting = false;

    LIST_FOREACH(f, &p->fronts, entry) {
        for (b = LIST_FIRST(&f->backs); b; b = next) {
            next = LIST_NEXT(b, entry);
            if (!b->connected)
                back_connect(b);
        }
        LIST_FOREACH(b, &f->backs, entry)
            waiting |= !b->connected;
    }
    if (!waiting)
        (void)uv_timer_stop(retry); /* always succeeds */
}

/* A back is connected here and not where the core asks for it, because a failure takes its end away. */
static void first_try(struct link *l)
{
    vh__rpc_proxy *p = l->proxy;

    l->since_ms = uv_now(&p->loop);
    back_connect(l);
    if (!l->connected && !l->closing)
        (void)uv_timer_start(&p->retry, on_retry, RETRY_MS, RETRY_MS); /* fails only without a callback */
}

/*
 * Everything that one turn of the loop has left for a connection goes out in one write. Reading goes on while a
 * write waits: windows bound what data can come, and the two ends of a connection may both wait for room otherwise.
 */
static void link_flush(struct link *l)
{
    if (!l->connected && l->since_ms == 0)
        first_try(l);
    while (l->connected && !l->writing && !l->closing) {
        if (vh__grpc_end_output(l->end, &l->out, NULL)) {
            link_lost(l, "the connection had to be given up");
            return;
        }
        if (l->out.len == 0) {
            if (!vh__grpc_end_alive(l->end))
                link_lost(l, "the connection ended, or does not speak HTTP/2");
            return;
        }
        send_out(l);
    }
}

static void on_flush(uv_prepare_t *flush)
{
    vh__rpc_proxy *p = flush->data;
    struct link *l;

    while ((l = STAILQ_FIRST(&p->woken)) != NULL) {
        STAILQ_REMOVE_HEAD(&p->woken, woken);
        l->awake = false;
        link_flush(l);
    }
}

static void *on_connect(vh__grpc_end *end, vh__grpc_end *front, void *arg)
{
    vh__rpc_proxy *p = arg;
    struct link *l = link_new(p);

    if (!l)
        return NULL;
    l->front = vh__grpc_end_user(front);
    l->end = end;
    LIST_INSERT_HEAD(&l->front->backs, l, entry);
    return l;
}

static void front_free(struct link *l)
{
    uv_close((uv_handle_t *)&l->pipe, on_closed);
}

/* Makes room for a client: the one without calls that has been so longest goes. */
static bool make_room(vh__rpc_proxy *p)
{
    struct link *l, *oldest = NULL;

    if (p->nfronts < p->opts.max_connections)
        return true;
    LIST_FOREACH(l, &p->fronts, entry) {
        if (vh__grpc_end_calls(l->end) == 0 && (!oldest || l->since_ms < oldest->since_ms))
            oldest = l;
    }
    if (oldest)
        link_close(oldest, "");
    return oldest != NULL;
}

static void on_tick(uv_timer_t *tick)
{
    vh__rpc_proxy *p = tick->data;
    struct link *l;

    LIST_FOREACH(l, &p->fronts, entry)
        vh__grpc_front_expire(l->end, vh__clock_mono_ns());
}

static void on_connection(uv_stream_t *listener, int status)
{
    vh__rpc_proxy *p = listener->data;
    struct link *l;

    if (status)
        return; /* the peer is gone already, or descriptors ran out: libuv accepts again when it can */
    l = make_room(p) ? link_new(p) : NULL;
    if (!l) {
        vh__socket_refuse(&p->refusal, listener);
        return;
    }
    if (uv_accept(listener, (uv_stream_t *)&l->pipe) || vh__grpc_front_new(p->core, l, &l->end, NULL)) {
        front_free(l);
        return;
    }
    LIST_INSERT_HEAD(&p->fronts, l, entry);
    if (p->nfronts++ == 0)
        (void)uv_timer_start(&p->tick, on_tick, TICK_MS, TICK_MS); /* fails only without a callback */
    l->since_ms = uv_now(&p->loop);
    l->connected = true;
    on_wake(l->end, p);
    if (uv_read_start((uv_stream_t *)&l->pipe, on_alloc, on_read))
        link_close(l, "");
}

static void close_fronts(vh__rpc_proxy *p)
{
    struct link *l;

    while ((l = LIST_FIRST(&p->fronts)) != NULL)
        link_close(l, "");
}

static void on_grace_over(uv_timer_t *grace)
{
    close_fronts(grace->data);
}

static void on_stop(uv_async_t *stop)
{
    vh__rpc_proxy *p = stop->data;
    struct link *l, *next;

    if (p->stopping)
        return;
    p->stopping = true;
    close_handle((uv_handle_t *)&p->listener);
    (void)uv_timer_start(&p->grace, on_grace_over, p->opts.grace_ms, 0); /* fails only without a callback */
    for (l = LIST_FIRST(&p->fronts); l; l = next) {
        next = LIST_NEXT(l, entry);
        if (vh__grpc_front_goaway(l->end, NULL))
            link_close(l, "");
    }
    if (p->nfronts == 0)
        all_gone(p);
}

static void on_call(const vh__grpc_proxied *ended, void *arg)
{
    vh__rpc_proxy *p = arg;

    p->opts.call(ended, p->opts.arg);
}

static void set_defaults(vh__rpc_proxy_options *o)
{
    if (!o->max_message)
        o->max_message = 16u << 20;
    if (!o->max_streams)
        o->max_streams = 1000;
    if (!o->max_connections)
        o->max_connections = 256;
    if (!o->connect_ms)
        o->connect_ms = 2000;
    if (!o->grace_ms)
        o->grace_ms = 5000;
}

/* None of these allocates anything; the ones that only serve others do not keep the loop alive. */
static void init_handles(vh__rpc_proxy *p)
{
    (void)uv_pipe_init(&p->loop, &p->listener, 0);
    (void)uv_timer_init(&p->loop, &p->tick);
    (void)uv_timer_init(&p->loop, &p->retry);
    (void)uv_timer_init(&p->loop, &p->grace);
    (void)uv_prepare_init(&p->loop, &p->flush);
    p->listener.data = p->tick.data = p->retry.data = p->grace.data = p->flush.data = p->stop.data = p;
    (void)uv_prepare_start(&p->flush, on_flush);
    uv_unref((uv_handle_t *)&p->flush);
}

static int open_loop(vh__rpc_proxy *p, int *listen_fd, vh_error *err)
{
    int rc = uv_loop_init(&p->loop);

    if (rc)
        return vh_error_set(err, rc, "gRPC proxy: event loop");
    p->have_loop = true;
    init_handles(p);
    rc = uv_async_init(&p->loop, &p->stop, on_stop);
    if (rc)
        return vh_error_set(err, rc, "gRPC proxy: wake-up descriptor");
    uv_unref((uv_handle_t *)&p->stop); /* it stays open for vh__rpc_proxy_stop() until the proxy is freed */
    rc = uv_pipe_open(&p->listener, *listen_fd);
    if (rc)
        return vh_error_set(err, rc, "gRPC proxy: listening socket");
    *listen_fd = -1; /* the handle's from now on */
    rc = uv_listen((uv_stream_t *)&p->listener, 512, on_connection);
    return rc ? vh_error_set(err, rc, "gRPC proxy: listen") : 0;
}

static int prepare(vh__rpc_proxy *p, int *listen_fd, vh_error *err)
{
    const vh__grpc_proxy_owner owner = {
        .connect = on_connect, .wake = on_wake, .call = p->opts.call ? on_call : NULL, .arg = p
    };
    size_t n = strlen(p->opts.backend);
    int rc;

    if (n >= sizeof(p->backend.sun_path))
        return vh_error_set(err, VH_EINVALID, "backend's socket %s: must have less than %zu bytes", p->opts.backend,
                            sizeof(p->backend.sun_path));
    p->backend.sun_family = AF_UNIX;
    memcpy(p->backend.sun_path, p->opts.backend, n);
    rc = vh__grpc_proxy_new(&owner, p->opts.max_message, p->opts.max_streams, &p->core, err);
    return rc ? rc : open_loop(p, listen_fd, err);
}

int vh__rpc_proxy_new(const vh__rpc_proxy_options *opts, vh__rpc_proxy **proxy, vh_error *err)
{
    vh__rpc_proxy *p = calloc(1, sizeof(*p));
    vh_auto_fd int listen_fd = opts->listen_fd;
    int rc;

    if (!p)
        return vh_error_set(err, -ENOMEM, "gRPC proxy");
    p->opts = *opts;
    set_defaults(&p->opts);
    LIST_INIT(&p->fronts);
    STAILQ_INIT(&p->woken);
    rc = prepare(p, &listen_fd, err);
    if (rc) {
        vh__rpc_proxy_free(p);
        return rc;
    }
    *proxy = p;
    return 0;
}

int vh__rpc_proxy_run(vh__rpc_proxy *proxy, vh_error *err)
{
    sigset_t signals;
    int rc;

    vh__sigpipe_block(&signals);
    rc = uv_run(&proxy->loop, UV_RUN_DEFAULT);
    vh__sigpipe_restore(&signals);
    return rc < 0 ? vh_error_set(err, rc, "gRPC proxy: event loop") : 0;
}

void vh__rpc_proxy_stop(vh__rpc_proxy *proxy)
{
    (void)uv_async_send(&proxy->stop); /* fails only on a handle that is no async */
}

static void close_walked(uv_handle_t *handle, void *arg)
{
    (void)arg;
    close_handle(handle);
}

void vh__rpc_proxy_free(vh__rpc_proxy *proxy)
{
    if (!proxy)
        return;
    if (proxy->have_loop) {
        close_fronts(proxy);
        uv_walk(&proxy->loop, close_walked, NULL);
        (void)uv_run(&proxy->loop, UV_RUN_DEFAULT); /* runs the close callbacks; nothing else is left */
        (void)uv_loop_close(&proxy->loop);          /* busy only with an open handle */
    }
    vh__grpc_proxy_free(proxy->core);
    free(proxy);
}
