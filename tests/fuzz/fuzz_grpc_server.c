/* modules: rpc base */
/*
 * Bytes of a hostile client: the server's core neither crashes nor answers without bound, and the owner of streaming
 * calls hears of each exactly one end.
 */
#include <stdint.h>
#include <stdlib.h>

#include "clock.h"
#include "grpc_frame.h"
#include "grpc_server.h"

#define LIMIT 4096

/* The owner of streaming calls: it sends back what it gets, and finishes what was said to the end. */
struct owner {
    vh__grpc_server *server;
    int live, messages;
};

static vh__grpc_status echo(const vh__rpc_request *request, vh__rpc_answer *answer, void *arg)
{
    (void)arg;
    vh__buf_append(&answer->body, request->body, request->len);
    return VH_GRPC_OK;
}

static vh__grpc_status never(vh__rpc_stream *stream, vh__rpc_answer *answer, void *arg)
{
    (void)stream;
    (void)answer;
    (void)arg;
    abort(); /* the core starts no thread */
}

static vh__grpc_status on_begin(vh__grpc_stream *stream, void *arg, vh__buf *why)
{
    struct owner *o = arg;

    if (vh__grpc_metadata_get(stream->metadata, "x-no")) {
        vh__buf_puts(why, "not this one");
        return VH_GRPC_PERMISSION_DENIED;
    }
    stream->user = o;
    o->live++;
    return VH_GRPC_OK;
}

static int on_message(vh__grpc_stream *stream, const void *bytes, size_t n, vh_error *err)
{
    struct owner *o = stream->user;
    vh__buf framed = { 0 };
    int rc;

    if (n > LIMIT)
        abort();
    stream->hold = o->messages++ % 3 == 0; /* now and then it takes none until somebody asks */
    vh__grpc_frame_append(&framed, bytes, n);
    rc = vh__grpc_stream_unsent(stream) > 1 << 20 ? vh_error_set(err, VH_ELIMIT, "too much")
                                                  : vh__grpc_stream_send(o->server, stream, &framed, err);
    vh__buf_fini(&framed);
    return rc;
}

static void on_last(vh__grpc_stream *stream)
{
    struct owner *o = stream->user;
    vh__rpc_answer answer = { 0 };

    if (stream->hold && vh__grpc_stream_more(o->server, stream, NULL))
        abort();
    vh__buf_puts(&answer.message, "that is all");
    vh__buf_puts(&answer.details, "d");
    if (vh__grpc_stream_finish(o->server, stream, VH_GRPC_ABORTED, &answer, NULL))
        abort();
    o->live--;
    vh__buf_fini(&answer.message);
    vh__buf_fini(&answer.details);
}

static void on_drained(vh__grpc_stream *stream)
{
    if (vh__grpc_stream_unsent(stream))
        abort();
}

static void on_gone(vh__grpc_stream *stream, int code)
{
    struct owner *o = stream->user;

    if (code >= 0 || o->live-- <= 0)
        abort();
}

static const vh__rpc_method methods[] = {
    { .path = "/t.Test/Echo", .handler = echo },
    { .path = "/t.Test/Stream", .stream = never },
};

static int step(vh__grpc_server *s, const uint8_t *bytes, size_t n, vh__buf *out)
{
    int rc = vh__grpc_server_recv(s, bytes, n, NULL);

    if (!rc && bytes[0] % 8 == 7)
        rc = vh__grpc_server_expire(s, vh__clock_mono_ns() + bytes[0] * VH_NS_PER_S, NULL);
    if (!rc && bytes[0] % 64 == 5)
        rc = vh__grpc_server_cut(s, false, VH_GRPC_UNAVAILABLE, "cut", NULL);
    vh__buf_clear(out);
    if (!rc)
        rc = vh__grpc_server_output(s, out, NULL);
    if (out->len > 1 << 20)
        abort();
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const vh__grpc_stream_events events = {
        .begin = on_begin, .message = on_message, .last = on_last, .drained = on_drained, .gone = on_gone
    };
    const vh__rpc_server_options o = {
        .methods = methods, .nmethods = 2, .max_message = LIMIT, .max_streams = 4, .idle_ms = 60000
    };
    struct owner owner = { 0 };
    vh__buf out = { 0 };

    if (vh__grpc_server_new(&o, &events, &owner, &owner.server, NULL))
        abort();
    for (size_t at = 0; at < n; at += 127) {
        if (step(owner.server, data + at, n - at < 127 ? n - at : 127, &out) || !vh__grpc_server_alive(owner.server))
            break;
    }
    vh__buf_fini(&out);
    vh__grpc_server_free(owner.server);
    if (owner.live)
        abort();
    return 0;
}
