/* The server over libuv: its loop and connections (rpc_server.c), where it listens (rpc_listen.c). */
#ifndef VH_RPC_SERVER_PRIV_H
#define VH_RPC_SERVER_PRIV_H

#include <sys/queue.h>
#include <uv.h>

#include "rpc_stream_priv.h"
#include "socket.h"

struct vh__rpc_server {
    vh__rpc_server_options opts;
    uv_loop_t loop;
    vh__socket listener;
    vh__socket_refusal refusal;
    bool listening, is_unix;
    uv_timer_t grace;
    uv_async_t stop, wake;
    bool have_loop, stopping;
    uint16_t port;
    LIST_HEAD(, conn) conns;
    uint32_t nconns;
    LIST_HEAD(, vh__rpc_stream) streams; /* whose handlers run */
    uint32_t nstreams;
    char in[16384]; /* one read at a time, on one thread */
};

/** Listens as the options say, on |*fd| if it is one, which is taken then (-1). */
VH_MUST_CHECK int vh__rpc_listen(vh__rpc_server *s, int *fd, vh_error *err);
/** Stops listening. */
void vh__rpc_unlisten(vh__rpc_server *s);
/** For libuv: somebody has connected. */
void vh__rpc_on_connection(uv_stream_t *listener, int status);

#endif
