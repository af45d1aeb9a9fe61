/* modules: rpc base */
/* Bytes of a hostile client: the server's core neither crashes nor answers without bound. */
#include <stdint.h>
#include <stdlib.h>

#include "grpc_server.h"

static vh__grpc_status echo(const vh__rpc_request *request, vh__rpc_answer *answer, void *arg)
{
    (void)arg;
    vh__buf_append(&answer->body, request->body, request->len);
    return VH_GRPC_OK;
}

static const vh__rpc_method methods[] = { { .path = "/t.Test/Echo", .handler = echo } };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const vh__rpc_server_options o = { .methods = methods, .nmethods = 1, .max_message = 4096, .max_streams = 4 };
    vh__grpc_server *s;
    vh__buf out = { 0 };

    if (vh__grpc_server_new(&o, NULL, NULL, &s, NULL))
        abort();
    for (size_t at = 0; at < n; at += 509) {
        if (vh__grpc_server_recv(s, data + at, n - at < 509 ? n - at : 509, NULL))
            break;
        vh__buf_clear(&out);
        if (vh__grpc_server_output(s, &out, NULL) || !vh__grpc_server_alive(s))
            break;
        if (out.len > 1 << 20)
            abort();
    }
    vh__buf_fini(&out);
    vh__grpc_server_free(s);
    return 0;
}
