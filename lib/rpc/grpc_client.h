/*
 * Client side of one gRPC connection, without a socket: bytes of the peer in, bytes for the peer out, events of calls
 * in between. The owner moves the bytes (rpc_client.c over a socket) and keeps the time.
 *
 * A call lives in the owner's storage from vh__grpc_call_start() until its end event, or until
 * vh__grpc_call_cancel(). Its events are headers, any number of messages, end; they come from inside
 * vh__grpc_client_recv() and vh__grpc_client_output(), and may not free the client.
 * Threads: one at a time.
 */
#ifndef VH_RPC_GRPC_CLIENT_H
#define VH_RPC_GRPC_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vhive/attr.h>
#include <vhive/error.h>

#include "buf.h"
#include "grpc_frame.h"
#include "grpc_metadata.h"
#include "grpc_status.h"
#include "h2.h"

typedef struct vh__grpc_client vh__grpc_client;
typedef struct vh__grpc_call vh__grpc_call;

typedef struct vh__grpc_events {
    void (*headers)(vh__grpc_call *call); /* optional: the first header block of the answer is whole */
    /* A message, borrowed. 0 to go on; a negative code resets the call, which then ends with it. */
    int (*message)(vh__grpc_call *call, const void *bytes, size_t n, vh_error *err);
    /* The call is over and no longer used: |code| is 0 when |status| speaks for it, else what went wrong here. */
    void (*end)(vh__grpc_call *call);
} vh__grpc_events;

/** One call. The owner zeroes it, sets |events| and |arg|, and reads the outcome; the rest is the client's. */
struct vh__grpc_call {
    const vh__grpc_events *events;
    void *arg;
    const vh__grpc_metadata *metadata; /* sent with the request; NULL: none */
    bool hold; /* the owner has messages that wait: no new room for the server until vh__grpc_call_more() */
    /* outcome */
    vh__grpc_status status;
    vh__buf message; /* grpc-message, decoded */
    vh__buf details; /* grpc-status-details-bin, decoded; empty if it is no base64 */
    int code;
    vh_error error; /* set with |code| */
    /* the client's */
    int32_t id;
    int http_status;
    bool have_status, have_headers, grpc;
    size_t header_bytes, held;
    vh__h2_body out;
    vh__grpc_frames in;
};

/** Frees what |call| holds once it has ended or was cancelled, or was never started. */
void vh__grpc_call_fini(vh__grpc_call *call);

/** |authority| is copied; |max_message| bounds each message of an answer. -ENOMEM. */
VH_MUST_CHECK int vh__grpc_client_new(const char *authority, size_t max_message, vh__grpc_client **client,
                                      vh_error *err);
/** Frees |client|; calls that have not ended get no event any more. NULL is fine. */
void vh__grpc_client_free(vh__grpc_client *client);

/** Takes bytes of the peer. VH_EPROTOCOL when it breaks HTTP/2, -ENOMEM: the connection is then lost. */
VH_MUST_CHECK int vh__grpc_client_recv(vh__grpc_client *client, const void *bytes, size_t n, vh_error *err);
/** Appends bytes for the peer until nothing is left or |out| is large (VH_H2_OUTPUT). -ENOMEM, VH_EPROTOCOL. */
VH_MUST_CHECK int vh__grpc_client_output(vh__grpc_client *client, vh__buf *out, vh_error *err);
/** False once nothing more can come: either end has closed the session. */
bool vh__grpc_client_alive(const vh__grpc_client *client);

/**
 * Starts a call of |path|, telling the server |timeout_ns| (INT64_MAX: none). -ENOMEM, VH_ELIMIT (metadata),
 * VH_EPROTOCOL; then there is no call.
 */
VH_MUST_CHECK int vh__grpc_call_start(vh__grpc_client *client, vh__grpc_call *call, const char *path,
                                      int64_t timeout_ns, vh_error *err);
/** Sends one message (< 4 GiB), the |last| of the call if so. -ENOMEM. */
VH_MUST_CHECK int vh__grpc_call_send(vh__grpc_client *client, vh__grpc_call *call, const void *message, size_t n,
                                     bool last, vh_error *err);
/** Tells the server that no message follows. -ENOMEM. */
VH_MUST_CHECK int vh__grpc_call_end(vh__grpc_client *client, vh__grpc_call *call, vh_error *err);
/** Bytes that were sent and that the server's window has not taken yet. */
size_t vh__grpc_call_unsent(const vh__grpc_call *call);
/** The messages that were held are taken: clears hold and gives the server new room. -ENOMEM. */
VH_MUST_CHECK int vh__grpc_call_more(vh__grpc_client *client, vh__grpc_call *call, vh_error *err);
/** Resets a call that has not ended; it gets no event any more. */
void vh__grpc_call_cancel(vh__grpc_client *client, vh__grpc_call *call);

#endif
