#include "rpc.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "auto.h"
#include "clock.h"
#include "fd.h"
#include "grpc_client.h"

struct vh__rpc_client {
    int fd;
    vh__grpc_client *core;
    vh__buf out; /* made by the core, not yet taken by the socket */
};

void vh__rpc_reply_fini(vh__rpc_reply *reply)
{
    vh__buf_fini(&reply->message);
    vh__buf_fini(&reply->body);
    *reply = (vh__rpc_reply){ 0 };
}

int vh__rpc_client_new(int fd, const char *authority, vh__rpc_client **client, vh_error *err)
{
    vh__rpc_client *c = calloc(1, sizeof(*c));
    int one = 1, rc;

    if (!c) {
        vh__fd_close(&fd);
        return vh_error_set(err, -ENOMEM, "gRPC client");
    }
    c->fd = fd;
    /* Small frames wait for nothing; fails on a Unix socket, which has no such delay. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    rc = vh__fd_nonblock(fd, err);
    if (!rc)
        rc = vh__grpc_client_new(authority, VH_RPC_MESSAGE_MAX, &c->core, err);
    if (rc) {
        vh__rpc_client_free(c);
        return rc;
    }
    *client = c;
    return 0;
}

void vh__rpc_client_free(vh__rpc_client *client)
{
    if (!client)
        return;
    vh__grpc_client_free(client->core);
    vh__buf_fini(&client->out);
    vh__fd_close(&client->fd);
    free(client);
}

/* One call under way: the reply that is filled, and whether its end has come. */
struct unary {
    vh__rpc_reply *reply;
    bool ended, have_message;
};

static void on_headers(vh__grpc_call *call)
{
    struct unary *u = call->arg;

    u->reply->first_byte_ns = vh__clock_mono_ns();
}

static int on_message(vh__grpc_call *call, const void *bytes, size_t n, vh_error *err)
{
    struct unary *u = call->arg;

    if (u->have_message)
        return vh_error_set(err, VH_EPROTOCOL, "gRPC answer: a second message to a unary call");
    u->have_message = true;
    vh__buf_append(&u->reply->body, bytes, n);
    return vh__buf_check(&u->reply->body, "gRPC answer", err);
}

static void on_end(vh__grpc_call *call)
{
    struct unary *u = call->arg;

    u->reply->last_byte_ns = vh__clock_mono_ns();
    u->ended = true;
}

static const vh__grpc_events unary_events = { .headers = on_headers, .message = on_message, .end = on_end };

/* Writes what the socket takes now. */
static int flush(vh__rpc_client *c, vh_error *err)
{
    for (;;) {
        ssize_t n;
        int rc = vh__grpc_client_output(c->core, &c->out, err);

        if (rc || c->out.len == 0)
            return rc;
        n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0)
            return vh_error_set(err, -errno, "send to the gRPC server");
        vh__buf_consume(&c->out, (size_t)n);
    }
}

/* Reads what has come, once. */
static int pump(vh__rpc_client *c, vh_error *err)
{
    char bytes[16384];
    ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);

    if (n > 0)
        return vh__grpc_client_recv(c->core, bytes, (size_t)n, err);
    if (n == 0)
        return vh_error_set(err, -ECONNRESET, "the gRPC server hung up before it answered");
    return errno == EAGAIN || errno == EINTR ? 0 : vh_error_set(err, -errno, "receive from the gRPC server");
}

static int run_call(vh__rpc_client *c, const struct unary *u, const vh__wait *w, const char *path, vh_error *err)
{
    for (;;) {
        int rc = flush(c, err);

        if (rc || u->ended)
            return rc;
        if (!vh__grpc_client_alive(c->core))
            return vh_error_set(err, VH_EPROTOCOL,
                                "the peer does not speak HTTP/2 or closed the session; is this a gRPC port?");
        rc = vh__wait_fd(w, c->fd, c->out.len ? POLLIN | POLLOUT : POLLIN, path, err);
        if (!rc)
            rc = pump(c, err);
        if (rc)
            return rc;
    }
}

/* What the ended call left: its outcome into the reply, or the local error. */
static int finish(vh__grpc_call *call, const struct unary *u, vh_error *err)
{
    vh__rpc_reply *reply = u->reply;

    if (call->code)
        return vh_error_set(err, call->code, "%s", call->error.msg);
    if (call->status == VH_GRPC_OK && !u->have_message)
        return vh_error_set(err, VH_EPROTOCOL, "gRPC answer: status OK without a message");
    reply->status = call->status;
    vh__buf_fini(&reply->message);
    reply->message = call->message;
    call->message = (vh__buf){ 0 };
    return vh__buf_check(&reply->message, "gRPC answer", err);
}

int vh__rpc_call(vh__rpc_client *client, const char *path, const void *request, size_t n, const vh__wait *w,
                 vh__rpc_reply *reply, vh_error *err)
{
    struct unary u = { .reply = reply };
    vh__grpc_call call = { .events = &unary_events, .arg = &u };
    int rc = vh__wait_check(w, path, err);

    if (rc)
        return rc;
    rc = vh__grpc_call_start(client->core, &call, path, w->deadline_ns - vh__clock_mono_ns(), err);
    if (rc)
        return rc;
    rc = vh__grpc_call_send(client->core, &call, request, n, true, err);
    if (!rc)
        rc = run_call(client, &u, w, path, err);
    if (!rc)
        rc = finish(&call, &u, err);
    if (!u.ended) {
        vh__grpc_call_cancel(client->core, &call);
        (void)flush(client, NULL); /* tells the server if it can; the call has failed already */
    }
    vh__grpc_call_fini(&call);
    return rc;
}
