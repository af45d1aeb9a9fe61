/*
 * gRPC over plaintext HTTP/2 with prior knowledge: a blocking client, and a server with unary handlers on its loop and
 * streaming ones on threads. Both are thin adapters: the protocol lives in cores without input or output
 * (grpc_client.h, grpc_server.h).
 *
 *     vh__rpc_client *c;
 *     if (vh__rpc_client_new(fd, "127.0.0.1:50051", &c, &err)) ...
 *     vh__rpc_reply reply = { 0 };
 *     rc = vh__rpc_call(c, "/helloworld.Greeter/SayHello", bytes, n, &wait, &reply, &err);
 *     vh__rpc_reply_fini(&reply);
 *     vh__rpc_client_free(c);
 *
 *     static const vh__rpc_method methods[] = { { .path = "/helloworld.Greeter/SayHello", .handler = say_hello } };
 *     vh__rpc_server_options o = { .port = 50051, .methods = methods, .nmethods = 1 };
 *     if (vh__rpc_server_new(&o, &server, &err) == 0)
 *         rc = vh__rpc_server_run(server, &err);
 *
 * Threads: a client is used by one thread at a time. A server runs all connections and unary handlers on the thread of
 * vh__rpc_server_run(), and each call of a streaming method on one of its own, which takes no signals (thread.h); only
 * vh__rpc_server_stop() may be called from elsewhere.
 */
#ifndef VH_RPC_RPC_H
#define VH_RPC_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vhive/attr.h>
#include <vhive/error.h>

#include "buf.h"
#include "grpc_metadata.h"
#include "grpc_status.h"
#include "wait.h"

/** Most bytes of one message where the options name none: gRPC's own default. */
#define VH_RPC_MESSAGE_MAX (4u << 20)

typedef struct vh__rpc_client vh__rpc_client;

/** What a unary call brought back. Zero-initialise; vh__rpc_reply_fini(). */
typedef struct vh__rpc_reply {
    vh__grpc_status status;
    vh__buf message;                     /* grpc-message, decoded; empty with VH_GRPC_OK as a rule */
    vh__buf details;                     /* grpc-status-details-bin, decoded: a google.rpc.Status; mostly empty */
    vh__buf body;                        /* the reply message, empty unless VH_GRPC_OK */
    int64_t first_byte_ns, last_byte_ns; /* CLOCK_MONOTONIC: first header of the answer, its end */
} vh__rpc_reply;

void vh__rpc_reply_fini(vh__rpc_reply *reply);

/**
 * Makes a client on the connected stream socket |fd|, which is taken in any case (made non-blocking; closed with the
 * client, or here on error). |authority| ("host:port") is copied. -ENOMEM, -errno.
 */
VH_MUST_CHECK int vh__rpc_client_new(int fd, const char *authority, vh__rpc_client **client, vh_error *err);
/** A client on a new connection to the Unix socket |path|, within |w|. Also -ENOENT, -ECONNREFUSED, -EACCES. */
VH_MUST_CHECK int vh__rpc_client_connect(const char *path, const vh__wait *w, vh__rpc_client **client, vh_error *err);
/** Sends a copy of |metadata| with every later call. NULL: none. -ENOMEM. */
VH_MUST_CHECK int vh__rpc_client_metadata(vh__rpc_client *client, const vh__grpc_metadata *metadata, vh_error *err);
/** Closes the connection. NULL is fine. */
void vh__rpc_client_free(vh__rpc_client *client);

/**
 * Calls the unary method |path| ("/package.Service/Method") with |n| bytes of request (borrowed) and waits for the
 * end of the call. The deadline of |w| goes to the server as grpc-timeout. Returns 0 with |*reply| filled whenever
 * the server answered, whatever the status; else VH_ETIMEDOUT or VH_ECANCELED (the stream is reset, the connection
 * can be used on), VH_EPROTOCOL (the peer does not speak HTTP/2 or gRPC), -ECONNRESET (it hung up), VH_ELIMIT (reply
 * longer than VH_RPC_MESSAGE_MAX), VH_ESTATE (an exchange is open), -ENOMEM.
 */
