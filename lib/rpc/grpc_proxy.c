#include "grpc_proxy.h"

#include <errno.h>
#include <stdlib.h>

#include "auto.h"
#include "grpc_proxy_priv.h"

static struct vh__proxy_call *call_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    vh__grpc_end *end = arg;
    struct vh__proxy_call *call;

    vh__h2_fields_clear(&end->fields);
    if (end->side != FRONT || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    /* Calls that the client has reset already may still be on their way out of the backend's end. */
    if (end->ncalls >= 2 * end->proxy->max_streams)
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
    call = vh__proxy_call_new(end, frame->hd.stream_id);
    return call ? nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, call)
                : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name, nghttp2_rcbuf *value,
                     uint8_t flags, void *arg)
{
    vh__grpc_end *end = arg;

    (void)session;
    (void)frame;
    return vh__h2_fields_add(&end->fields, name, value, flags) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static void take_headers(struct vh__proxy_call *call, vh__grpc_end *end, const nghttp2_frame *frame)
{
    bool last = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        vh__proxy_request(call, end, last);
    else if (end->side == BACK && vh__h2_fields_find(&end->fields, ":status"))
        vh__proxy_response(call, end, last);
    else
        vh__proxy_trailers(call, end);
    vh__h2_fields_clear(&end->fields);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    vh__grpc_end *end = arg;
    struct vh__proxy_call *call = call_of(session, frame->hd.stream_id);

    if (frame->hd.type == NGHTTP2_GOAWAY)
        end->leaving = true;
    if (call && frame->hd.type == NGHTTP2_HEADERS)
        take_headers(call, end, frame);
    else if (call && frame->hd.type == NGHTTP2_DATA && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        vh__proxy_ended(call, end);
    return end->broken ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t n, void *arg)
{
    vh__grpc_end *end = arg;
    struct vh__proxy_call *call = call_of(session, id);

    (void)flags;
    if (!call) /* nobody waits for them any more */
        return nghttp2_session_consume(session, id, n);
    return vh__proxy_data(call, end, bytes, n) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct vh__proxy_call *call = call_of(session, frame->hd.stream_id);

    if (call && (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA))
        vh__proxy_sent(call, arg, frame->hd.type == NGHTTP2_HEADERS, frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    return 0;
}

/* A request could not start: the backend has said goodbye before its turn came. */
static int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame, int why, void *arg)
{
    vh__grpc_end *end = arg;
    struct vh__proxy_call *call = call_of(session, frame->hd.stream_id);

    if (call && end->side == BACK && frame->hd.type == NGHTTP2_HEADERS &&
        why == NGHTTP2_ERR_START_STREAM_NOT_ALLOWED)
        call->refused = true;
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
    struct vh__proxy_call *call = call_of(session, id);

    if (call)
        vh__proxy_closed(call, arg, code);
    return 0;
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t n,
                        nghttp2_data_source *source, void *arg)
{
    struct vh__proxy_call *call = call_of(session, frame->hd.stream_id);

    (void)source;
    return call ? vh__proxy_move(call, arg, head, n) : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int make_callbacks(nghttp2_session_callbacks **callbacks, vh_error *err)
{
    nghttp2_session_callbacks *cbs;
    int rc = nghttp2_session_callbacks_new(&cbs);

    if (rc)
        return vh__h2_error(rc, "gRPC proxy", err);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cbs, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(cbs, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cbs, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cbs, on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(cbs, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(cbs, on_frame_not_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(cbs, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(cbs, on_send_data);
    *callbacks = cbs;
    return 0;
}

int vh__grpc_proxy_new(const vh__grpc_proxy_owner *owner, size_t max_message, uint32_t max_streams,
                       vh__grpc_proxy **proxy, vh_error *err)
{
    vh__grpc_proxy *p = calloc(1, sizeof(*p));
    int rc;

    if (!p)
        return vh_error_set(err, -ENOMEM, "gRPC proxy");
    p->owner = *owner;
    p->max_message = max_message;
    p->max_streams = max_streams;
    LIST_INIT(&p->spare);
    rc = make_callbacks(&p->callbacks, err);
    if (rc) {
        vh__grpc_proxy_free(p);
        return rc;
    }
    *proxy = p;
    return 0;
}

void vh__grpc_proxy_free(vh__grpc_proxy *proxy)
{
    struct vh__proxy_call *call;

    if (!proxy)
        return;
    while ((call = LIST_FIRST(&proxy->spare)) != NULL) {
        LIST_REMOVE(call, link);
        for (int side = FRONT; side <= BACK; side++)
            vh__h2_fields_fini(&call->flow[side].trailers);
        vh__buf_fini(&call->text);
        free(call);
    }
    vh__blocks_fini(&proxy->blocks);
    nghttp2_session_callbacks_del(proxy->callbacks);
    free(proxy);
}

size_t vh__grpc_proxy_most_held(const vh__grpc_proxy *proxy)
{
    return proxy->blocks.most;
}

static int end_new(vh__grpc_proxy *proxy, int side, vh__grpc_end **end, vh_error *err)
{
    const vh__h2_limits limits = { .max_streams = side == FRONT ? proxy->max_streams : 0,
                                   .header_list = VH_H2_RELAY_LIST,
                                   .window = VH_PROXY_WINDOW,
                                   .connection_window = VH_PROXY_HELD };
    vh__grpc_end *e = calloc(1, sizeof(*e));
    int rc;

    if (!e)
        return vh_error_set(err, -ENOMEM, "gRPC proxy: connection");
    e->proxy = proxy;
    e->side = side;
    LIST_INIT(&e->calls);
    LIST_INIT(&e->backs);
    rc = vh__h2_relay_session(side == FRONT, proxy->callbacks, e, &limits, &e->session, err);
    if (rc) {
        free(e);
        return rc;
    }
    *end = e;
    return 0;
}

int vh__grpc_front_new(vh__grpc_proxy *proxy, void *user, vh__grpc_end **front, vh_error *err)
{
    int rc = end_new(proxy, FRONT, front, err);

    if (!rc)
        (*front)->user = user;
    return rc;
}

vh__grpc_end *vh__proxy_back_new(vh__grpc_end *front)
{
    const vh__grpc_proxy_owner *owner = &front->proxy->owner;
    vh__grpc_end *back;

    if (end_new(front->proxy, BACK, &back, NULL))
        return NULL;
    back->front = front;
    LIST_INSERT_HEAD(&front->backs, back, link);
    back->user = owner->connect(back, front, owner->arg);
    if (!back->user) {
        vh__grpc_end_free(back, "");
        return NULL;
    }
    return back;
}

void vh__proxy_wake(vh__grpc_end *end, int rc)
{
    if (rc < 0 && rc != NGHTTP2_ERR_INVALID_ARGUMENT) /* that one: no data was deferred, it goes by itself */
        end->broken = true;
    end->proxy->owner.wake(end, end->proxy->owner.arg);
}

static void front_gone(vh__grpc_end *front)
{
    struct vh__proxy_call *call;
    vh__grpc_end *back;

    while ((call = LIST_FIRST(&front->calls)) != NULL) {
        if (call->leg[BACK].open)
            (void)nghttp2_session_set_stream_user_data(call->leg[BACK].end->session, call->leg[BACK].id, NULL);
        vh__proxy_call_free(call);
    }
    while ((back = LIST_FIRST(&front->backs)) != NULL) {
        LIST_REMOVE(back, link);
        back->front = NULL;
    }
}

static void back_gone(vh__grpc_end *back, const char *why)
{
    struct vh__proxy_call *call, *next;

    if (!back->front)
        return;
    LIST_REMOVE(back, link);
    for (call = LIST_FIRST(&back->front->calls); call; call = next) {
        next = LIST_NEXT(call, link);
        if (call->leg[BACK].end != back)
            continue;
        call->leg[BACK].end = NULL;
        if (call->leg[BACK].open)
            vh__proxy_answer(call, VH_GRPC_UNAVAILABLE, why);
    }
}

void vh__grpc_end_free(vh__grpc_end *end, const char *why)
{
    if (!end)
        return;
    if (end->side == FRONT)
        front_gone(end);
    else
        back_gone(end, why);
    vh__h2_fields_fini(&end->fields);
    nghttp2_session_del(end->session);
    free(end);
}

void *vh__grpc_end_user(const vh__grpc_end *end)
{
    return end->user;
}

uint32_t vh__grpc_end_calls(const vh__grpc_end *end)
{
    return end->ncalls;
}

int vh__grpc_end_recv(vh__grpc_end *end, const void *bytes, size_t n, vh_error *err)
{
    int rc = vh__h2_recv(end->session, bytes, n, err);

    vh__proxy_wake(end, 0);
    return rc;
}

int vh__grpc_end_output(vh__grpc_end *end, vh__buf *out, vh_error *err)
{
    int rc;

    if (end->broken)
        return vh_error_set(err, -ENOMEM, "gRPC proxy: connection");
    end->out = out;
    rc = vh__h2_output(end->session, out, err);
    end->out = NULL;
    return rc;
}

bool vh__grpc_end_alive(const vh__grpc_end *end)
{
    return vh__h2_alive(end->session) && !(end->side == BACK && end->leaving && end->ncalls == 0);
}

int vh__grpc_front_goaway(vh__grpc_end *front, vh_error *err)
{
    int32_t last = nghttp2_session_get_last_proc_stream_id(front->session);
    int rc = nghttp2_submit_goaway(front->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0);

    vh__proxy_wake(front, rc);
    return rc ? vh__h2_error(rc, "HTTP/2 GOAWAY", err) : 0;
}

void vh__grpc_front_expire(vh__grpc_end *front, int64_t now_ns)
{
    struct vh__proxy_call *call, *next;

    for (call = LIST_FIRST(&front->calls); call; call = next) {
        next = LIST_NEXT(call, link);
        if (now_ns > call->deadline_ns && !call->flow[BACK].ended)
            vh__proxy_answer(call, VH_GRPC_DEADLINE_EXCEEDED,
                             "the runtime did not answer long after the deadline had passed");
    }
}
