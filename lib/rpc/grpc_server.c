#include "grpc_server_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "clock.h"

/* Lets go of what came of the request's body. */
static void drop_request(vh__grpc_server *s, struct stream *st)
{
    s->received -= st->received;
    st->received = 0;
    vh__grpc_frames_fini(&st->in);
    vh__buf_fini(&st->request);
}

/* The owner hears of the end of a call it has not finished. */
static void tell_gone(vh__grpc_server *s, struct stream *st, int code)
{
    if (!st->told)
        return;
    st->told = false;
    s->events->gone(&st->pub, code);
}

static void stream_free(vh__grpc_server *s, struct stream *st)
{
    tell_gone(s, st, VH_ECANCELED);
    LIST_REMOVE(st, link);
    drop_request(s, st);
    vh__buf_fini(&st->path);
    vh__grpc_metadata_fini(&st->metadata);
    vh__buf_fini(&st->message);
    vh__buf_fini(&st->details);
    vh__h2_body_drop(&st->out);
    free(st);
}

/*
 * An answer has gone out to a request that is not whole, because it was refused: NO_ERROR asks the peer to keep the
 * rest. Not sooner: nghttp2 drops what it has for a stream once a reset of it is queued.
 */
static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct stream *st = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    (void)arg;
    if (!st || st->whole || frame->hd.type != NGHTTP2_HEADERS || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_NO_ERROR);
}

static const vh__rpc_method *find_method(const vh__rpc_server_options *opts, const char *path)
{
    for (size_t i = 0; i < opts->nmethods; i++) {
        if (strcmp(opts->methods[i].path, path) == 0)
            return &opts->methods[i];
    }
    return NULL;
}

static void run_handler(struct stream *st)
{
    const vh__rpc_method *m = st->pub.method;
    const vh__rpc_request request = { .path = m->path,
                                      .body = st->request.data,
                                      .len = st->request.len,
                                      .deadline_ns = st->pub.deadline_ns,
                                      .metadata = &st->metadata };
    vh__rpc_answer result = { 0 };
    vh__grpc_status status = m->handler(&request, &result, m->arg);

    if (status == VH_GRPC_OK) {
        vh__grpc_frame_append(&st->out.bytes, result.body.data, result.body.len);
        st->moved_ns = vh__clock_mono_ns();
        if (result.body.oom || st->out.bytes.oom)
            status = VH_GRPC_RESOURCE_EXHAUSTED;
    }
    if (status != VH_GRPC_OK)
        vh__grpc_refuse(st, status, result.message.data ? result.message.data : "");
    st->details = result.details;
    vh__buf_fini(&result.body);
    vh__buf_fini(&result.message);
}

/* The unary request is whole. */
static void dispatch(struct stream *st)
{
    if (!st->request.data || vh__grpc_frames_partial(&st->in))
        vh__grpc_refuse(st, VH_GRPC_INTERNAL, "the request ended before its message");
    else if (vh__clock_mono_ns() >= st->pub.deadline_ns)
        vh__grpc_refuse(st, VH_GRPC_DEADLINE_EXCEEDED, "the deadline passed before the request was whole");
    else
        run_handler(st);
}

/* Offers the call of a streaming method to the owner. */
static void begin_stream(vh__grpc_server *s, struct stream *st)
{
    vh_auto_buf vh__buf why = { 0 };
    vh__grpc_status status;

    st->expires_ns = st->pub.deadline_ns; /* however long the request takes to become whole */
    status = s->events->begin(&st->pub, s->arg, &why);
    st->told = status == VH_GRPC_OK;
    if (!st->told)
        vh__grpc_refuse(st, status, why.data ? why.data : "");
}

/* The header of a call is whole. */
static void begin_call(vh__grpc_server *s, struct stream *st)
{
    const char *path = st->path.data ? st->path.data : "";

    if (!st->post || !st->grpc || st->status != VH_GRPC_OK)
        return;
    st->pub.method = find_method(s->opts, path);
    st->pub.metadata = &st->metadata;
    if (st->path.oom || st->metadata.fields.oom) {
        vh__grpc_refuse(st, VH_GRPC_RESOURCE_EXHAUSTED, "out of memory");
    } else if (!st->pub.method) {
        vh__grpc_refuse(st, VH_GRPC_UNIMPLEMENTED, "no such method here: ");
        vh__buf_puts(&st->message, path);
    } else if (st->pub.method->stream) {
        begin_stream(s, st);
    }
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    vh__grpc_server *s = arg;
    struct stream *st;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    st = calloc(1, sizeof(*st));
    if (!st)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    st->id = frame->hd.stream_id;
    st->in.max = s->opts->max_message;
    st->pub.deadline_ns = INT64_MAX;
    st->expires_ns = vh__clock_mono_ns() + s->opts->idle_ms * VH_NS_PER_MS;
    LIST_INSERT_HEAD(&s->streams, st, link);
    return nghttp2_session_set_stream_user_data(session, st->id, st);
}

