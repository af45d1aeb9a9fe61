#include "grpc_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "auto.h"
#include "clock.h"
#include "grpc_frame.h"
#include "h2.h"

/* One call. |status| other than OK before the request is whole means that it is refused already. */
struct stream {
    LIST_ENTRY(stream) link;
    int32_t id;
    vh__buf path;
    bool post, grpc, whole, answered;
    size_t header_bytes, received;
    int64_t deadline_ns;
    vh__grpc_frames in;
    vh__buf request;
    vh__grpc_status status;
    vh__buf message;
    vh__h2_body out;
};

struct vh__grpc_server {
    nghttp2_session *session;
    const vh__rpc_server_options *opts;
    LIST_HEAD(, stream) streams;
    size_t received; /* bytes of requests that its streams hold */
};

/* Lets go of what came of the request's body. */
static void drop_request(vh__grpc_server *s, struct stream *st)
{
    s->received -= st->received;
    st->received = 0;
    vh__grpc_frames_fini(&st->in);
    vh__buf_fini(&st->request);
}

static void stream_free(vh__grpc_server *s, struct stream *st)
{
    LIST_REMOVE(st, link);
    drop_request(s, st);
    vh__buf_fini(&st->path);
    vh__buf_fini(&st->message);
    vh__buf_fini(&st->out.bytes);
    free(st);
}

static void refuse(struct stream *st, vh__grpc_status status, const char *why)
{
    if (st->status != VH_GRPC_OK)
        return;
    st->status = status;
    vh__buf_clear(&st->message);
    vh__buf_puts(&st->message, why);
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t cap, uint32_t *flags,
                         nghttp2_data_source *source, void *arg)
{
    const nghttp2_nv ok = vh__h2_field("grpc-status", "0", 1);
    ssize_t n = vh__h2_body_read(source->ptr, to, cap, flags);

    (void)arg;
    if (*flags & NGHTTP2_DATA_FLAG_EOF) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM; /* the trailers end it */
        if (nghttp2_submit_trailer(session, id, &ok, 1))
            return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    return n;
}

static int submit_reply(vh__grpc_server *s, struct stream *st)
{
    const nghttp2_nv fields[] = {
        vh__h2_field(":status", "200", 3),
        vh__h2_field("content-type", "application/grpc", 16),
    };
    nghttp2_data_provider body = { .source.ptr = &st->out, .read_callback = read_body };

    st->out.last = true;
    return nghttp2_submit_response(s->session, st->id, fields, VH_ARRAY_LEN(fields), &body);
}

/* Headers alone, which are the trailers at once. */
static int submit_status(vh__grpc_server *s, struct stream *st)
{
    char code[12];
    vh_auto_buf vh__buf message = { 0 };

    (void)snprintf(code, sizeof(code), "%d", st->status);
    vh__grpc_message_encode(st->message.data ? st->message.data : "", st->message.len, &message);
    if (message.oom)
        return NGHTTP2_ERR_NOMEM;
    const nghttp2_nv fields[] = {
        vh__h2_field(":status", "200", 3),
        vh__h2_field("content-type", "application/grpc", 16),
        vh__h2_field("grpc-status", code, strlen(code)),
        vh__h2_field("grpc-message", message.data ? message.data : "", message.len),
    };

    return nghttp2_submit_response(s->session, st->id, fields, VH_ARRAY_LEN(fields), NULL);
}

/* A web browser or a probe came by: the answer is HTTP's. */
static int submit_http(vh__grpc_server *s, struct stream *st)
{
    const char *code = st->post ? "415" : "405";
    const nghttp2_nv status = vh__h2_field(":status", code, 3);

    return nghttp2_submit_response(s->session, st->id, &status, 1, NULL);
}

