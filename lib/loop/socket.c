#include "socket.h"

void vh__socket_init(vh__socket *socket, uv_loop_t *loop, bool is_unix)
{
    if (is_unix)
        (void)uv_pipe_init(loop, &socket->pipe, 0); /* neither can fail */
    else
        (void)uv_tcp_init(loop, &socket->tcp);
}

static void on_closed(uv_handle_t *handle)
{
    vh__socket_refusal *r = handle->data;
    bool next = r->next;

    r->closing = r->next = false;
    if (next && !uv_is_closing((uv_handle_t *)r->listener)) /* a listener that is closed closes what it has offered */
        vh__socket_refuse(r, r->listener);
}

void vh__socket_refuse(vh__socket_refusal *refusal, uv_stream_t *listener)
{
    refusal->listener = listener;
    if (refusal->closing) {
        refusal->next = true;
        return;
    }
    vh__socket_init(&refusal->socket, listener->loop, listener->type == UV_NAMED_PIPE);
    refusal->socket.handle.data = refusal;
    refusal->closing = true;
    (void)uv_accept(listener, &refusal->socket.stream); /* closed right here in any case */
    uv_close(&refusal->socket.handle, on_closed);
}
