/* What grpc_proxy.c (ends) and grpc_relay.c (calls) share. */
#ifndef VH_RPC_GRPC_PROXY_PRIV_H
#define VH_RPC_GRPC_PROXY_PRIV_H

#include <nghttp2/nghttp2.h>
#include <sys/queue.h>

#include "grpc_meter.h"
#include "grpc_proxy.h"
#include "h2.h"
#include "h2_fields.h"
#include "pipe.h"

/* Sides of the proxy. A call has a leg on each; its flow [FRONT] is what comes from the client. */
enum { FRONT = 0, BACK = 1 };

static inline int vh__proxy_other(int side)
{
    return !side;
}

struct vh__proxy_leg {
    vh__grpc_end *end; /* NULL while there is none yet, and once the connection is gone */
    int32_t id;
    bool open; /* the stream has not been closed there */
};

/* What comes in on one leg of a call and leaves on the other. */
struct vh__proxy_flow {
    vh__pipe held;
    vh__h2_fields trailers; /* that came, to be sent after |held| */
    vh__grpc_meter meter;
    bool metered;     /* it is gRPC by its own header, so its bytes are messages */
    bool started;     /* its first HEADERS went to the other session, */
    bool headers_out; /* and left from there */
    bool ended;       /* nothing more comes, by END_STREAM or because we answer ourselves */
    bool end_out;     /* END_STREAM left */
    bool reset;       /* once all that left, reset the other leg with |reset_code| */
    uint32_t reset_code;
};

struct vh__proxy_call {
    LIST_ENTRY(vh__proxy_call) link; /* of its front, then of the spare ones */
    vh__grpc_proxy *proxy;
    struct vh__proxy_leg leg[2];
    struct vh__proxy_flow flow[2];
    nghttp2_rcbuf *path;
    int64_t began_ns, deadline_ns;
    vh__grpc_status status;
    bool have_status, answered;
    bool refused;   /* the backend never saw it, so it may be repeated */
    char local[16]; /* value of the grpc-status that we answer ourselves; "" if we do not */
    vh__buf text;   /* and of its grpc-message */
};

LIST_HEAD(vh__proxy_calls, vh__proxy_call);

struct vh__grpc_proxy {
    vh__grpc_proxy_owner owner;
    size_t max_message;
    uint32_t max_streams;
    nghttp2_session_callbacks *callbacks;
    vh__blocks blocks;
    struct vh__proxy_calls spare;
    size_t nspare;
    nghttp2_nv nv[VH_H2_RELAY_FIELDS]; /* for one submission at a time */
};

struct vh__grpc_end {
    vh__grpc_proxy *proxy;
    nghttp2_session *session;
    int side;
    void *user;
    vh__h2_fields fields; /* of the header block that is coming in */
    vh__buf *out;         /* where output goes while it is asked for */
    uint32_t ncalls;      /* legs open here; of a front: calls that are not over */
    bool broken;          /* out of memory in the middle of something: it cannot go on */
    bool leaving;         /* the peer has said goodbye: no new calls */
    struct vh__proxy_calls calls; /* of a front */
    LIST_HEAD(, vh__grpc_end) backs; /* of a front; new calls go to the first, unless it is leaving */
    LIST_ENTRY(vh__grpc_end) link;   /* of a back */
    vh__grpc_end *front;             /* of a back; NULL once that is gone */
};

/** Makes the end of a connection to the backend and has the owner connect it; NULL if that fails. */
vh__grpc_end *vh__proxy_back_new(vh__grpc_end *front);
/** Tells the owner that |end| has output; |rc| of nghttp2, when negative, is the end of it. */
void vh__proxy_wake(vh__grpc_end *end, int rc);

/* Events of a stream, from the callbacks of nghttp2. |call| belongs to the stream. */

/** A client opens a stream: NULL when out of memory. */
struct vh__proxy_call *vh__proxy_call_new(vh__grpc_end *front, int32_t id);
/** The header block of a request is whole, in |front->fields|. */
void vh__proxy_request(struct vh__proxy_call *call, vh__grpc_end *front, bool last);
/** A header block of an answer is whole, in |back->fields|. */
void vh__proxy_response(struct vh__proxy_call *call, vh__grpc_end *back, bool last);
/** Trailers are whole, in |end->fields|. */
void vh__proxy_trailers(struct vh__proxy_call *call, vh__grpc_end *end);
/** Bytes came in on |end|. -ENOMEM. */
VH_MUST_CHECK int vh__proxy_data(struct vh__proxy_call *call, vh__grpc_end *end, const uint8_t *bytes, size_t n);
/** END_STREAM came in on |end|. */
void vh__proxy_ended(struct vh__proxy_call *call, vh__grpc_end *end);
/** The stream on |end| is closed. |call| may be gone afterwards. */
void vh__proxy_closed(struct vh__proxy_call *call, vh__grpc_end *end, uint32_t code);
/** HEADERS or DATA left on |end|. */
void vh__proxy_sent(struct vh__proxy_call *call, vh__grpc_end *end, bool headers, bool last);
/** DATA of |n| bytes leaves on |end|, after its frame header. A result for nghttp2's send-data callback. */
int vh__proxy_move(struct vh__proxy_call *call, vh__grpc_end *end, const uint8_t *head, size_t n);

/** Answers |call| here, as far as it was not answered, and lets go of the backend. |call| may be gone afterwards. */
void vh__proxy_answer(struct vh__proxy_call *call, vh__grpc_status status, const char *text);
/** Frees |call| without a word to anybody. */
void vh__proxy_call_free(struct vh__proxy_call *call);

#endif