VH_MUST_CHECK int vh__rpc_call(vh__rpc_client *client, const char *path, const void *request, size_t n,
                               const vh__wait *w, vh__rpc_reply *reply, vh_error *err);

/**
 * A call with any number of messages in both directions, the caller's end. One at a time on a client: there is no other
 * call until it was closed. One thread at a time.
 */
typedef struct vh__rpc_exchange vh__rpc_exchange;

/** Begins a call of |path|; the bounds |w| are the call's. On success the caller owns |*x|. As vh__rpc_call(). */
VH_MUST_CHECK int vh__rpc_exchange_open(vh__rpc_client *client, const char *path, const vh__wait *w,
                                        vh__rpc_exchange **x, vh_error *err);
/**
 * Sends one message, the |last| one if so; waits while the server does not take it. -EPIPE when the call has ended
 * before: vh__rpc_exchange_recv() tells how. Else as vh__rpc_call().
 */
VH_MUST_CHECK int vh__rpc_exchange_send(vh__rpc_exchange *x, const void *message, size_t n, bool last, vh_error *err);
/** Tells the server that no message follows, where that was not known with the last one. */
VH_MUST_CHECK int vh__rpc_exchange_end(vh__rpc_exchange *x, vh_error *err);
/**
 * The next message of the answer: 1 with |message| filled (cleared first), 0 at the end, when |*status| and the text in
 * vh__rpc_exchange_message() speak. Waits until |w|, NULL: until the call's bounds; VH_ETIMEDOUT and VH_ECANCELED leave
 * the call as it was.
 */
VH_MUST_CHECK int vh__rpc_exchange_recv(vh__rpc_exchange *x, const vh__wait *w, vh__buf *message,
                                        vh__grpc_status *status, vh_error *err);
/** Text of the status, "" before the end; borrowed. */
const char *vh__rpc_exchange_message(const vh__rpc_exchange *x);
/** Details of the status (google.rpc.Status), mostly empty; borrowed. */
const vh__buf *vh__rpc_exchange_details(const vh__rpc_exchange *x);
/**
 * For those who wait for other things as well: the socket to poll for reading, and whether a message or the end is
 * there already, so that vh__rpc_exchange_recv() would not wait. Ask before each poll.
 */
int vh__rpc_exchange_fd(const vh__rpc_exchange *x);
bool vh__rpc_exchange_ready(vh__rpc_exchange *x);
/** Resets the call if it has not ended, and frees |x|. NULL is fine. */
void vh__rpc_exchange_close(vh__rpc_exchange *x);

/** A request as a handler sees it; borrowed for its run. */
typedef struct vh__rpc_request {
    const char *path;
    const void *body;
    size_t len;
    int64_t deadline_ns; /* CLOCK_MONOTONIC, INT64_MAX: the caller named none */
    const vh__grpc_metadata *metadata;
} vh__rpc_request;

/**
 * Where a handler leaves its answer: |body| with VH_GRPC_OK, with any other status |message| (for people) and, where
 * there is more to tell, |details|: a serialised google.rpc.Status of at most VH_GRPC_DETAILS_MAX bytes.
 */
typedef struct vh__rpc_answer {
    vh__buf body, message, details;
} vh__rpc_answer;

/**
 * Answers one unary call and returns its status. Runs on the server's loop, so every other call waits for it: right
 * for functions that serve one request at a time, wrong for anything that blocks.
 */
typedef vh__grpc_status (*vh__rpc_handler)(const vh__rpc_request *request, vh__rpc_answer *answer, void *arg);

/*
 * One call on a thread of its own: for what blocks or streams. It receives and sends messages in any order; one other
 * thread may receive while the handler's sends, or the other way round. The call ends when the handler returns. When it
 * ends sooner (the caller goes, the deadline passes, the server stops) the handler finds out from its next call of
 * these, or from the token, and returns soon: the server waits for it when it stops.
 */
typedef struct vh__rpc_stream vh__rpc_stream;

/** Answers one call and returns its status; |answer| says more of one that is not OK, its |body| is not used. */
typedef vh__grpc_status (*vh__rpc_stream_handler)(vh__rpc_stream *stream, vh__rpc_answer *answer, void *arg);

