#include "rpc_stream_priv.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "auto.h"
#include "clock.h"
#include "grpc_frame.h"
#include "thread.h"

/* Bytes that a handler may be ahead of what the loop has given to the connection, give or take a message. */
#define AHEAD 65536

static void signal_fd(int fd)
{
    const uint64_t one = 1;

    vh_ignore(write(fd, &one, sizeof(one)) < 0); /* EAGAIN only: it is readable already */
}

static void stream_free(vh__rpc_stream *s)
{
    vh__fd_close(&s->in_fd);
    vh__fd_close(&s->out_fd);
    vh_cancel_free(s->cancel);
    vh__grpc_metadata_fini(&s->metadata);
    vh__grpc_queue_fini(&s->in);
    vh__buf_fini(&s->out);
    vh__buf_fini(&s->answer.body);
    vh__buf_fini(&s->answer.message);
    vh__buf_fini(&s->answer.details);
    (void)pthread_mutex_destroy(&s->lock); /* fails only while it is held */
    free(s);
}

static vh__rpc_stream *stream_alloc(vh_error *err)
{
    vh__rpc_stream *s = calloc(1, sizeof(*s));

    if (!s) {
        (void)vh_error_set(err, -ENOMEM, "gRPC call");
        return NULL;
    }
    (void)pthread_mutex_init(&s->lock, NULL); /* cannot fail without attributes */
    s->in_fd = s->out_fd = -1;
    return s;
}

static int stream_fill(vh__rpc_stream *s, const vh__grpc_stream *core, vh_error *err)
{
    int rc = vh_cancel_new(&s->cancel, err);

    if (rc)
        return rc;
    s->in_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->out_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->in_fd < 0 || s->out_fd < 0)
        return vh_error_set(err, -errno, "gRPC call: eventfd");
    vh__buf_append(&s->metadata.fields, core->metadata->fields.data, core->metadata->fields.len);
    return vh__buf_check(&s->metadata.fields, "gRPC call", err);
}

static void *run_handler(void *arg)
{
    vh__rpc_stream *s = arg;
    vh__rpc_answer answer = { 0 };
    vh__grpc_status status;
    uv_async_t *loop = s->loop;

    status = s->method->stream(s, &answer, s->method->arg);
    (void)pthread_mutex_lock(&s->lock);
    s->answer = answer;
    s->status = status;
    s->finished = true;
    (void)pthread_mutex_unlock(&s->lock);
    (void)uv_async_send(loop); /* fails only on a handle that is no async */
    return NULL;
}

int vh__rpc_stream_start(vh__grpc_server *server, vh__grpc_stream *core, uv_async_t *loop, void *conn,
                         vh__rpc_stream **stream, vh_error *err)
{
    vh__rpc_stream *s = stream_alloc(err);
    int rc;

    if (!s)
        return -ENOMEM;
    s->method = core->method;
    s->deadline_ns = core->deadline_ns;
    s->server = server;
    s->core = core;
    s->loop = loop;
    s->conn = conn;
    core->user = s;
    rc = stream_fill(s, core, err);
    if (!rc)
        rc = vh__thread_start(&s->thread, "vh-call", run_handler, s, err);
    if (rc)
        stream_free(s);
    else
        *stream = s;
    return rc;
}

int vh__rpc_stream_on_message(vh__grpc_stream *core, const void *bytes, size_t n, vh_error *err)
{
    vh__rpc_stream *s = core->user;
    int rc;

    (void)pthread_mutex_lock(&s->lock);
    rc = vh__grpc_queue_push(&s->in, bytes, n, err);
    (void)pthread_mutex_unlock(&s->lock);
    core->hold = true;
    signal_fd(s->in_fd);
    return rc;
}

void vh__rpc_stream_on_last(vh__grpc_stream *core)
{
    vh__rpc_stream *s = core->user;

    (void)pthread_mutex_lock(&s->lock);
    s->last = true;
    (void)pthread_mutex_unlock(&s->lock);
    signal_fd(s->in_fd);
}

