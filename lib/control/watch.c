/* What goes on until the caller has enough: events, output. */
#include "control_priv.h"

/* Where what comes is sent, and whether that failed. */
struct watcher {
    vh__control_call *call;
    int rc;
    vh_error *err;
};

static bool send_event(const vh_event *event, void *arg)
{
    VH_PB(Event) m = VHIVE__CONTROL__V1__EVENT__INIT;
    struct watcher *w = arg;

    m.time_ns = event->time_ns;
    m.sequence = event->sequence;
    m.type = (char *)event->type; /* protobuf-c has no const */
    m.function = (char *)event->function;
    m.vm = (char *)event->vm;
    m.message = (char *)event->message;
    w->rc = vh__control_send(w->call, &m.base, w->err);
    return w->rc == 0;
}

int vh__control_events(vh__control_call *call, const void *request, vh_error *err)
{
    const VH_PB(EventsRequest) *q = request;
    struct watcher w = { .call = call, .err = err };
    int rc = vh_functions_events(call->o->functions, vh__control_or_null(q->function), q->since, &call->bounds,
                                 send_event, &w, err);

    return rc ? rc : w.rc;
}

static bool send_piece(const vh_log_piece *piece, void *arg)
{
    VH_PB(LogPiece) m = VHIVE__CONTROL__V1__LOG_PIECE__INIT;
    struct watcher *w = arg;

    m.time_ns = piece->time_ns;
    m.vm = (char *)piece->vm;
    m.stream = piece->stream;
    m.bytes.data = (uint8_t *)piece->bytes;
    m.bytes.len = piece->n;
    w->rc = vh__control_send(w->call, &m.base, w->err);
    return w->rc == 0;
}

int vh__control_logs(vh__control_call *call, const void *request, vh_error *err)
{
    const VH_PB(LogsRequest) *q = request;
    struct watcher w = { .call = call, .err = err };
    int rc = vh_functions_logs(call->o->functions, q->function, q->all ? UINT32_MAX : q->tail, q->follow,
                               &call->bounds, send_piece, &w, err);

    return rc ? rc : w.rc;
}
