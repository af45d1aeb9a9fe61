#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "clock.h"
#include "grpc_queue.h"
#include "rpc_client_priv.h"

struct vh__rpc_exchange {
    vh__rpc_client *client;
    vh__grpc_call call;
    char *path; /* for messages */
    vh__wait bounds;
    vh__grpc_queue in;
    bool started, ended;
    int64_t first_byte_ns, last_byte_ns;
};

static void on_headers(vh__grpc_call *call)
{
    struct vh__rpc_exchange *x = call->arg;

    x->first_byte_ns = vh__clock_mono_ns();
}

static int on_message(vh__grpc_call *call, const void *bytes, size_t n, vh_error *err)
{
    struct vh__rpc_exchange *x = call->arg;

    call->hold = true;
    return vh__grpc_queue_push(&x->in, bytes, n, err);
}

static void on_end(vh__grpc_call *call)
{
    struct vh__rpc_exchange *x = call->arg;

    x->last_byte_ns = vh__clock_mono_ns();
    x->ended = true;
}

static const vh__grpc_events events = { .headers = on_headers, .message = on_message, .end = on_end };

static int start(vh__rpc_exchange *x, vh_error *err)
{
    int64_t left = INT64_MAX;
    int rc;

    if (x->bounds.deadline_ns != INT64_MAX)
        left = x->bounds.deadline_ns - vh__clock_mono_ns();
    x->call.events = &events;
    x->call.arg = x;
    x->call.metadata = &x->client->metadata;
    rc = vh__grpc_call_start(x->client->core, &x->call, x->path, left, err);
    x->started = !rc;
    return rc;
}

/* Opens it, but nothing of it goes out yet: a unary call's message belongs into the same packet. */
static int prepare(vh__rpc_client *client, const char *path, const vh__wait *w, vh__rpc_exchange **x, vh_error *err)
{
    vh__rpc_exchange *made;
    int rc = vh__wait_check(w, path, err);

    if (rc)
        return rc;
    if (client->busy)
        return vh_error_set(err, VH_ESTATE, "%s: another call of this client is under way", path);
    made = calloc(1, sizeof(*made));
    if (!made)
        return vh_error_set(err, -ENOMEM, "gRPC call");
    client->busy = true;
    made->client = client;
    made->bounds = *w;
    made->path = strdup(path);
    rc = made->path ? start(made, err) : vh_error_set(err, -ENOMEM, "gRPC call");
    if (rc) {
        vh__rpc_exchange_close(made);
        return rc;
    }
    *x = made;
    return 0;
}

int vh__rpc_exchange_open(vh__rpc_client *client, const char *path, const vh__wait *w, vh__rpc_exchange **x,
                          vh_error *err)
{
    vh__rpc_exchange *made;
    int rc = prepare(client, path, w, &made, err);

    if (rc)
        return rc;
    rc = vh__rpc_client_flush(client, err);
    if (rc)
        vh__rpc_exchange_close(made);
    else
        *x = made;
    return rc;
}

/* Until the server has taken all that was sent, or the call has ended. */
static int push_out(vh__rpc_exchange *x, vh_error *err)
{
    for (;;) {
        int rc = vh__rpc_client_flush(x->client, err);

        if (rc || x->ended || (vh__grpc_call_unsent(&x->call) == 0 && x->client->out.len == 0))
            return rc;
        rc = vh__rpc_client_turn(x->client, &x->bounds, x->path, err);
        if (rc)
            return rc;
    }
}

int vh__rpc_exchange_send(vh__rpc_exchange *x, const void *message, size_t n, bool last, vh_error *err)
{
    int rc;

    if (x->ended)
        return vh_error_set(err, -EPIPE, "%s: the call has ended", x->path);
    if (n > UINT32_MAX)
        return vh_error_set(err, VH_ELIMIT, "gRPC message of %zu bytes: at most %u can be sent", n, UINT32_MAX);
    rc = vh__grpc_call_send(x->client->core, &x->call, message, n, last, err);
    return rc ? rc : push_out(x, err);
}

int vh__rpc_exchange_end(vh__rpc_exchange *x, vh_error *err)
{
    int rc;

    if (x->ended)
        return 0;
    rc = vh__grpc_call_end(x->client->core, &x->call, err);
    return rc ? rc : push_out(x, err);
}

/* The call's end, when everything before it was taken. */
static int outcome(const vh__rpc_exchange *x, vh__grpc_status *status, vh_error *err)
{
    if (x->call.code)
        return vh_error_set(err, x->call.code, "%s", x->call.error.msg);
    *status = x->call.status;
    return vh__buf_check(&x->call.message, "gRPC answer", err);
}

