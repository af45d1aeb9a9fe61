#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "grpc_proxy_priv.h"

/* Calls that are kept for the next ones. */
#define SPARE_MAX 64

struct vh__proxy_call *vh__proxy_call_new(vh__grpc_end *front, int32_t id)
{
    vh__grpc_proxy *p = front->proxy;
    struct vh__proxy_call *call = LIST_FIRST(&p->spare);

    if (call) {
        LIST_REMOVE(call, link);
        p->nspare--;
    } else {
        call = calloc(1, sizeof(*call));
        if (!call)
            return NULL;
    }
    call->proxy = p;
    call->leg[FRONT] = (struct vh__proxy_leg){ .end = front, .id = id, .open = true };
    call->began_ns = vh__clock_mono_ns();
    call->deadline_ns = INT64_MAX;
    LIST_INSERT_HEAD(&front->calls, call, link);
    front->ncalls++;
    if (p->owner.call)
        p->owner.call(NULL, p->owner.arg);
    return call;
}

static void report(struct vh__proxy_call *call)
{
    const vh__grpc_proxied over = {
        .path = call->path ? (const char *)nghttp2_rcbuf_get_buf(call->path).base : "",
        .status = call->have_status ? call->status : VH_GRPC_CANCELLED,
        .answered = call->answered,
        .took_ns = vh__clock_mono_ns() - call->began_ns,
    };

    if (call->proxy->owner.call)
        call->proxy->owner.call(&over, call->proxy->owner.arg);
}

/* Back to what calloc() gives, but for the memory that is worth keeping. */
static void wipe(struct vh__proxy_call *call)
{
    vh__h2_fields trailers[2];
    vh__buf text = call->text;

    for (int side = FRONT; side <= BACK; side++) {
        (void)vh__pipe_drop(&call->flow[side].held, &call->proxy->blocks);
        vh__h2_fields_clear(&call->flow[side].trailers);
        trailers[side] = call->flow[side].trailers;
    }
    if (call->path)
        nghttp2_rcbuf_decref(call->path);
    vh__buf_clear(&text);
    memset(call, 0, sizeof(*call));
    call->text = text;
    for (int side = FRONT; side <= BACK; side++)
        call->flow[side].trailers = trailers[side];
}

void vh__proxy_call_free(struct vh__proxy_call *call)
{
    vh__grpc_proxy *p = call->proxy;

    report(call);
    LIST_REMOVE(call, link);
    call->leg[FRONT].end->ncalls--;
    if (call->leg[BACK].open)
        call->leg[BACK].end->ncalls--;
    wipe(call);
    LIST_INSERT_HEAD(&p->spare, call, link);
    if (++p->nspare > SPARE_MAX) {
        LIST_REMOVE(call, link);
        p->nspare--;
        vh__h2_fields_fini(&call->flow[FRONT].trailers);
        vh__h2_fields_fini(&call->flow[BACK].trailers);
        vh__buf_fini(&call->text);
        free(call);
    }
}

static void set_status(struct vh__proxy_call *call, vh__grpc_status status, bool answered)
{
    if (call->have_status)
        return;
    call->have_status = true;
    call->status = status;
    call->answered = answered;
}

/* |n| bytes that came in on |side| are gone: their sender may send as many more. */
static void credit(struct vh__proxy_call *call, int side, size_t n)
{
    vh__grpc_end *end = call->leg[side].end;

    if (end && n) /* for a stream that is closed this opens the window of the connection alone */
        vh__proxy_wake(end, nghttp2_session_consume(end->session, call->leg[side].id, n));
}

/* What came in on |side| is of no use to anybody. */
static void drop(struct vh__proxy_call *call, int side)
{
    credit(call, side, vh__pipe_drop(&call->flow[side].held, &call->proxy->blocks));
}

/* There is more to send of what comes in on |side|. */
static void resume(struct vh__proxy_call *call, int side)
{
    struct vh__proxy_leg *to = &call->leg[vh__proxy_other(side)];

    if (to->open)
        vh__proxy_wake(to->end, nghttp2_session_resume_data(to->end->session, to->id));
}

