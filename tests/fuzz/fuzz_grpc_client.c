/* modules: rpc base */
/* Bytes of a hostile server: each call of the client's core ends at most once, with messages within the limit. */
#include <stdint.h>
#include <stdlib.h>

#include "grpc_client.h"

#define LIMIT 4096

static int on_message(vh__grpc_call *call, const void *bytes, size_t n, vh_error *err)
{
    (void)call;
    (void)bytes;
    (void)err;
    if (n > LIMIT)
        abort();
    return 0;
}

static void on_end(vh__grpc_call *call)
{
    int *ended = call->arg;

    if ((*ended)++)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const vh__grpc_events events = { .message = on_message, .end = on_end };
    int ended = 0;
    vh__grpc_call call = { .events = &events, .arg = &ended };
    vh__grpc_client *c;
    vh__buf out = { 0 };

    if (vh__grpc_client_new("fuzz", LIMIT, &c, NULL) || vh__grpc_call_start(c, &call, "/t.Test/Echo", 1, NULL) ||
        vh__grpc_call_send(c, &call, "x", 1, true, NULL))
        abort();
    for (size_t at = 0; at < n && vh__grpc_client_alive(c); at += 509) {
        vh__buf_clear(&out);
        if (vh__grpc_client_output(c, &out, NULL) ||
            vh__grpc_client_recv(c, data + at, n - at < 509 ? n - at : 509, NULL))
            break;
    }
    vh__buf_fini(&out);
    vh__grpc_client_free(c);
    vh__grpc_call_fini(&call);
    return 0;
}
