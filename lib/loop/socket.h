/*
 * Sockets in a libuv loop, TCP or Unix, and how a connection is refused.
 *
 * libuv asks a listener no more, and for ever, from the moment that it has offered a connection which was not accepted.
 * So whoever cannot take one, for want of memory or because there are enough, has to accept it all the same, and to
 * close it; and that must not need memory, or the listener goes deaf just when there is none:
 *
 *     on_connection(listener, status):  if (!status && !(c = conn_new(...))) vh__socket_refuse(&s->refusal, listener);
 *
 * One thread, that of the loop.
 */
#ifndef VH_LOOP_SOCKET_H
#define VH_LOOP_SOCKET_H

#include <stdbool.h>
#include <uv.h>

/** libuv knows TCP and Unix sockets by different types, which begin alike. */
typedef union vh__socket {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
} vh__socket;

/** Makes |socket| one of |loop|, not open yet. Needs no memory. */
void vh__socket_init(vh__socket *socket, uv_loop_t *loop, bool is_unix);

/** What refusals of one listener need; as long-lived as it. Zero-initialise. */
typedef struct vh__socket_refusal {
    vh__socket socket; /* the refused connection, while it is being closed */
    uv_stream_t *listener;
    bool closing;
    bool next; /* meanwhile another one was offered, and waits */
} vh__socket_refusal;

/**
 * Closes the connection that |listener| offers just then, or, if the one before it is still being closed, right after
 * that; the listener offers no more until then.
 */
void vh__socket_refuse(vh__socket_refusal *refusal, uv_stream_t *listener);

#endif
