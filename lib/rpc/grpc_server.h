/*
 * Server side of one gRPC connection, without a socket: bytes of the peer in, bytes for the peer out; unary calls are
 * answered by the table of methods in between. The owner moves the bytes and closes idle connections.
 *
 * What a peer can make it hold is bounded: max_streams calls, max_message bytes for each and four times that for all
 * of them, VH_H2_HEADER_LIST bytes of headers; floods of resets, pings and settings are nghttp2's to stop.
 * Threads: one at a time.
 */
#ifndef VH_RPC_GRPC_SERVER_H
#define VH_RPC_GRPC_SERVER_H

#include "rpc.h"

typedef struct vh__grpc_server vh__grpc_server;

/** Uses of |opts| the methods, max_message and max_streams, none of them zero; borrowed. -ENOMEM. */
VH_MUST_CHECK int vh__grpc_server_new(const vh__rpc_server_options *opts, vh__grpc_server **server, vh_error *err);
/** NULL is fine. */
void vh__grpc_server_free(vh__grpc_server *server);

/** Takes bytes of the peer; handlers run from inside. VH_EPROTOCOL, -ENOMEM: close the connection. */
VH_MUST_CHECK int vh__grpc_server_recv(vh__grpc_server *server, const void *bytes, size_t n, vh_error *err);
/** Appends bytes for the peer until nothing is left or |out| is large. -ENOMEM, VH_EPROTOCOL. */
VH_MUST_CHECK int vh__grpc_server_output(vh__grpc_server *server, vh__buf *out, vh_error *err);
/** False once both ends are done with the session. */
bool vh__grpc_server_alive(const vh__grpc_server *server);
/** Announces the end (GOAWAY): calls under way are answered, new ones refused. */
VH_MUST_CHECK int vh__grpc_server_goaway(vh__grpc_server *server, vh_error *err);

#endif