/* Gives what the handler sent to the core. Two buffers change places, so that nothing is copied. */
static int pass_on(vh__rpc_stream *s)
{
    vh_auto_buf vh__buf out = { 0 };

    (void)pthread_mutex_lock(&s->lock);
    if (s->out.len) {
        out = s->out;
        s->out = (vh__buf){ 0 };
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (out.len == 0)
        return 0;
    signal_fd(s->out_fd);
    return vh__grpc_stream_send(s->server, s->core, &out, NULL);
}

void vh__rpc_stream_on_drained(vh__grpc_stream *core)
{
    /* Without memory nothing goes on here: the sync that follows the handler's next step reports it again. */
    vh_ignore(pass_on(core->user));
}

void vh__rpc_stream_on_gone(vh__grpc_stream *core, int code)
{
    vh__rpc_stream *s = core->user;

    s->core = NULL;
    s->server = NULL;
    s->conn = NULL;
    (void)pthread_mutex_lock(&s->lock);
    s->gone = code;
    (void)pthread_mutex_unlock(&s->lock);
    signal_fd(s->in_fd);
    signal_fd(s->out_fd);
    vh_cancel_trigger(s->cancel);
}

bool vh__rpc_stream_sync(vh__rpc_stream *s, int *rc)
{
    bool finished, starved;

    (void)pthread_mutex_lock(&s->lock);
    finished = s->finished;
    starved = vh__grpc_queue_empty(&s->in);
    (void)pthread_mutex_unlock(&s->lock);
    *rc = 0;
    if (s->core && (finished || vh__grpc_stream_unsent(s->core) == 0))
        *rc = pass_on(s);
    if (!*rc && s->core && s->core->hold && starved)
        *rc = vh__grpc_stream_more(s->server, s->core, NULL);
    if (!finished)
        return false;
    (void)pthread_join(s->thread, NULL); /* it has nothing left to do but to end */
    if (s->core && vh__grpc_stream_finish(s->server, s->core, s->status, &s->answer, NULL))
        *rc = -ENOMEM; /* nothing else makes it fail */
    LIST_REMOVE(s, link);
    stream_free(s);
    return true;
}

/* Waits for the loop's word on |fd|, within the bounds of the call and |w|. */
static int wait_for(vh__rpc_stream *s, int fd, const vh__wait *w, vh_error *err)
{
    const vh__wait both = { .deadline_ns = w ? VH_MIN(w->deadline_ns, s->deadline_ns) : s->deadline_ns,
                            .cancel = w ? w->cancel : NULL };
    uint64_t drop;
    int rc = vh__wait_fd(&both, fd, POLLIN, s->method->path, err);

    if (!rc)
        vh_ignore(read(fd, &drop, sizeof(drop)) < 0); /* EAGAIN at worst: the caller looks again anyway */
    return rc;
}

static int gone_error(const vh__rpc_stream *s, int code, vh_error *err)
{
    return vh_error_set(err, code, "%s: %s", s->method->path,
                        code == VH_ETIMEDOUT ? "the caller's deadline has passed" : "the caller has gone");
}

int vh__rpc_stream_recv(vh__rpc_stream *s, vh__buf *message, const vh__wait *w, vh_error *err)
{
    for (;;) {
        bool starved, last;
        int rc;

        (void)pthread_mutex_lock(&s->lock);
        rc = s->gone ? gone_error(s, s->gone, err) : vh__grpc_queue_pop(&s->in, message, err);
        starved = vh__grpc_queue_empty(&s->in);
        last = s->last;
        (void)pthread_mutex_unlock(&s->lock);
        if (rc == 1 && starved)
            (void)uv_async_send(s->loop); /* the caller gets new room; fails only on a handle that is no async */
        if (rc || last)
            return rc;
        rc = wait_for(s, s->in_fd, w, err);
        if (rc)
            return rc;
    }
}

/* 1: the message is left for the loop; 0: there is no room yet. */
static int leave_message(vh__rpc_stream *s, const void *message, size_t n, vh_error *err)
{
    int rc = 0;

    (void)pthread_mutex_lock(&s->lock);
    if (s->gone) {
        rc = gone_error(s, s->gone, err);
    } else if (s->out.len < AHEAD) {
        if (vh__buf_reserve(&s->out, VH_GRPC_PREFIX + n)) {
            vh__grpc_frame_append(&s->out, message, n);
            rc = 1;
        } else {
            s->out.oom = false; /* nothing of it was added: what is there goes out */
            rc = vh_error_set(err, -ENOMEM, "gRPC message of %zu bytes", n);
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    return rc;
}

int vh__rpc_stream_send(vh__rpc_stream *s, const void *message, size_t n, vh_error *err)
{
    if (n > UINT32_MAX)
        return vh_error_set(err, VH_ELIMIT, "gRPC message of %zu bytes: at most %u can be sent", n, UINT32_MAX);
    for (;;) {
        int rc = leave_message(s, message, n, err);

        if (rc == 1)
            (void)uv_async_send(s->loop); /* fails only on a handle that is no async */
        else if (rc == 0)
            rc = wait_for(s, s->out_fd, NULL, err);
        if (rc)
            return rc < 0 ? rc : 0;
    }
}

const vh_call *vh__rpc_stream_call(vh__rpc_stream *s)
{
    const vh__wait w = { .deadline_ns = s->deadline_ns };
    int left = vh__wait_left_ms(&w);

    s->call = (vh_call)VH_CALL_INIT;
    s->call.cancel = s->cancel;
    if (s->deadline_ns != INT64_MAX)
        s->call.timeout_ms = left > 0 ? (uint32_t)left : 1;
    return &s->call;
}

const char *vh__rpc_stream_metadata(const vh__rpc_stream *s, const char *name)
{
    return vh__grpc_metadata_get(&s->metadata, name);
}

int vh__rpc_stream_fd(const vh__rpc_stream *s)
{
    return s->in_fd;
}

bool vh__rpc_stream_ready(vh__rpc_stream *s)
{
    bool ready;
    uint64_t drop;

    vh_ignore(read(s->in_fd, &drop, sizeof(drop)) < 0); /* EAGAIN: nothing came since; before the look, or it is lost */
    (void)pthread_mutex_lock(&s->lock);
    ready = s->gone || s->last || !vh__grpc_queue_empty(&s->in);
    (void)pthread_mutex_unlock(&s->lock);
    return ready;
}
