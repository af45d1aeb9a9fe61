/* modules: rpc base */
/*
 * Bytes of a hostile server: each call of the client's core ends at most once, with messages within the limit. One call
 * has said all, the other goes on sending.
 */
#include <stdint.h>
#include <stdlib.h>

#include "grpc_client.h"

#define LIMIT 4096

struct watched {
    vh__grpc_call call;
    int ended, messages;
    bool last; /* it has said all */
};

static int on_message(vh__grpc_call *call, const void *bytes, size_t n, vh_error *err)
{
    struct watched *w = call->arg;

    (void)bytes;
    if (n > LIMIT || w->ended)
        abort();
    call->hold = w->messages++ % 3 == 0; /* now and then it takes none until it is asked */
    return w->messages > 1000 ? vh_error_set(err, VH_ELIMIT, "enough") : 0;
}

static void on_end(vh__grpc_call *call)
{
    struct watched *w = call->arg;

    if (w->ended++ || call->details.len > VH_H2_HEADER_LIST)
        abort();
}

static const vh__grpc_events events = { .message = on_message, .end = on_end };

static void start(vh__grpc_client *c, struct watched *w, const vh__grpc_metadata *metadata, bool last)
{
    w->call.events = &events;
    w->call.arg = w;
    w->call.metadata = metadata;
    if (vh__grpc_call_start(c, &w->call, "/t.Test/Stream", 1, NULL) ||
        vh__grpc_call_send(c, &w->call, "x", 1, last, NULL))
        abort();
}

/* What an owner does with a call that has not ended. */
static void go_on(vh__grpc_client *c, struct watched *w, uint8_t choice)
{
    if (w->ended)
        return;
    if (w->call.hold && vh__grpc_call_more(c, &w->call, NULL))
        abort();
    if (w->last)
        return;
    w->last = choice % 32 == 1;
    if (choice % 4 == 0 && vh__grpc_call_unsent(&w->call) < 1 << 16 &&
        vh__grpc_call_send(c, &w->call, "more", 4, false, NULL))
        abort();
    if (w->last && vh__grpc_call_end(c, &w->call, NULL))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct watched w[2] = { 0 };
    vh__grpc_metadata metadata = { 0 };
    vh__grpc_client *c;
    vh__buf out = { 0 };

    vh__grpc_metadata_add(&metadata, "x-word", 6, "w", 1);
    if (vh__grpc_client_new("fuzz", LIMIT, &c, NULL))
        abort();
    start(c, &w[0], NULL, true);
    start(c, &w[1], &metadata, false);
    for (size_t at = 0; at < n && vh__grpc_client_alive(c); at += 127) {
        vh__buf_clear(&out);
        if (vh__grpc_client_output(c, &out, NULL) ||
            vh__grpc_client_recv(c, data + at, n - at < 127 ? n - at : 127, NULL))
            break;
        go_on(c, &w[1], data[at]);
    }
    vh__buf_fini(&out);
    vh__grpc_metadata_fini(&metadata);
    vh__grpc_client_free(c);
    for (int i = 0; i < 2; i++)
        vh__grpc_call_fini(&w[i].call);
    return 0;
}