static void read_timeout(struct stream *st, const char *value, size_t n)
{
    int64_t ns;

    if (vh__grpc_timeout_parse(value, n, &ns))
        vh__grpc_refuse(st, VH_GRPC_INTERNAL, "grpc-timeout is not 1 to 8 digits and one of H, M, S, m, u, n");
    else if (__builtin_add_overflow(vh__clock_mono_ns(), ns, &st->pub.deadline_ns))
        st->pub.deadline_ns = INT64_MAX;
    st->expires_ns = VH_MIN(st->expires_ns, st->pub.deadline_ns);
}

static void read_field(struct stream *st, const uint8_t *name, size_t name_len, const char *value, size_t n)
{
    if (vh__h2_name_is(name, name_len, ":method"))
        st->post = strcmp(value, "POST") == 0;
    else if (vh__h2_name_is(name, name_len, ":path"))
        vh__buf_append(&st->path, value, n);
    else if (vh__h2_name_is(name, name_len, "content-type"))
        st->grpc = strncmp(value, "application/grpc", 16) == 0;
    else if (vh__h2_name_is(name, name_len, "grpc-timeout"))
        read_timeout(st, value, n);
    if (name_len && name[0] != ':')
        vh__grpc_metadata_add(&st->metadata, name, name_len, value, n);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t n, uint8_t flags, void *arg)
{
    struct stream *st = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    (void)flags;
    (void)arg;
    if (!st || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    st->header_bytes += name_len + n + 32;
    if (st->header_bytes > VH_H2_HEADER_LIST)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
    read_field(st, name, name_len, (const char *)value, n);
    return 0;
}

/* One whole message; a unary call has one. */
static int take_message(vh__grpc_server *s, struct stream *st, const void *message, size_t n, vh_error *err)
{
    if (st->told)
        return s->events->message(&st->pub, message, n, err);
    if (st->request.data)
        return vh_error_set(err, VH_EPROTOCOL, "a second message to a unary call");
    vh__buf_append(&st->request, message, n);
    return vh__buf_check(&st->request, "gRPC request", err);
}

static vh__grpc_status status_of(int code)
{
    switch (code) {
    case VH_EUNSUPPORTED:
        return VH_GRPC_UNIMPLEMENTED;
    case VH_ELIMIT:
    case -ENOMEM:
        return VH_GRPC_RESOURCE_EXHAUSTED;
    default:
        return VH_GRPC_INTERNAL;
    }
}

static int take_data(vh__grpc_server *s, struct stream *st, const void *bytes, size_t n, vh_error *err)
{
    const void *message;
    size_t len;
    int rc;

    st->held += n;
    st->received += n;
    s->received += n;
    if (s->received / 4 > s->opts->max_message)
        return vh_error_set(err, VH_ELIMIT, "the calls under way on this connection hold too much already");
    rc = vh__grpc_frames_feed(&st->in, bytes, n, err);
    while (!rc && (rc = vh__grpc_frames_next(&st->in, &message, &len, err)) > 0)
        rc = take_message(s, st, message, len, err);
    return rc;
}

/* New room for the caller, unless the owner of a streaming call holds messages. A code of nghttp2. */
static int release(vh__grpc_server *s, struct stream *st)
{
    size_t partial;

    if (st->pub.hold)
        return 0;
    if (st->told) {
        partial = vh__grpc_frames_left(&st->in);
        s->received -= st->received - partial;
        st->received = partial;
    }
    return vh__h2_release(s->session, st->id, &st->held);
}

/* Ends a call that cannot go on, of whatever kind. A code of nghttp2. */
static int break_off(vh__grpc_server *s, struct stream *st, vh__grpc_status status, const char *why)
{
    vh__grpc_refuse(st, status, why);
    drop_request(s, st); /* now: its place is another's, however long the answer takes to leave */
    tell_gone(s, st, status == VH_GRPC_DEADLINE_EXCEEDED ? VH_ETIMEDOUT : VH_ECANCELED);
    return vh__grpc_answer_now(s, st);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t n, void *arg)
{
    struct stream *st = nghttp2_session_get_stream_user_data(session, id);
    vh_error err = { 0 };
    int rc;

    (void)flags;
    rc = nghttp2_session_consume_connection(session, n);
    if (rc || !st || st->answered)
        return rc ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
    rc = take_data(arg, st, bytes, n, &err);
    rc = rc ? break_off(arg, st, status_of(rc), err.msg) : release(arg, st);
    return rc ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* The caller has said all. */
static int end_request(vh__grpc_server *s, struct stream *st)
{
    st->whole = true;
    if (!st->told) {
        dispatch(st);
        return vh__grpc_answer(s, st);
    }
    if (vh__grpc_frames_partial(&st->in))
        return break_off(s, st, VH_GRPC_INTERNAL, "the request ended inside a message");
    s->events->last(&st->pub);
    return 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct stream *st = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    bool headers = frame->hd.type == NGHTTP2_HEADERS, end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    vh__grpc_server *s = arg;
    int rc = 0;

    s->frames++;
    if (!st || (!headers && frame->hd.type != NGHTTP2_DATA))
        return 0;
    if (end)
        st->whole = true;
    if (headers && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        begin_call(s, st);
        if (st->status != VH_GRPC_OK || !st->post || !st->grpc)
            rc = vh__grpc_answer(s, st);
    }
    if (!rc && end && !st->answered)
        rc = end_request(s, st);
    return rc ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
    struct stream *st = nghttp2_session_get_stream_user_data(session, id);

    (void)code;
    if (st)
        stream_free(arg, st);
    return 0;
}

static int make_session(vh__grpc_server *s, vh_error *err)
{
    nghttp2_session_callbacks *cbs;
    int rc = nghttp2_session_callbacks_new(&cbs);

    if (rc)
        return vh__h2_error(rc, "HTTP/2 session", err);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cbs, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cbs, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cbs, on_frame_recv);
    nghttp2_session_callbacks_set_on_frame_send_callback(cbs, on_frame_send);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cbs, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cbs, on_stream_close);
    rc = vh__h2_session(true, cbs, s, s->opts->max_streams, &s->session, err);
    nghttp2_session_callbacks_del(cbs);
    return rc;
}

