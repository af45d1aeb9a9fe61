/*
 * A proxy for gRPC without sockets: what clients ask goes on to one backend, and its answers come back, whatever the
 * service and method, unary or streaming. Header fields, data, half-close, trailers and resets pass as they are; the
 * content of messages is not looked at, only their length.
 *
 * A connection is an end: a front towards a client, or a back towards the backend. Each front has backs of its own,
 * made when a call needs one: as a rule one, a second when the backend has said goodbye (GOAWAY) to the first, whose
 * calls then finish there. One for each client and not one for all: streams map one to one, so the backend's limits,
 * windows and bookkeeping fall on the client that is the cause; a client that ends takes its calls with it by the
 * closing of one socket; and no client waits behind another's flow control. The price, one connect() of a Unix socket
 * for each client, is a twentieth of what its first call costs.
 *
 * Flow control goes end to end. Bytes that came in open the window of the sender only as they leave on the other side,
 * so a slow reader slows its own stream, and a stream holds VH_PROXY_WINDOW bytes at most, an end VH_PROXY_HELD.
 *
 * Deadlines are the business of caller and backend; a call that is still unanswered VH_PROXY_LATE_NS after its own one
 * is ended here. What goes wrong here is answered with a status of gRPC: UNAVAILABLE when the backend is lost or cannot
 * be reached, RESOURCE_EXHAUSTED for messages or headers over the limits, DEADLINE_EXCEEDED.
 *
 * Every call passes yet. One that is to be decided on (CRI calls about microVM pods) is to be taken in
 * vh__proxy_request() of grpc_relay.c, the one place that knows path and header fields and has not chosen a back:
 * there the owner is to be asked to pass it, or to let the request's bytes stay in the pipe until they are whole, and
 * then to send others in their place or to answer by vh__proxy_answer().
 *
 * Threads: all ends of one proxy on one thread. Callbacks come from inside the calls below and must not make or free
 * ends of a client (connect is the exception: it may keep the back it is given).
 */
#ifndef VH_RPC_GRPC_PROXY_H
#define VH_RPC_GRPC_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vhive/attr.h>
#include <vhive/error.h>

#include "buf.h"
#include "clock.h"
#include "grpc_status.h"

/** Bytes that one stream may send before they are passed on. */
#define VH_PROXY_WINDOW (256u << 10)
/** Bytes that all streams of an end may send before they are passed on. */
#define VH_PROXY_HELD (4u << 20)
/** How long past its deadline a call may stay unanswered. */
#define VH_PROXY_LATE_NS (5 * VH_NS_PER_S)

typedef struct vh__grpc_proxy vh__grpc_proxy; /* what the ends of one thread share */
typedef struct vh__grpc_end vh__grpc_end;

/** A call that is over; borrowed. */
typedef struct vh__grpc_proxied {
    const char *path; /* "" if the client sent none */
    vh__grpc_status status;
    bool answered; /* by the backend, not here */
    int64_t took_ns;
} vh__grpc_proxied;

/** The owner of the ends; all but |calls| required. */
typedef struct vh__grpc_proxy_owner {
    /* |front| needs a connection to the backend: its end is |back|, the owner's from now on. Returns what |back| shall
     * carry as its user; NULL: it cannot be (then |back| is freed by the proxy). */
    void *(*connect)(vh__grpc_end *back, vh__grpc_end *front, void *arg);
    /* |end| may have something to send: ask vh__grpc_end_output() before waiting for anything. */
    void (*wake)(vh__grpc_end *end, void *arg);
    /* Optional: a call began (NULL) or ended. */
    void (*call)(const vh__grpc_proxied *ended, void *arg);
    void *arg;
} vh__grpc_proxy_owner;

/**
 * |owner| is copied. |max_message| bounds each message, |max_streams| the calls of one client at once; neither may be
 * zero. -ENOMEM.
 */
VH_MUST_CHECK int vh__grpc_proxy_new(const vh__grpc_proxy_owner *owner, size_t max_message, uint32_t max_streams,
                                     vh__grpc_proxy **proxy, vh_error *err);
/** After its ends. NULL is fine. */
void vh__grpc_proxy_free(vh__grpc_proxy *proxy);
/** Most bytes of messages it ever held at once. */
size_t vh__grpc_proxy_most_held(const vh__grpc_proxy *proxy);

/** An end for a client that has come; |user| is the owner's. -ENOMEM. */
VH_MUST_CHECK int vh__grpc_front_new(vh__grpc_proxy *proxy, void *user, vh__grpc_end **front, vh_error *err);
/**
 * The connection is gone. Of a back: its calls are answered with UNAVAILABLE and |why|. Of a front: its calls are
 * dropped; free its backs as well. NULL is fine.
 */
void vh__grpc_end_free(vh__grpc_end *end, const char *why);
/** What the owner gave. */
void *vh__grpc_end_user(const vh__grpc_end *end);

/** Takes bytes of the peer. VH_EPROTOCOL, -ENOMEM: close the connection. */
VH_MUST_CHECK int vh__grpc_end_recv(vh__grpc_end *end, const void *bytes, size_t n, vh_error *err);
/** Appends bytes for the peer until nothing is left or |out| is large (VH_H2_OUTPUT and a frame). Errors as above. */
VH_MUST_CHECK int vh__grpc_end_output(vh__grpc_end *end, vh__buf *out, vh_error *err);
/** False once it can be closed: the peer or vh__grpc_front_goaway() ended it, and its calls are over. */
bool vh__grpc_end_alive(const vh__grpc_end *end);
/** Calls under way. */
uint32_t vh__grpc_end_calls(const vh__grpc_end *end);

/** Announces the end: calls under way go on, new ones are refused. */
VH_MUST_CHECK int vh__grpc_front_goaway(vh__grpc_end *front, vh_error *err);
/** Ends calls whose deadlines are long past; call it about once a second with CLOCK_MONOTONIC. */
void vh__grpc_front_expire(vh__grpc_end *front, int64_t now_ns);

#endif