int vh__rpc_exchange_recv(vh__rpc_exchange *x, const vh__wait *w, vh__buf *message, vh__grpc_status *status,
                          vh_error *err)
{
    vh__wait bounds = x->bounds;
    int rc;

    if (w)
        bounds = (vh__wait){ .deadline_ns = VH_MIN(w->deadline_ns, bounds.deadline_ns), .cancel = w->cancel };
    while ((rc = vh__grpc_queue_pop(&x->in, message, err)) == 0) {
        if (x->ended)
            return outcome(x, status, err);
        rc = vh__rpc_client_turn(x->client, &bounds, x->path, err);
        if (rc)
            return rc;
    }
    if (rc == 1 && !x->ended && vh__grpc_queue_empty(&x->in) && vh__grpc_call_more(x->client->core, &x->call, err))
        return -ENOMEM; /* nothing else makes it fail */
    return rc;
}

const char *vh__rpc_exchange_message(const vh__rpc_exchange *x)
{
    return x->call.message.data ? x->call.message.data : "";
}

const vh__buf *vh__rpc_exchange_details(const vh__rpc_exchange *x)
{
    return &x->call.details;
}

int vh__rpc_exchange_fd(const vh__rpc_exchange *x)
{
    return x->client->fd;
}

bool vh__rpc_exchange_ready(vh__rpc_exchange *x)
{
    if (x->ended || !vh__grpc_queue_empty(&x->in))
        return true;
    /* What fails here fails again in vh__rpc_exchange_recv(), which is to be called then. */
    return vh__rpc_client_flush(x->client, NULL) || vh__rpc_client_pump(x->client, NULL) || x->ended ||
           !vh__grpc_queue_empty(&x->in) || vh__rpc_client_flush(x->client, NULL);
}

void vh__rpc_exchange_close(vh__rpc_exchange *x)
{
    if (!x)
        return;
    if (x->started && !x->ended) {
        vh__grpc_call_cancel(x->client->core, &x->call);
        vh_ignore(vh__rpc_client_flush(x->client, NULL)); /* tells the server if it can */
    }
    x->client->busy = false;
    vh__grpc_call_fini(&x->call);
    vh__grpc_queue_fini(&x->in);
    free(x->path);
    free(x);
}

void vh__rpc_reply_fini(vh__rpc_reply *reply)
{
    vh__buf_fini(&reply->message);
    vh__buf_fini(&reply->details);
    vh__buf_fini(&reply->body);
    *reply = (vh__rpc_reply){ 0 };
}

/* Takes what a unary call brings: one message with OK, none with anything else. */
static int take_reply(vh__rpc_exchange *x, vh__rpc_reply *reply, vh_error *err)
{
    vh_auto_buf vh__buf more = { 0 };
    int got = vh__rpc_exchange_recv(x, NULL, &reply->body, &reply->status, err), rc = got;

    if (got > 0)
        rc = vh__rpc_exchange_recv(x, NULL, &more, &reply->status, err);
    if (rc > 0)
        return vh_error_set(err, VH_EPROTOCOL, "gRPC answer: a second message to a unary call");
    if (rc == 0 && got == 0 && reply->status == VH_GRPC_OK)
        return vh_error_set(err, VH_EPROTOCOL, "gRPC answer: status OK without a message");
    return rc;
}

/* Moves the outcome over. */
static void fill_reply(vh__rpc_exchange *x, vh__rpc_reply *reply)
{
    if (reply->status != VH_GRPC_OK)
        vh__buf_fini(&reply->body);
    vh__buf_fini(&reply->message);
    vh__buf_fini(&reply->details);
    reply->message = x->call.message;
    reply->details = x->call.details;
    x->call.message = x->call.details = (vh__buf){ 0 };
}

int vh__rpc_call(vh__rpc_client *client, const char *path, const void *request, size_t n, const vh__wait *w,
                 vh__rpc_reply *reply, vh_error *err)
{
    vh__rpc_exchange *x = NULL;
    int rc = prepare(client, path, w, &x, err);

    if (rc)
        return rc;
    rc = vh__rpc_exchange_send(x, request, n, true, err);
    if (!rc)
        rc = take_reply(x, reply, err);
    if (!rc)
        fill_reply(x, reply);
    reply->first_byte_ns = x->first_byte_ns;
    reply->last_byte_ns = x->last_byte_ns;
    vh__rpc_exchange_close(x);
    return rc;
}