static int answer(vh__grpc_server *s, struct stream *st)
{
    if (st->answered)
        return 0;
    st->answered = true;
    if (!st->post || !st->grpc)
        return submit_http(s, st);
    return st->status == VH_GRPC_OK ? submit_reply(s, st) : submit_status(s, st);
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

static void run_handler(const vh__rpc_method *m, struct stream *st)
{
    const vh__rpc_request request = {
        .path = m->path, .body = st->request.data, .len = st->request.len, .deadline_ns = st->deadline_ns
    };
    vh__rpc_answer result = { 0 };
    vh__grpc_status status = m->handler(&request, &result, m->arg);

    if (status == VH_GRPC_OK) {
        vh__grpc_frame_append(&st->out.bytes, result.body.data, result.body.len);
        if (result.body.oom || st->out.bytes.oom)
            status = VH_GRPC_RESOURCE_EXHAUSTED;
    }
    if (status != VH_GRPC_OK)
        refuse(st, status, result.message.data ? result.message.data : "");
    vh__buf_fini(&result.body);
    vh__buf_fini(&result.message);
}

/* The request is whole. */
static void dispatch(vh__grpc_server *s, struct stream *st)
{
    const char *path = st->path.data ? st->path.data : "";
    const vh__rpc_method *m = find_method(s->opts, path);

    if (!st->post || !st->grpc || st->status != VH_GRPC_OK)
        return;
    if (!m) {
        refuse(st, VH_GRPC_UNIMPLEMENTED, "no such method here: ");
        vh__buf_puts(&st->message, path);
    } else if (!st->request.data || vh__grpc_frames_partial(&st->in)) {
        refuse(st, VH_GRPC_INTERNAL, "the request ended before its message");
    } else if (vh__clock_mono_ns() >= st->deadline_ns) {
        refuse(st, VH_GRPC_DEADLINE_EXCEEDED, "the deadline passed before the request was whole");
    } else {
        run_handler(m, st);
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
    st->deadline_ns = INT64_MAX;
    LIST_INSERT_HEAD(&s->streams, st, link);
    return nghttp2_session_set_stream_user_data(session, st->id, st);
}

static void read_timeout(struct stream *st, const char *value, size_t n)
{
    int64_t ns;

    if (vh__grpc_timeout_parse(value, n, &ns))
        refuse(st, VH_GRPC_INTERNAL, "grpc-timeout is not 1 to 8 digits and one of H, M, S, m, u, n");
    else if (__builtin_add_overflow(vh__clock_mono_ns(), ns, &st->deadline_ns))
        st->deadline_ns = INT64_MAX;
}

static void read_field(struct stream *st, const uint8_t *name, size_t name_len, const char *value, size_t n)
{
    if (vh__h2_name_is(name, name_len, ":method")) {
        st->post = strcmp(value, "POST") == 0;
    } else if (vh__h2_name_is(name, name_len, ":path")) {
        vh__buf_append(&st->path, value, n);
    } else if (vh__h2_name_is(name, name_len, "content-type")) {
        st->grpc = strncmp(value, "application/grpc", 16) == 0;
    } else if (vh__h2_name_is(name, name_len, "grpc-timeout")) {
        read_timeout(st, value, n);
    }
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

/* The messages that are whole; a unary call has one. */
static int take_messages(struct stream *st, vh_error *err)
{
    const void *message;
    size_t n;
    int rc;

    while ((rc = vh__grpc_frames_next(&st->in, &message, &n, err)) > 0) {
        if (st->request.data)
            return vh_error_set(err, VH_EPROTOCOL, "a second message to a unary call");
        vh__buf_append(&st->request, message, n);
        rc = vh__buf_check(&st->request, "gRPC request", err);
        if (rc)
            return rc;
    }
    return rc;
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
    int rc;

    st->received += n;
    s->received += n;
    if (s->received / 4 > s->opts->max_message)
        return vh_error_set(err, VH_ELIMIT, "the calls under way on this connection hold too much already");
    rc = vh__grpc_frames_feed(&st->in, bytes, n, err);
    return rc ? rc : take_messages(st, err);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t n, void *arg)
{
    struct stream *st = nghttp2_session_get_stream_user_data(session, id);
    vh_error err = { 0 };
    int rc;

    (void)flags;
    if (!st || st->answered || !st->post || !st->grpc)
        return 0;
    rc = take_data(arg, st, bytes, n, &err);
    if (!rc)
        return 0;
    refuse(st, status_of(rc), err.msg);
    drop_request(arg, st); /* now: its place is another's, however long the answer takes to leave */
    return answer(arg, st) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct stream *st = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    if (!st || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
        !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) || st->answered)
        return 0;
    st->whole = true;
    dispatch(arg, st);
    return answer(arg, st) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
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

int vh__grpc_server_new(const vh__rpc_server_options *opts, vh__grpc_server **server, vh_error *err)
{
    vh__grpc_server *s = calloc(1, sizeof(*s));
    int rc;

    if (!s)
        return vh_error_set(err, -ENOMEM, "gRPC connection");
    s->opts = opts;
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

int vh__grpc_server_goaway(vh__grpc_server *server, vh_error *err)
{
    int32_t last = nghttp2_session_get_last_proc_stream_id(server->session);
    int rc = nghttp2_submit_goaway(server->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0);

    return rc ? vh__h2_error(rc, "HTTP/2 GOAWAY", err) : 0;
}