int vh__grpc_server_new(const vh__rpc_server_options *opts, const vh__grpc_stream_events *events, void *arg,
                        vh__grpc_server **server, vh_error *err)
{
    vh__grpc_server *s = calloc(1, sizeof(*s));
    int rc;

    if (!s)
        return vh_error_set(err, -ENOMEM, "gRPC connection");
    s->opts = opts;
    s->events = events;
    s->arg = arg;
    LIST_INIT(&s->streams);
    rc = make_session(s, err);
    if (rc) {
        vh__grpc_server_free(s);
        return rc;
    }
    *server = s;
    return 0;
}

void vh__grpc_server_free(vh__grpc_server *server)
{
    if (!server)
        return;
    nghttp2_session_del(server->session);
    while (!LIST_EMPTY(&server->streams))
        stream_free(server, LIST_FIRST(&server->streams));
    free(server);
}

int vh__grpc_server_recv(vh__grpc_server *server, const void *bytes, size_t n, vh_error *err)
{
    return vh__h2_recv(server->session, bytes, n, err);
}

int vh__grpc_server_output(vh__grpc_server *server, vh__buf *out, vh_error *err)
{
    return vh__h2_output(server->session, out, err);
}

bool vh__grpc_server_alive(const vh__grpc_server *server)
{
    return vh__h2_alive(server->session);
}

bool vh__grpc_server_busy(const vh__grpc_server *server)
{
    return !LIST_EMPTY(&server->streams);
}

uint64_t vh__grpc_server_frames(const vh__grpc_server *server)
{
    return server->frames;
}

int vh__grpc_server_ping(vh__grpc_server *server, vh_error *err)
{
    int rc = nghttp2_submit_ping(server->session, NGHTTP2_FLAG_NONE, NULL);

    return rc ? vh__h2_error(rc, "HTTP/2 PING", err) : 0;
}

