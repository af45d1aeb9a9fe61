#include "grpc_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"

struct vh__grpc_client {
    nghttp2_session *session;
    char *authority;
    size_t max_message;
};

void vh__grpc_call_fini(vh__grpc_call *call)
{
    vh__buf_fini(&call->message);
    vh__buf_fini(&call->details);
    vh__h2_body_drop(&call->out);
    vh__grpc_frames_fini(&call->in);
}

/* Resets the stream; on_stream_close() then ends the call with |code|. */
static void fail_call(nghttp2_session *session, vh__grpc_call *call, int code, const vh_error *why)
{
    call->code = code;
    call->error = *why;
    /* Out of memory only: the session then fails at its next use, which ends every call. */
    (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, call->id, NGHTTP2_CANCEL);
}

static void read_field(vh__grpc_call *call, const uint8_t *name, size_t name_len, const char *value, size_t n)
{
    if (vh__h2_name_is(name, name_len, ":status")) {
        call->http_status = atoi(value); /* nghttp2 let three digits pass, and ends values with a NUL */
    } else if (vh__h2_name_is(name, name_len, "content-type")) {
        call->grpc = strncmp(value, "application/grpc", 16) == 0;
    } else if (vh__h2_name_is(name, name_len, "grpc-status")) {
        call->status = vh__grpc_status_parse(value, n);
        call->have_status = true;
    } else if (vh__h2_name_is(name, name_len, "grpc-message")) {
        vh__buf_clear(&call->message);
        vh__grpc_message_decode(value, n, &call->message);
    } else if (vh__h2_name_is(name, name_len, "grpc-status-details-bin")) {
        vh__buf_clear(&call->details);
        if (vh__grpc_binary_decode(value, n, &call->details))
            vh__buf_clear(&call->details); /* an extra: the status stands without it */
    }
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t n, uint8_t flags, void *arg)
{
    vh__grpc_call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    vh_error err = { 0 };

    (void)flags;
    (void)arg;
    if (!call || call->code)
        return 0;
    call->header_bytes += name_len + n + 32;
    if (call->header_bytes > VH_H2_HEADER_LIST) {
        (void)vh_error_set(&err, VH_ELIMIT, "gRPC answer: more than %d bytes of headers", VH_H2_HEADER_LIST);
        fail_call(session, call, VH_ELIMIT, &err);
        return 0;
    }
    read_field(call, name, name_len, (const char *)value, n);
    return 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    vh__grpc_call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    (void)arg;
    if (!call || frame->hd.type != NGHTTP2_HEADERS || call->have_headers || call->http_status < 200)
        return 0;
    call->have_headers = true;
    if (call->events->headers)
        call->events->headers(call);
    return 0;
}

static int take_messages(vh__grpc_call *call, const uint8_t *bytes, size_t n, vh_error *err)
{
    const void *message;
    size_t len;
    int rc = vh__grpc_frames_feed(&call->in, bytes, n, err);

    while (!rc) {
        rc = vh__grpc_frames_next(&call->in, &message, &len, err);
        if (rc <= 0)
            break;
        rc = call->events->message(call, message, len, err);
    }
    return rc;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t n, void *arg)
{
    vh__grpc_call *call = nghttp2_session_get_stream_user_data(session, id);
    vh_error err = { 0 };
    int rc;

    (void)flags;
    (void)arg;
    if (nghttp2_session_consume_connection(session, n))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (!call || call->code)
        return 0;
    call->held += n;
    /* The body of an answer that is not gRPC's (an error page) is no message: its HTTP status says enough. */
    rc = call->grpc && call->http_status == 200 ? take_messages(call, bytes, n, &err) : 0;
    if (rc)
        fail_call(session, call, rc, &err);
    else if (!call->hold && vh__h2_release(session, id, &call->held))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return 0;
}

static void set_status(vh__grpc_call *call, vh__grpc_status status, const char *message)
{
    call->status = status;
    vh__buf_clear(&call->message);
    vh__buf_puts(&call->message, message);
}

