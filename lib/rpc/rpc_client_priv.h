/* The client over a socket: its connection (rpc_client.c), and the one call that it has at a time (rpc_exchange.c). */
#ifndef VH_RPC_CLIENT_PRIV_H
#define VH_RPC_CLIENT_PRIV_H

#include "grpc_client.h"
#include "rpc.h"

struct vh__rpc_client {
    int fd;
    vh__grpc_client *core;
    vh__buf out; /* made by the core, not yet taken by the socket */
    vh__grpc_metadata metadata;
    bool busy; /* an exchange is open */
    bool deaf; /* the server takes nothing any more; what it said before can still be read */
};

/** Writes what the socket takes now. */
VH_MUST_CHECK int vh__rpc_client_flush(vh__rpc_client *c, vh_error *err);
/** Writes what the socket takes and waits until there is something to read or write, and takes that in. */
VH_MUST_CHECK int vh__rpc_client_turn(vh__rpc_client *c, const vh__wait *w, const char *what, vh_error *err);
/** Takes in what is there, without waiting. */
VH_MUST_CHECK int vh__rpc_client_pump(vh__rpc_client *c, vh_error *err);

#endif