int vh__grpc_server_goaway(vh__grpc_server *server, vh_error *err)
{
    int32_t last = nghttp2_session_get_last_proc_stream_id(server->session);
    int rc = nghttp2_submit_goaway(server->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0);

    return rc ? vh__h2_error(rc, "HTTP/2 GOAWAY", err) : 0;
}

static const char late[] = "the deadline passed";

/* When patience with |st| ends: with the call, or with a caller that takes nothing of its answer. */
static int64_t due_of(const vh__grpc_server *s, const struct stream *st)
{
    int64_t stalled = INT64_MAX;

    if (vh__h2_body_left(&st->out))
        stalled = st->moved_ns + s->opts->idle_ms * VH_NS_PER_MS;
    return st->answered ? stalled : VH_MIN(stalled, st->expires_ns);
}

int64_t vh__grpc_server_due(const vh__grpc_server *server)
{
    const struct stream *st;
    int64_t due = INT64_MAX;

    LIST_FOREACH(st, &server->streams, link)
        due = VH_MIN(due, due_of(server, st));
    return due;
}

/* A code of nghttp2. */
static int expire(vh__grpc_server *s, struct stream *st, int64_t now_ns)
{
    if (!st->answered && st->expires_ns <= now_ns)
        return break_off(s, st, VH_GRPC_DEADLINE_EXCEEDED,
                         st->pub.deadline_ns <= now_ns ? late : "the request took too long to come");
    st->answered = true;
    vh__h2_body_drop(&st->out);
    tell_gone(s, st, VH_ECANCELED);
    return nghttp2_submit_rst_stream(s->session, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_CANCEL);
}

int vh__grpc_server_expire(vh__grpc_server *server, int64_t now_ns, vh_error *err)
{
    struct stream *st;
    int rc = 0;

    LIST_FOREACH(st, &server->streams, link) { /* streams leave the list only as bytes come and go */
        if (!rc && due_of(server, st) <= now_ns)
            rc = expire(server, st, now_ns);
    }
    return rc ? vh__h2_error(rc, "gRPC deadline", err) : 0;
}

int vh__grpc_server_cut(vh__grpc_server *server, bool watches, vh__grpc_status status, const char *why, vh_error *err)
{
    struct stream *st;
    int rc = 0;

    LIST_FOREACH(st, &server->streams, link) {
        if (!rc && st->told && (!watches || st->pub.method->watch))
            rc = break_off(server, st, status, why);
    }
    return rc ? vh__h2_error(rc, "gRPC answer", err) : 0;
}

int vh__grpc_stream_send(vh__grpc_server *server, vh__grpc_stream *stream, vh__buf *framed, vh_error *err)
{
    struct stream *st = (struct stream *)stream;
    int rc;

    if (vh__h2_body_left(&st->out) == 0)
        st->moved_ns = vh__clock_mono_ns();
    vh__h2_body_add(&st->out, framed);
    rc = vh__buf_check(&st->out.bytes, "gRPC answer", err);
    if (rc)
        return rc;
    rc = vh__grpc_answer_more(server, st);
    return rc ? vh__h2_error(rc, "gRPC answer", err) : 0;
}

size_t vh__grpc_stream_unsent(const vh__grpc_stream *stream)
{
    return vh__h2_body_left(&((const struct stream *)stream)->out);
}

int vh__grpc_stream_more(vh__grpc_server *server, vh__grpc_stream *stream, vh_error *err)
{
    int rc;

    stream->hold = false;
    rc = release(server, (struct stream *)stream);
    return rc ? vh__h2_error(rc, "HTTP/2 window", err) : 0;
}

int vh__grpc_stream_finish(vh__grpc_server *server, vh__grpc_stream *stream, vh__grpc_status status,
                           const vh__rpc_answer *answer, vh_error *err)
{
    struct stream *st = (struct stream *)stream;
    int rc;

    st->told = false;
    if (vh__clock_mono_ns() >= stream->deadline_ns) { /* the handler saw it first */
        rc = break_off(server, st, VH_GRPC_DEADLINE_EXCEEDED, late);
    } else {
        st->status = status;
        vh__buf_append(&st->message, answer->message.data, answer->message.len);
        vh__buf_append(&st->details, answer->details.data, answer->details.len);
        drop_request(server, st);
        rc = vh__grpc_answer(server, st);
    }
    return rc ? vh__h2_error(rc, "gRPC answer", err) : 0;
}
