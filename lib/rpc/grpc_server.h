/*
 * Server side of one gRPC connection, without a socket, a thread or a clock that ticks: bytes of the peer in, bytes for
 * the peer out. Unary calls are answered by the table of methods in between; calls of streaming methods become events
 * for the owner, who answers them when it likes. The owner also moves the bytes and tells when time has passed.
 *
 * What a peer can make it hold is bounded: max_streams calls, max_message bytes for each and four times that for all
 * of them, VH_H2_HEADER_LIST bytes of headers; floods of resets, pings and settings are nghttp2's to stop. A message is
 * given room as it comes, up to max_message; messages that the owner holds close the window behind them.
 * Threads: one at a time.
 */
#ifndef VH_RPC_GRPC_SERVER_H
#define VH_RPC_GRPC_SERVER_H

#include "grpc_metadata.h"
#include "rpc.h"

typedef struct vh__grpc_server vh__grpc_server;

/** A call of a streaming method: the server's, from begin() until gone() or vh__grpc_stream_finish(). */
typedef struct vh__grpc_stream {
    const vh__rpc_method *method;
    const vh__grpc_metadata *metadata;
    int64_t deadline_ns; /* CLOCK_MONOTONIC, INT64_MAX: none */
    void *user;          /* the owner's */
    bool hold;           /* the owner's: messages that it was told wait; no new room for the caller until _more() */
} vh__grpc_stream;

/* They come from inside the functions below, and may call vh__grpc_stream_* but not free the server. */
typedef struct vh__grpc_stream_events {
    /* A call begins. Any status but OK refuses it, with the text in |why|; no other event follows then. */
    vh__grpc_status (*begin)(vh__grpc_stream *stream, void *arg, vh__buf *why);
    /* A message, borrowed. An error ends the call: RESOURCE_EXHAUSTED for -ENOMEM and VH_ELIMIT, else INTERNAL. */
    int (*message)(vh__grpc_stream *stream, const void *bytes, size_t n, vh_error *err);
    /* The caller will send no more. */
    void (*last)(vh__grpc_stream *stream);
    /* All that was sent is on its way: the moment to send more. */
    void (*drained)(vh__grpc_stream *stream);
    /* The call is over and |stream| with it: VH_ETIMEDOUT at its deadline, else VH_ECANCELED. */
    void (*gone)(vh__grpc_stream *stream, int code);
} vh__grpc_stream_events;

/**
 * Uses of |opts| the methods, max_message, max_streams and idle_ms, none of them zero; borrowed, as |events| are, which
 * may be NULL where no method streams. |arg| is for begin(). -ENOMEM.
 */
VH_MUST_CHECK int vh__grpc_server_new(const vh__rpc_server_options *opts, const vh__grpc_stream_events *events,
                                      void *arg, vh__grpc_server **server, vh_error *err);
/** Streams that are left are gone. NULL is fine. */
void vh__grpc_server_free(vh__grpc_server *server);

/** Takes bytes of the peer; handlers run from inside. VH_EPROTOCOL, -ENOMEM: close the connection. */
VH_MUST_CHECK int vh__grpc_server_recv(vh__grpc_server *server, const void *bytes, size_t n, vh_error *err);
/** Appends bytes for the peer until nothing is left or |out| is large. -ENOMEM, VH_EPROTOCOL. */
VH_MUST_CHECK int vh__grpc_server_output(vh__grpc_server *server, vh__buf *out, vh_error *err);
/** False once both ends are done with the session. */
bool vh__grpc_server_alive(const vh__grpc_server *server);
/** Whether calls are under way. */
bool vh__grpc_server_busy(const vh__grpc_server *server);
/** How many whole frames have come: a peer that dribbles makes no progress by it. */
uint64_t vh__grpc_server_frames(const vh__grpc_server *server);
/** Asks the peer for a sign of life, which is a frame. */
VH_MUST_CHECK int vh__grpc_server_ping(vh__grpc_server *server, vh_error *err);
/** Announces the end (GOAWAY): calls under way are answered, new ones refused. */
VH_MUST_CHECK int vh__grpc_server_goaway(vh__grpc_server *server, vh_error *err);

/** When vh__grpc_server_expire() is due next, CLOCK_MONOTONIC; INT64_MAX: nothing waits for a time. */
int64_t vh__grpc_server_due(const vh__grpc_server *server);
/**
 * Ends what is late at |now_ns|: calls beyond their deadline and unary requests that are not whole after idle_ms with
 * DEADLINE_EXCEEDED, answers of which the caller took nothing for idle_ms with a reset.
 */
VH_MUST_CHECK int vh__grpc_server_expire(vh__grpc_server *server, int64_t now_ns, vh_error *err);
/** Ends every streaming call, or (|watches|) only those of methods that have no end of their own, with |status|. */
VH_MUST_CHECK int vh__grpc_server_cut(vh__grpc_server *server, bool watches, vh__grpc_status status, const char *why,
                                      vh_error *err);

/** Sends what |framed| holds, whole messages with their prefix, and empties it. -ENOMEM, VH_EPROTOCOL. */
VH_MUST_CHECK int vh__grpc_stream_send(vh__grpc_server *server, vh__grpc_stream *stream, vh__buf *framed,
                                       vh_error *err);
/** Bytes that were sent and that the peer's window has not taken yet. */
size_t vh__grpc_stream_unsent(const vh__grpc_stream *stream);
/** The messages that were held are taken: clears hold and gives the caller new room. */
VH_MUST_CHECK int vh__grpc_stream_more(vh__grpc_server *server, vh__grpc_stream *stream, vh_error *err);
/** Ends the call, behind what was sent, with message and details of |answer|. |stream| is over: no gone() follows. */
VH_MUST_CHECK int vh__grpc_stream_finish(vh__grpc_server *server, vh__grpc_stream *stream, vh__grpc_status status,
                                         const vh__rpc_answer *answer, vh_error *err);

#endif
