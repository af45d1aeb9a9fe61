/*
 * What both ends of HTTP/2 share: sessions of nghttp2 without input or output of their own, header fields, and the
 * body of a stream that is being sent. Only the cores of gRPC use it.
 */
#ifndef VH_RPC_H2_H
#define VH_RPC_H2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <nghttp2/nghttp2.h>
#include <vhive/attr.h>
#include <vhive/error.h>

#include "buf.h"

/** Bytes that one round of output gathers at most, give or take a frame. */
#define VH_H2_OUTPUT 65536
/** Most bytes of one header list, as HTTP/2 counts them; announced to the peer and enforced. */
#define VH_H2_HEADER_LIST 16384

/**
 * Makes a session with our allocator, limits and first SETTINGS. |max_streams| is what the peer may open: 0 for a
 * client. On success the caller owns |*session| (nghttp2_session_del()). -ENOMEM.
 */
VH_MUST_CHECK int vh__h2_session(bool server, const nghttp2_session_callbacks *cbs, void *arg, uint32_t max_streams,
                                 nghttp2_session **session, vh_error *err);

/** What bounds a session that relays (grpc_proxy.h). */
typedef struct vh__h2_limits {
    uint32_t max_streams;       /* what the peer may open: 0 for a client */
    uint32_t header_list;       /* bytes of a header list, announced only: the owner enforces it */
    uint32_t window;            /* bytes that the peer may send on a stream before they are consumed */
    uint32_t connection_window; /* and on all streams together */
} vh__h2_limits;

/** As vh__h2_session(), with limits of the owner's choice. */
VH_MUST_CHECK int vh__h2_relay_session(bool server, const nghttp2_session_callbacks *cbs, void *arg,
                                       const vh__h2_limits *limits, nghttp2_session **session, vh_error *err);

/** Hands |n| bytes of the peer to |session|. VH_EPROTOCOL when it is over, -ENOMEM. */
VH_MUST_CHECK int vh__h2_recv(nghttp2_session *session, const void *bytes, size_t n, vh_error *err);

/** Appends what |session| wants to send, until |out| holds VH_H2_OUTPUT bytes or nothing is left. */
VH_MUST_CHECK int vh__h2_output(nghttp2_session *session, vh__buf *out, vh_error *err);

/**
 * Gives the peer of stream |id| new room for the |*held| bytes that came on it, and clears |*held|: to be called when
 * they were taken. Room on the connection is given at once (nghttp2_session_consume_connection()), so that a slow
 * stream holds no other up. A code of nghttp2.
 */
VH_MUST_CHECK int vh__h2_release(nghttp2_session *session, int32_t id, size_t *held);

/** False once |session| neither expects nor has anything: the connection can be closed. */
bool vh__h2_alive(nghttp2_session *session);

/** Code and text for a negative result of nghttp2. */
int vh__h2_error(int rc, const char *what, vh_error *err);

/** A header field of borrowed strings, copied by nghttp2 when it is submitted. */
nghttp2_nv vh__h2_field(const char *name, const char *value, size_t value_len);

/** True when the header |name|, lower case as HTTP/2 has it, is |want|. */
bool vh__h2_name_is(const uint8_t *name, size_t n, const char *want);

/** What a stream has still to send. Zero-initialise. */
typedef struct vh__h2_body {
    vh__buf bytes;
    size_t sent;
    bool last; /* nothing will be added */
} vh__h2_body;

/** Takes the content of |bytes|, which is empty afterwards (it may have got other memory). A lack of memory sticks. */
void vh__h2_body_add(vh__h2_body *body, vh__buf *bytes);

/** Forgets what has not been sent. */
void vh__h2_body_drop(vh__h2_body *body);

/** Bytes that have not been sent. */
static inline size_t vh__h2_body_left(const vh__h2_body *body)
{
    return body->bytes.len - body->sent;
}

/**
 * Moves up to |cap| bytes to |to| for nghttp2's read callback: their number, with NGHTTP2_DATA_FLAG_EOF in |*flags|
 * after the last ones, or NGHTTP2_ERR_DEFERRED while more are to come.
 */
ssize_t vh__h2_body_read(vh__h2_body *body, uint8_t *to, size_t cap, uint32_t *flags);

#endif
