/*
 * Activation: one listening address per function, and connections that wait there until somebody says which instance
 * is theirs. From then on their bytes are moved by splice(2); this process never sees them.
 *
 *     static const vh__activate_ops ops = { wanted, ended };
 *     vh__activator_new(&o, &ops, functions, &a, &err);
 *     vh__activator_listen(a, "tcp:127.0.0.1", hello, &listener, &err);
 *     ...
 *     wanted(conn, owner, arg):  note it, start an instance elsewhere; later, from any thread
 *         vh__conn_grant(conn, &address, n)  or  vh__conn_refuse(conn)
 *     ended(conn, granted, arg): the instance has one less
 *
 * One thread of its own serves all listeners and connections, by an event loop. It never blocks: both callbacks are
 * called on it and may not block either. It takes no signals (thread.h).
 *
 * A connection is two descriptors, and two more for each direction that has bytes on their way just then.
 *
 * Threads: vh__conn_* from any thread, under any lock, also from inside the callbacks. So are vh__activator_listen()
 * and vh__listener_close(), but not under a lock that the callbacks take: they wait for the loop.
 */
#ifndef VH_ACTIVATE_ACTIVATE_H
#define VH_ACTIVATE_ACTIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <vhive/attr.h>
#include <vhive/env.h>
#include <vhive/error.h>

#include "trace.h"

/** Room for an address as text: "tcp:[v6]:port", "unix:/path". */
#define VH_ACTIVATE_ADDRESS 128

typedef struct vh__activator vh__activator;
typedef struct vh__listener vh__listener;
typedef struct vh__conn vh__conn;

typedef struct vh__activate_ops {
    /*
     * |conn| came to the listener of |owner| and waits. It stays valid until it was granted or refused, or, if its
     * peer goes first, until ended().
     */
    void (*wanted)(vh__conn *conn, void *owner, void *arg);
    /*
     * |conn| is over, and no longer valid once this returns: |granted| before and closed, or else its peer went, its
     * time passed or its listener was closed while it waited. Once for each conn, but not after a refusal. An answer
     * that the owner gives while this is on its way comes too late and changes nothing: so look the conn up under the
     * owner's lock, and ignore one that was refused.
     */
    void (*ended)(vh__conn *conn, bool granted, void *arg);
} vh__activate_ops;

typedef struct vh__activator_options {
    const vh_env *env;        /* borrowed */
    uint32_t max_connections; /* of all listeners; further ones are reset at once. No more than RLIMIT_NOFILE has
                                 descriptors for when the activator is made: raise it before */
    uint32_t wait_ms; /* a connection that waits longer for an instance is reset, and so is one whose instance accepts
                         nothing for so long */
    uint16_t port_first, port_last; /* of assigned TCP ports */
} vh__activator_options;

/** Makes an activator and starts its thread. |ops| and |arg| are borrowed for its life. -ENOMEM, -errno. */
VH_MUST_CHECK int vh__activator_new(const vh__activator_options *o, const vh__activate_ops *ops, void *arg,
                                    vh__activator **a, vh_error *err);
/**
 * Closes all connections and listeners, ends the thread, frees |a|. Every conn has been told to be ended by then. Not
 * from inside a callback, nor under a lock that they take.
 */
void vh__activator_free(vh__activator *a);

/**
 * Listens at |address|: "tcp:HOST:PORT", "tcp:HOST" (a port of the range that is free), "unix:/PATH" (0660, a stale
 * socket is replaced, one that is served is not); HOST is numeric, of IPv6 in brackets. wanted() may come before it
 * returns. On success |*listener| is the caller's (vh__listener_close()), or goes with |a|. VH_EINVALID, -EADDRINUSE,
 * -ENOMEM, -errno.
 */
VH_MUST_CHECK int vh__activator_listen(vh__activator *a, const char *address, void *owner, vh__listener **listener,
                                       vh_error *err);
/** The address it listens at, port included; borrowed. */
const char *vh__listener_address(const vh__listener *listener);
/**
 * Stops listening; connections that wait are reset and told to be ended, those that were granted go on. No wanted()
 * after it returned. NULL is fine.
 */
void vh__listener_close(vh__listener *listener);

/**
 * Connects |conn| to the instance at |address| (copied) and relays from then on. An instance that does not accept is
 * tried again each millisecond until wait_ms is over. A conn whose peer has gone meanwhile is fine. The first answer
 * counts, grant or refusal.
 */
void vh__conn_grant(vh__conn *conn, const struct sockaddr *address, socklen_t n);
/** Closes a waiting |conn|, with a reset. */
void vh__conn_refuse(vh__conn *conn);
/**
 * Ends |conn|, waiting or granted, with a reset; ended() follows. For an instance that is gone without having closed
 * its connections. Any thread, under the owner's lock: |conn| has to be valid.
 */
void vh__conn_cut(vh__conn *conn);
/**
 * Looks at what the peer of a waiting |conn| has sent so far, which stays there, for the trace its first request
 * belongs to: HTTP/1 or HTTP/2 headers traceparent, b3, x-b3-*, in the first 8 KiB. The later it is asked the more has
 * come: just before granting is best. False, and |*context| untouched, if there is none. Any thread.
 */
bool vh__conn_trace(vh__conn *conn, vh__trace_context *context);
/** The owner's word on |conn|, NULL at first: which instance it has. Only under the owner's lock. */
void vh__conn_set_data(vh__conn *conn, void *data);
void *vh__conn_data(const vh__conn *conn);

#endif
