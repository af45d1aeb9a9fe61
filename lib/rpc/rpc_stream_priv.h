/*
 * A streaming call between the server's loop and the thread of its handler. Each side leaves what it has under the lock
 * and wakes the other: the loop by uv_async, the handler by eventfd, so that it can wait for other things as well. The
 * object lives until the handler has returned, its call in the core (|core|, the loop's alone) may be gone long before.
 */
#ifndef VH_RPC_STREAM_PRIV_H
#define VH_RPC_STREAM_PRIV_H

#include <pthread.h>
#include <sys/queue.h>
#include <uv.h>

#include "grpc_queue.h"
#include "grpc_server.h"

struct vh__rpc_stream {
    /* constant while the thread runs */
    const vh__rpc_method *method;
    int64_t deadline_ns;
    vh__grpc_metadata metadata;
    vh_cancel *cancel;
    int in_fd, out_fd; /* eventfds: something came, there is room again; each also when the call is gone */
    uv_async_t *loop;
    pthread_t thread;

    /* the handler's */
    vh_call call;

    /* the loop's */
    LIST_ENTRY(vh__rpc_stream) link;
    vh__grpc_server *server; /* the connection that it came by; both NULL once it is gone */
    vh__grpc_stream *core;
    void *conn;

    /* under the lock */
    pthread_mutex_t lock;
    vh__grpc_queue in;
    bool last; /* nothing will be added to |in| */
    vh__buf out;
    int gone; /* 0, or what the handler's calls return */
    bool finished;
    vh__grpc_status status;
    vh__rpc_answer answer;
};

/** Makes the stream for |core| and starts its handler, which wakes the loop by |loop|. -ENOMEM, -errno. */
VH_MUST_CHECK int vh__rpc_stream_start(vh__grpc_server *server, vh__grpc_stream *core, uv_async_t *loop, void *conn,
                                       vh__rpc_stream **stream, vh_error *err);

/** The events of the core; |user| of each call is the vh__rpc_stream. begin() is the server's. */
int vh__rpc_stream_on_message(vh__grpc_stream *core, const void *bytes, size_t n, vh_error *err);
void vh__rpc_stream_on_last(vh__grpc_stream *core);
void vh__rpc_stream_on_drained(vh__grpc_stream *core);
void vh__rpc_stream_on_gone(vh__grpc_stream *core, int code);

/**
 * On the loop: carries on what the handler has left. True when the handler has returned: |stream| is taken off the list
 * that it is on and freed. |*rc| tells when its connection has failed.
 */
bool vh__rpc_stream_sync(vh__rpc_stream *stream, int *rc);

#endif
