#include "client_priv.h"

/* Events and pieces of output until the daemon ends the call or |take| has enough. */
static int watch(vh_client *client, const char *method, ProtobufCMessage *request,
                 const ProtobufCMessageDescriptor *type, const vh_call *call,
                 bool (*take)(const ProtobufCMessage *m, void *arg), void *arg, vh_error *err)
{
    vh__wait w = vh__client_bounds(call, 0);
    vh__client_call c;
    ProtobufCMessage *m;
    bool more = true;
    int rc = vh__client_open(client, method, request, true, &w, &c, err);

    if (rc)
        return rc;
    while (more && (rc = vh__client_next(&c, NULL, type, &m, err)) > 0) {
        more = take(m, arg);
        vh__proto_free(m);
    }
    vh__client_close(&c);
    return rc < 0 ? rc : 0;
}

struct events {
    vh_event_fn each;
    void *arg;
};

static bool take_event(const ProtobufCMessage *message, void *arg)
{
    const VH_PB(Event) *m = (const VH_PB(Event) *)message;
    const struct events *e = arg;
    vh_event event = { .time_ns = m->time_ns, .sequence = m->sequence, .type = m->type, .function = m->function,
                       .vm = m->vm, .message = m->message };

    return e->each(&event, e->arg);
}

int vh_client_events(vh_client *client, const char *name, uint64_t since, const vh_call *call, vh_event_fn each,
                     void *arg, vh_error *err)
{
    VH_PB(EventsRequest) request = VHIVE__CONTROL__V1__EVENTS_REQUEST__INIT;
    struct events e = { each, arg };

    request.function = (char *)(name ? name : ""); /* protobuf-c has no const */
    request.since = since;
    return watch(client, "Events", &request.base, VH_PB_TYPE(event), call, take_event, &e, err);
}

struct pieces {
    vh_log_piece_fn each;
    void *arg;
};

static bool take_piece(const ProtobufCMessage *message, void *arg)
{
    const VH_PB(LogPiece) *m = (const VH_PB(LogPiece) *)message;
    const struct pieces *p = arg;
    vh_log_piece piece = { .time_ns = m->time_ns, .vm = m->vm, .bytes = m->bytes.data, .n = m->bytes.len,
                           .stream = m->stream == VH_STREAM_STDERR ? VH_STREAM_STDERR : VH_STREAM_STDOUT };

    return p->each(&piece, p->arg);
}

int vh_client_logs(vh_client *client, const char *name, uint32_t tail, bool follow, const vh_call *call,
                   vh_log_piece_fn each, void *arg, vh_error *err)
{
    VH_PB(LogsRequest) request = VHIVE__CONTROL__V1__LOGS_REQUEST__INIT;
    struct pieces p = { each, arg };

    request.function = (char *)name; /* protobuf-c has no const */
    request.all = tail == UINT32_MAX;
    request.tail = request.all ? 0 : tail;
    request.follow = follow;
    return watch(client, "Logs", &request.base, VH_PB_TYPE(log_piece), call, take_piece, &p, err);
}