/*
 * Resets the other leg once all that came in on |side| before has left: nghttp2 forgets what it has for a stream as
 * soon as a reset of it is queued.
 */
static void try_reset(struct vh__proxy_call *call, int side)
{
    struct vh__proxy_flow *f = &call->flow[side];
    struct vh__proxy_leg *to = &call->leg[vh__proxy_other(side)];

    if (!f->reset || !to->open)
        return;
    if (f->started && (f->held.len || !(f->ended ? f->end_out : f->headers_out)))
        return;
    f->reset = false;
    vh__proxy_wake(to->end, nghttp2_submit_rst_stream(to->end->session, NGHTTP2_FLAG_NONE, to->id, f->reset_code));
}

static size_t local_trailers(const struct vh__proxy_call *call, nghttp2_nv *nv)
{
    nv[0] = vh__h2_field("grpc-status", call->local, strlen(call->local));
    nv[1] = vh__h2_field("grpc-message", call->text.data ? call->text.data : "", call->text.len);
    return 2;
}

static int submit_trailers(struct vh__proxy_call *call, struct vh__proxy_flow *f, struct vh__proxy_leg *to)
{
    nghttp2_nv *nv = call->proxy->nv;
    size_t n = f == &call->flow[BACK] && *call->local ? local_trailers(call, nv) : vh__h2_fields_nv(&f->trailers, nv);

    return n ? nghttp2_submit_trailer(to->end->session, to->id, nv, n) : 0;
}

/* The bytes of a stream that nghttp2 may send on |arg|; they are moved by vh__proxy_move(). */
static ssize_t read_flow(nghttp2_session *session, int32_t id, uint8_t *to, size_t cap, uint32_t *flags,
                         nghttp2_data_source *source, void *arg)
{
    vh__grpc_end *end = arg;
    struct vh__proxy_call *call = nghttp2_session_get_stream_user_data(session, id);
    struct vh__proxy_flow *f;
    size_t n;

    (void)to;
    (void)source;
    if (!call)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    f = &call->flow[vh__proxy_other(end->side)];
    n = VH_MIN(cap, f->held.len);
    if (n)
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n < f->held.len || (n && !f->ended))
        return (ssize_t)n;
    if (!f->ended)
        return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (f->trailers.n || (f == &call->flow[BACK] && *call->local)) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (submit_trailers(call, f, &call->leg[end->side]))
            return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    return (ssize_t)n;
}

int vh__proxy_move(struct vh__proxy_call *call, vh__grpc_end *end, const uint8_t *head, size_t n)
{
    int side = vh__proxy_other(end->side);
    struct vh__proxy_flow *f = &call->flow[side];

    if (f->held.len < n) /* dropped since, and a reset is on its way */
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    vh__buf_append(end->out, head, 9);
    vh__pipe_move(&f->held, &call->proxy->blocks, end->out, n);
    credit(call, side, n);
    return end->out->len < VH_H2_OUTPUT ? 0 : NGHTTP2_ERR_PAUSE;
}

void vh__proxy_sent(struct vh__proxy_call *call, vh__grpc_end *end, bool headers, bool last)
{
    int side = vh__proxy_other(end->side);
    struct vh__proxy_flow *f = &call->flow[side];

    f->headers_out |= headers;
    f->end_out |= last;
    try_reset(call, side);
}

static void read_request(struct vh__proxy_call *call, const vh__h2_fields *fields)
{
    nghttp2_rcbuf *timeout = vh__h2_fields_find(fields, "grpc-timeout");
    nghttp2_rcbuf *type = vh__h2_fields_find(fields, "content-type");
    nghttp2_vec v;
    int64_t ns;

    call->path = vh__h2_fields_find(fields, ":path");
    if (call->path)
        nghttp2_rcbuf_incref(call->path);
    if (type)
        call->flow[FRONT].metered = strncmp((char *)nghttp2_rcbuf_get_buf(type).base, "application/grpc", 16) == 0;
    if (!timeout)
        return;
    v = nghttp2_rcbuf_get_buf(timeout);
    if (vh__grpc_timeout_parse((char *)v.base, v.len, &ns) == 0 &&
        !__builtin_add_overflow(call->began_ns + VH_PROXY_LATE_NS, ns, &call->deadline_ns))
        return;
    call->deadline_ns = INT64_MAX; /* what makes no sense is for the backend to refuse */
}

