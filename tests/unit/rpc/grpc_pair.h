/* Both ends of a gRPC connection, wired together in memory, and one call with what was seen of it. */
#ifndef VH_TESTS_GRPC_PAIR_H
#define VH_TESTS_GRPC_PAIR_H

#include "testenv.h"

#include "clock.h"
#include "grpc_client.h"
#include "grpc_server.h"

#define MINUTE (60 * VH_NS_PER_S)

struct pair {
    vh__grpc_client *client;
    vh__grpc_server *server;
};

/* One call and what was seen of it. */
struct seen {
    vh__grpc_call call;
    bool headers, ended, hold;
    int messages;
    int refuse; /* code that the message event answers with */
    vh__buf body;
};

static inline void seen_headers(vh__grpc_call *call)
{
    struct seen *s = call->arg;

    s->headers = true;
}

static inline int seen_message(vh__grpc_call *call, const void *bytes, size_t n, vh_error *err)
{
    struct seen *s = call->arg;

    s->messages++;
    call->hold = s->hold;
    vh__buf_append(&s->body, bytes, n);
    return s->refuse ? vh_error_set(err, s->refuse, "not wanted") : 0;
}

static inline void seen_end(vh__grpc_call *call)
{
    struct seen *s = call->arg;

    assert_false(s->ended);
    s->ended = true;
}

static const vh__grpc_events seen_events = { .headers = seen_headers, .message = seen_message, .end = seen_end };

static inline int pair_start(struct pair *p, struct seen *s, const char *path, vh_error *err)
{
    s->call.events = &seen_events;
    s->call.arg = s;
    return vh__grpc_call_start(p->client, &s->call, path, MINUTE, err);
}

static inline void seen_fini(struct seen *s)
{
    vh__grpc_call_fini(&s->call);
    vh__buf_fini(&s->body);
}

static inline void pair_fini(struct pair *p)
{
    vh__grpc_client_free(p->client);
    vh__grpc_server_free(p->server);
    *p = (struct pair){ 0 };
}

/* Moves what each end has to say to the other until both are quiet. */
static inline int pump(struct pair *p, vh_error *err)
{
    for (;;) {
        vh__buf up = { 0 }, down = { 0 };
        int rc = vh__grpc_client_output(p->client, &up, err);
        bool quiet;

        if (!rc)
            rc = vh__grpc_server_recv(p->server, up.data, up.len, err);
        if (!rc)
            rc = vh__grpc_server_output(p->server, &down, err);
        if (!rc)
            rc = vh__grpc_client_recv(p->client, down.data, down.len, err);
        quiet = up.len == 0 && down.len == 0;
        vh__buf_fini(&up);
        vh__buf_fini(&down);
        if (rc || quiet)
            return rc;
    }
}

static inline void assert_status(const struct seen *s, vh__grpc_status status, const char *message)
{
    assert_true(s->ended);
    assert_int_equal(s->call.code, 0);
    assert_int_equal(s->call.status, status);
    assert_string_equal(s->call.message.data ? s->call.message.data : "", message);
}

#endif