/* A status for an answer that ended without one of its own. */
static void derive_status(vh__grpc_call *call, uint32_t h2_code)
{
    if (call->http_status && call->http_status != 200) {
        vh__buf_clear(&call->message);
        vh__buf_printf(&call->message, "HTTP status %d from a peer that does not speak gRPC", call->http_status);
        call->status = vh__grpc_status_from_http(call->http_status);
    } else if (h2_code != NGHTTP2_NO_ERROR) {
        set_status(call, vh__grpc_status_from_h2(h2_code), nghttp2_http2_strerror(h2_code));
    } else {
        set_status(call, VH_GRPC_UNKNOWN, "the answer ended without a grpc-status");
    }
}

/* A call that could not be started: the server has said goodbye, or the stream identifiers are used up. */
static int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame, int why, void *arg)
{
    vh__grpc_call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    (void)arg;
    if (!call || frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    set_status(call, VH_GRPC_UNAVAILABLE, nghttp2_strerror(why));
    call->have_status = true;
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t h2_code, void *arg)
{
    vh__grpc_call *call = nghttp2_session_get_stream_user_data(session, id);

    (void)arg;
    if (!call)
        return 0;
    if (!call->code && !call->have_status)
        derive_status(call, h2_code);
    if (!call->code && call->status == VH_GRPC_OK && vh__grpc_frames_partial(&call->in))
        call->code = vh_error_set(&call->error, VH_EPROTOCOL, "gRPC answer: it ends inside a message");
    call->events->end(call);
    return 0;
}

static int make_session(vh__grpc_client *client, vh_error *err)
{
    nghttp2_session_callbacks *cbs;
    int rc = nghttp2_session_callbacks_new(&cbs);

    if (rc)
        return vh__h2_error(rc, "HTTP/2 session", err);
    nghttp2_session_callbacks_set_on_header_callback(cbs, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cbs, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cbs, on_data);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(cbs, on_frame_not_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(cbs, on_stream_close);
    rc = vh__h2_session(false, cbs, client, 0, &client->session, err);
    nghttp2_session_callbacks_del(cbs);
    return rc;
}

int vh__grpc_client_new(const char *authority, size_t max_message, vh__grpc_client **client, vh_error *err)
{
    vh__grpc_client *c = calloc(1, sizeof(*c));
    int rc = -ENOMEM;

    if (c)
        c->authority = strdup(authority);
    if (!c || !c->authority) {
        (void)vh_error_set(err, rc, "gRPC client");
    } else {
        c->max_message = max_message;
        rc = make_session(c, err);
    }
    if (rc) {
        vh__grpc_client_free(c);
        return rc;
    }
    *client = c;
    return 0;
}

void vh__grpc_client_free(vh__grpc_client *client)
{
    if (!client)
        return;
    nghttp2_session_del(client->session);
    free(client->authority);
    free(client);
}

int vh__grpc_client_recv(vh__grpc_client *client, const void *bytes, size_t n, vh_error *err)
{
    return vh__h2_recv(client->session, bytes, n, err);
}

int vh__grpc_client_output(vh__grpc_client *client, vh__buf *out, vh_error *err)
{
    return vh__h2_output(client->session, out, err);
}

bool vh__grpc_client_alive(const vh__grpc_client *client)
{
    return vh__h2_alive(client->session);
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t cap, uint32_t *flags,
                         nghttp2_data_source *source, void *arg)
{
    vh__grpc_call *call = nghttp2_session_get_stream_user_data(session, id);

    (void)source;
    (void)arg;
    return call ? vh__h2_body_read(&call->out, to, cap, flags) : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

#define OWN_FIELDS 8
#define MAX_FIELDS 64

/* Adds |m| behind |n| of the |fields|, which have room for MAX_FIELDS. Their number, or VH_ELIMIT. */
static int add_metadata(const vh__grpc_metadata *m, nghttp2_nv *fields, int n, vh_error *err)
{
    const char *name = NULL, *value;

    while (m && (name = vh__grpc_metadata_next(m, name, &value))) {
        if (n == MAX_FIELDS)
            return vh_error_set(err, VH_ELIMIT, "gRPC call: more than %d fields of metadata", MAX_FIELDS - OWN_FIELDS);
        fields[n++] = vh__h2_field(name, value, strlen(value));
    }
    return n;
}

int vh__grpc_call_start(vh__grpc_client *client, vh__grpc_call *call, const char *path, int64_t timeout_ns,
                        vh_error *err)
{
    char timeout[VH_GRPC_TIMEOUT_LEN];
    nghttp2_data_provider body = { .read_callback = read_body };
    int n;

    vh__grpc_timeout_format(timeout_ns, timeout);
    nghttp2_nv fields[MAX_FIELDS] = {
        vh__h2_field(":method", "POST", 4),
        vh__h2_field(":scheme", "http", 4),
        vh__h2_field(":path", path, strlen(path)),
        vh__h2_field(":authority", client->authority, strlen(client->authority)),
        vh__h2_field("te", "trailers", 8),
        vh__h2_field("content-type", "application/grpc", 16),
        vh__h2_field("user-agent", "vhive/" VH_VERSION, strlen("vhive/" VH_VERSION)),
        vh__h2_field("grpc-timeout", timeout, strlen(timeout)),
    };

    n = add_metadata(call->metadata, fields, timeout_ns == INT64_MAX ? OWN_FIELDS - 1 : OWN_FIELDS, err);
    if (n < 0)
        return n;
    call->in.max = client->max_message;
    call->id = nghttp2_submit_request(client->session, NULL, fields, (size_t)n, &body, call);
    return call->id < 0 ? vh__h2_error(call->id, "gRPC call", err) : 0;
}

/* Lets what was added to the body go out. */
static int resume(vh__grpc_client *client, const vh__grpc_call *call, vh_error *err)
{
    int rc = nghttp2_session_resume_data(client->session, call->id);

    /* INVALID_ARGUMENT: nothing was deferred, the bytes go out by themselves. */
    return rc && rc != NGHTTP2_ERR_INVALID_ARGUMENT ? vh__h2_error(rc, "gRPC request", err) : 0;
}

int vh__grpc_call_send(vh__grpc_client *client, vh__grpc_call *call, const void *message, size_t n, bool last,
                       vh_error *err)
{
    vh_auto_buf vh__buf framed = { 0 };
    int rc;

    vh__grpc_frame_append(&framed, message, n);
    vh__h2_body_add(&call->out, &framed);
    rc = vh__buf_check(&call->out.bytes, "gRPC request", err);
    if (rc)
        return rc;
    call->out.last = last;
    return resume(client, call, err);
}

int vh__grpc_call_end(vh__grpc_client *client, vh__grpc_call *call, vh_error *err)
{
    call->out.last = true;
    return resume(client, call, err);
}

size_t vh__grpc_call_unsent(const vh__grpc_call *call)
{
    return vh__h2_body_left(&call->out);
}

int vh__grpc_call_more(vh__grpc_client *client, vh__grpc_call *call, vh_error *err)
{
    int rc;

    call->hold = false;
    rc = vh__h2_release(client->session, call->id, &call->held);
    return rc ? vh__h2_error(rc, "HTTP/2 window", err) : 0;
}

void vh__grpc_call_cancel(vh__grpc_client *client, vh__grpc_call *call)
{
    /* Before the HEADERS are on the wire there is no stream to forget the call; the reset then drops the request
     * from the queue, with a close event that must not find it either. */
    (void)nghttp2_session_set_stream_user_data(client->session, call->id, NULL);
    (void)nghttp2_submit_rst_stream(client->session, NGHTTP2_FLAG_NONE, call->id, NGHTTP2_CANCEL);
}