/* Where a new call of |front| goes; NULL if there is no memory for it. */
static vh__grpc_end *choose_back(vh__grpc_end *front)
{
    vh__grpc_end *back = LIST_FIRST(&front->backs);

    if (back && !back->leaving && nghttp2_session_check_request_allowed(back->session))
        return back;
    return vh__proxy_back_new(front);
}

void vh__proxy_request(struct vh__proxy_call *call, vh__grpc_end *front, bool last)
{
    nghttp2_data_provider body = { .read_callback = read_flow };
    vh__grpc_end *back;
    int32_t id;

    call->flow[FRONT].ended = last;
    read_request(call, &front->fields);
    if (front->fields.over) {
        vh__proxy_answer(call, VH_GRPC_RESOURCE_EXHAUSTED, "the request has more header fields than pass here");
        return;
    }
    back = choose_back(front);
    if (!back) {
        vh__proxy_answer(call, VH_GRPC_UNAVAILABLE, "no connection to the runtime could be made: out of memory");
        return;
    }
    id = nghttp2_submit_request(back->session, NULL, call->proxy->nv, vh__h2_fields_nv(&front->fields, call->proxy->nv),
                                last ? NULL : &body, call);
    vh__proxy_wake(back, id);
    if (id < 0) {
        vh__proxy_answer(call, VH_GRPC_UNAVAILABLE, nghttp2_strerror(id));
        return;
    }
    call->leg[BACK] = (struct vh__proxy_leg){ .end = back, .id = id, .open = true };
    call->flow[FRONT].started = true;
    back->ncalls++;
}

static void note_status(struct vh__proxy_call *call, const vh__h2_fields *fields)
{
    nghttp2_rcbuf *status = vh__h2_fields_find(fields, "grpc-status");
    nghttp2_vec v;

    if (!status)
        return;
    v = nghttp2_rcbuf_get_buf(status);
    set_status(call, vh__grpc_status_parse((char *)v.base, v.len), true);
}

void vh__proxy_response(struct vh__proxy_call *call, vh__grpc_end *back, bool last)
{
    struct vh__proxy_flow *f = &call->flow[BACK];
    struct vh__proxy_leg *to = &call->leg[FRONT];
    nghttp2_data_provider body = { .read_callback = read_flow };
    nghttp2_rcbuf *code = vh__h2_fields_find(&back->fields, ":status");
    nghttp2_rcbuf *type = vh__h2_fields_find(&back->fields, "content-type");

    if (!to->open || f->started || (code && *nghttp2_rcbuf_get_buf(code).base == '1'))
        return; /* news on the way to an answer (1xx) are nothing that gRPC knows */
    if (back->fields.over) {
        vh__proxy_answer(call, VH_GRPC_RESOURCE_EXHAUSTED, "the answer has more header fields than pass here");
        return;
    }
    if (type)
        f->metered = strncmp((char *)nghttp2_rcbuf_get_buf(type).base, "application/grpc", 16) == 0;
    note_status(call, &back->fields);
    f->started = true;
    f->ended = last;
    vh__proxy_wake(to->end, nghttp2_submit_response(to->end->session, to->id, call->proxy->nv,
                                                    vh__h2_fields_nv(&back->fields, call->proxy->nv),
                                                    last ? NULL : &body));
}

void vh__proxy_trailers(struct vh__proxy_call *call, vh__grpc_end *end)
{
    struct vh__proxy_flow *f = &call->flow[end->side];

    if (end->side == BACK)
        note_status(call, &end->fields);
    if (end->fields.over) {
        vh__proxy_answer(call, VH_GRPC_RESOURCE_EXHAUSTED, "the call ends with more trailers than pass here");
        return;
    }
    vh__h2_fields_swap(&f->trailers, &end->fields);
    vh__proxy_ended(call, end);
}

