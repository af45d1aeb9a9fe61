/* Inside of client: one call from its connection to its end. */
#ifndef VH_CLIENT_CLIENT_PRIV_H
#define VH_CLIENT_CLIENT_PRIV_H

#include <vhive/client.h>

#include "proto.h"
#include "rpc.h"

/** Type of a message, for vh__client_next(). */
#define VH_PB_TYPE(name) &vhive__control__v1__##name##__descriptor

/** What a listing or the like may take where the caller names no time. */
#define VH_CLIENT_LIST_MS 10000

/** A call under way. Zero-initialise; vh__client_close(). */
typedef struct vh__client_call {
    vh__rpc_client *rpc;
    vh__rpc_exchange *exchange;
    const char *method; /* "Deploy" */
} vh__client_call;

/** Bounds of |call|; where it names no time |default_ms|, 0: without end, so that the daemon's own defaults count. */
vh__wait vh__client_bounds(const vh_call *call, uint32_t default_ms);

/**
 * Connects and sends |request|, the |last| message of the call if so. The call is bounded by |w|. On error there is none.
 * VH_EINVALID: text in |request| is no UTF-8.
 */
VH_MUST_CHECK int vh__client_open(vh_client *client, const char *method, ProtobufCMessage *request, bool last,
                                  const vh__wait *w, vh__client_call *c, vh_error *err);
/** Sends one more message; to a call that has ended nothing is sent, and vh__client_next() tells of it. */
VH_MUST_CHECK int vh__client_send(vh__client_call *c, ProtobufCMessage *message, vh_error *err);
/**
 * The next message of the answer: 1, and the caller owns |*message| (vh__proto_free()); 0 at the end of a call that
 * succeeded; else the error that the daemon tells. |w| NULL: as long as the call may take.
 */
VH_MUST_CHECK int vh__client_next(vh__client_call *c, const vh__wait *w, const ProtobufCMessageDescriptor *type,
                                  ProtobufCMessage **message, vh_error *err);
/** Ends the call; the daemon gives up one that is under way. */
void vh__client_close(vh__client_call *c);

/** A call with one answer of the type |type|, which the caller owns (vh__proto_free()). */
VH_MUST_CHECK int vh__client_ask(vh_client *client, const char *method, ProtobufCMessage *request,
                                 const ProtobufCMessageDescriptor *type, const vh__wait *w, ProtobufCMessage **answer,
                                 vh_error *err);
/** The same of an answer that says nothing. */
VH_MUST_CHECK int vh__client_order(vh_client *client, const char *method, ProtobufCMessage *request,
                                   const ProtobufCMessageDescriptor *type, const vh__wait *w, vh_error *err);
/** Hands progress that the daemon told to the call's sink. */
void vh__client_progress(const vh__wait *w, const VH_PB(Progress) *progress);

/**
 * |ref| with the folder or file in it as an absolute path, taken from |dir| (NULL: the working directory); the caller
 * owns |*absolute|. References that name neither are copied.
 */
VH_MUST_CHECK int vh__client_reference(const char *ref, const char *dir, char **absolute, vh_error *err);

#endif