/**
 * The next message of the caller: 1 with |message| filled (cleared first), 0 when it will send no more. VH_ECANCELED
 * when it has gone or the server stops, VH_ETIMEDOUT at the call's deadline. |w| bounds the wait further and leaves the
 * call as it was; NULL: only the call's bounds.
 */
VH_MUST_CHECK int vh__rpc_stream_recv(vh__rpc_stream *stream, vh__buf *message, const vh__wait *w, vh_error *err);
/** Sends one message; waits while the caller does not take what was sent before. As above; VH_ELIMIT, -ENOMEM. */
VH_MUST_CHECK int vh__rpc_stream_send(vh__rpc_stream *stream, const void *message, size_t n, vh_error *err);
/** Bounds of the call: the time it has left, and a token triggered when it ends. Borrowed until the next one. */
const vh_call *vh__rpc_stream_call(vh__rpc_stream *stream);
/** Value of the metadata |name| (lower case), NULL if there is none; borrowed for the call. */
const char *vh__rpc_stream_metadata(const vh__rpc_stream *stream, const char *name);
/**
 * For handlers that wait for other things as well: a descriptor to poll for reading, and whether a message or an end is
 * there already, so that vh__rpc_stream_recv() would not wait. Ask before each poll.
 */
int vh__rpc_stream_fd(const vh__rpc_stream *stream);
bool vh__rpc_stream_ready(vh__rpc_stream *stream);

typedef struct vh__rpc_method {
    const char *path; /* "/package.Service/Method" */
    vh__rpc_handler handler; /* on the loop; or */
    vh__rpc_stream_handler stream; /* on a thread */
    void *arg;
    bool watch; /* a stream without an end of its own: it is ended as soon as the server stops, not after grace_ms */
} vh__rpc_method;

/** Zero members mean the default. The methods are borrowed for the server's life. */
typedef struct vh__rpc_server_options {
    int listen_fd;       /* a listening socket of TCP or Unix, taken in any case; 0 or -1: one of TCP is made */
    const char *address; /* numeric; default "::", which takes IPv4 as well (0.0.0.0 where there is no IPv6) */
    uint16_t port;       /* 0: one the kernel picks, vh__rpc_server_port() */
    const vh__rpc_method *methods;
    size_t nmethods;
    size_t max_message;       /* bytes of one request message; default VH_RPC_MESSAGE_MAX */
    uint32_t max_streams;     /* calls at once on a connection; default 100 */
    uint32_t max_connections; /* further ones are closed at once; default 256 */
    uint32_t max_threads;     /* calls of streaming methods at once, further ones get RESOURCE_EXHAUSTED; default 64 */
    uint32_t idle_ms;         /* patience, default 300000: see below */
    uint32_t grace_ms;        /* after stop: time for calls under way; default 5000 */
} vh__rpc_server_options;

/*
 * What idle_ms bounds. A connection on which no frame became whole for so long is closed if no call is under way; else
 * the peer is asked for a sign of life, and closed if none comes for as long again. A unary request that is not whole
 * by then gets DEADLINE_EXCEEDED; an answer of which the caller takes nothing for so long is reset.
 */

typedef struct vh__rpc_server vh__rpc_server;

/** Makes a server that listens already. -EADDRINUSE and the like, VH_EINVALID (address, descriptor), -ENOMEM. */
VH_MUST_CHECK int vh__rpc_server_new(const vh__rpc_server_options *opts, vh__rpc_server **server, vh_error *err);
/** Port it listens on, 0 on a Unix socket. */
uint16_t vh__rpc_server_port(const vh__rpc_server *server);
/** Serves until vh__rpc_server_stop(). Returns 0 once every connection is closed and no handler runs. Call it once. */
VH_MUST_CHECK int vh__rpc_server_run(vh__rpc_server *server, vh_error *err);
/**
 * Ends vh__rpc_server_run() gracefully: no new connections, GOAWAY on the old ones, calls under way are answered within
 * grace_ms, watches at once; what is left then gets UNAVAILABLE. Any thread; async-signal-safe.
 */
void vh__rpc_server_stop(vh__rpc_server *server);
/** Frees a server that does not run. NULL is fine. */
void vh__rpc_server_free(vh__rpc_server *server);

#endif