void vh__proxy_ended(struct vh__proxy_call *call, vh__grpc_end *end)
{
    call->flow[end->side].ended = true;
    resume(call, end->side);
}

int vh__proxy_data(struct vh__proxy_call *call, vh__grpc_end *end, const uint8_t *bytes, size_t n)
{
    struct vh__proxy_flow *f = &call->flow[end->side];
    vh_error err = { 0 };
    int rc;

    if (call->leg[vh__proxy_other(end->side)].open && f->metered &&
        vh__grpc_meter_feed(&f->meter, bytes, n, call->proxy->max_message, &err))
        vh__proxy_answer(call, VH_GRPC_RESOURCE_EXHAUSTED, err.msg);
    if (!call->leg[vh__proxy_other(end->side)].open || f->ended) {
        credit(call, end->side, n);
        return 0;
    }
    rc = vh__pipe_put(&f->held, &call->proxy->blocks, bytes, n);
    resume(call, end->side);
    return rc;
}

/* Where a stream closed before its time, the other one is reset with the same code. */
void vh__proxy_closed(struct vh__proxy_call *call, vh__grpc_end *end, uint32_t code)
{
    int side = end->side, other = vh__proxy_other(side);
    struct vh__proxy_flow *f = &call->flow[side];
    bool whole = call->flow[FRONT].ended && call->flow[BACK].ended;

    if (call->refused)
        code = NGHTTP2_REFUSED_STREAM;
    call->leg[side].open = false;
    if (side == BACK)
        end->ncalls--;
    drop(call, other);
    if (!call->leg[other].open) {
        vh__proxy_call_free(call);
        return;
    }
    if (side == FRONT && (!whole || code != NGHTTP2_NO_ERROR)) {
        set_status(call, vh__grpc_status_from_h2(code), false);
        drop(call, FRONT);
        f->started = false; /* a client that gave up does not wait for what it had sent */
    } else if (side == BACK && !whole) {
        if (!f->ended)
            set_status(call, vh__grpc_status_from_h2(code), true);
    } else {
        return;
    }
    f->reset = true;
    f->reset_code = code;
    try_reset(call, side);
}

/* Lets go of the backend: it gets and gives nothing more. */
static void detach_back(struct vh__proxy_call *call)
{
    struct vh__proxy_leg *leg = &call->leg[BACK];

    if (!leg->open)
        return;
    leg->open = false;
    if (!leg->end)
        return;
    leg->end->ncalls--;
    (void)nghttp2_session_set_stream_user_data(leg->end->session, leg->id, NULL); /* fails if it is gone */
    vh__proxy_wake(leg->end, nghttp2_submit_rst_stream(leg->end->session, NGHTTP2_FLAG_NONE, leg->id, NGHTTP2_CANCEL));
}

static int submit_status(struct vh__proxy_call *call)
{
    nghttp2_nv nv[4] = {
        vh__h2_field(":status", "200", 3),
        vh__h2_field("content-type", "application/grpc", 16),
    };
    struct vh__proxy_leg *to = &call->leg[FRONT];

    (void)local_trailers(call, nv + 2);
    return nghttp2_submit_response(to->end->session, to->id, nv, VH_ARRAY_LEN(nv), NULL);
}

void vh__proxy_answer(struct vh__proxy_call *call, vh__grpc_status status, const char *text)
{
    struct vh__proxy_flow *f = &call->flow[BACK];

    detach_back(call);
    drop(call, FRONT);
    if (!call->leg[FRONT].open) {
        vh__proxy_call_free(call);
        return;
    }
    if (!f->ended) {
        f->ended = true;
        set_status(call, status, false);
        (void)snprintf(call->local, sizeof(call->local), "%d", status);
        vh__grpc_message_encode(text, strlen(text), &call->text);
        if (f->started)
            resume(call, BACK);
        else
            vh__proxy_wake(call->leg[FRONT].end, submit_status(call));
        f->started = true;
    }
    if (!call->flow[FRONT].ended) {
        f->reset = true;
        f->reset_code = NGHTTP2_NO_ERROR; /* asks the client to keep the rest of its request */
    }
}
