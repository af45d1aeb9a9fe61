/* What the two halves of a server's connection share: grpc_server.c takes calls in, grpc_answer.c answers them. */
#ifndef VH_RPC_GRPC_SERVER_PRIV_H
#define VH_RPC_GRPC_SERVER_PRIV_H

#include <sys/queue.h>

#include "grpc_frame.h"
#include "grpc_server.h"
#include "h2.h"

/* One call. |status| other than OK before the request is whole means that it is refused already. */
struct stream {
    vh__grpc_stream pub; /* first: the owner's view of a streaming call */
    LIST_ENTRY(stream) link;
    int32_t id;
    bool post, grpc;
    bool whole;    /* the caller has sent all */
    bool told;     /* a streaming call whose owner has had begin() and neither gone() nor finished it */
    bool started;  /* the header of the answer is submitted */
    bool answered; /* the status is settled: no more is taken or sent */
    vh__buf path;
    vh__grpc_metadata metadata;
    size_t header_bytes;
    size_t received;    /* bytes of the request that are held here or by the owner */
    size_t held;        /* of them, those that the caller has got no new room for */
    int64_t expires_ns; /* the deadline, or the end of patience with a request that is not whole */
    int64_t moved_ns;   /* when the caller last took something of the answer, or the first of it was there */
    vh__grpc_frames in;
    vh__buf request;
    vh__grpc_status status;
    vh__buf message, details;
    vh__h2_body out;
};

struct vh__grpc_server {
    nghttp2_session *session;
    const vh__rpc_server_options *opts;
    const vh__grpc_stream_events *events;
    void *arg; /* of the events */
    LIST_HEAD(, stream) streams;
    size_t received; /* bytes of requests that its streams hold */
    uint64_t frames;
};

/** Settles the status of |st|, unless it has one that is not OK. */
void vh__grpc_refuse(struct stream *st, vh__grpc_status status, const char *why);

/** Submits the answer as far as it is known, whole with its status. A code of nghttp2. */
VH_MUST_CHECK int vh__grpc_answer(vh__grpc_server *s, struct stream *st);
/** Submits the status now, dropping what has not been sent. A code of nghttp2. */
VH_MUST_CHECK int vh__grpc_answer_now(vh__grpc_server *s, struct stream *st);
/** Submits the header of an answer that has messages, or lets those that were added go out. A code of nghttp2. */
VH_MUST_CHECK int vh__grpc_answer_more(vh__grpc_server *s, struct stream *st);

#endif
