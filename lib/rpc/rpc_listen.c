#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "rpc_server_priv.h"

#define BACKLOG 512

static void open_listener(vh__rpc_server *s, bool is_unix)
{
    s->is_unix = is_unix;
    vh__socket_init(&s->listener, &s->loop, is_unix);
    s->listener.handle.data = s;
    s->listening = true;
}

/* Takes the listening socket |*fd|. */
static int listen_fd(vh__rpc_server *s, int *fd, vh_error *err)
{
    int family = 0, accepts = 0, rc;
    socklen_t n = sizeof(int);

    if (getsockopt(*fd, SOL_SOCKET, SO_DOMAIN, &family, &n) || getsockopt(*fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &n))
        return vh_error_set(err, -errno, "gRPC server: descriptor %d", *fd);
    if (!accepts || (family != AF_UNIX && family != AF_INET && family != AF_INET6))
        return vh_error_set(err, VH_EINVALID, "gRPC server: descriptor %d is no listening socket of TCP or Unix", *fd);
    open_listener(s, family == AF_UNIX);
    rc = s->is_unix ? uv_pipe_open(&s->listener.pipe, *fd) : uv_tcp_open(&s->listener.tcp, *fd);
    if (rc)
        return vh_error_set(err, rc, "gRPC server: descriptor %d", *fd);
    *fd = -1;
    rc = uv_listen(&s->listener.stream, BACKLOG, vh__rpc_on_connection);
    return rc ? vh_error_set(err, rc, "gRPC server: listen") : 0;
}

static int bind_to(vh__rpc_server *s, const char *address)
{
    struct sockaddr_storage at;
    int rc = uv_ip6_addr(address, s->opts.port, (struct sockaddr_in6 *)&at);

    if (rc)
        rc = uv_ip4_addr(address, s->opts.port, (struct sockaddr_in *)&at);
    return rc ? rc : uv_tcp_bind(&s->listener.tcp, (const struct sockaddr *)&at, 0);
}

static int listen_tcp(vh__rpc_server *s, vh_error *err)
{
    const char *address = s->opts.address ? s->opts.address : "::";
    int rc;

    open_listener(s, false);
    rc = bind_to(s, address);
    if (rc == UV_EAFNOSUPPORT && !s->opts.address)
        rc = bind_to(s, "0.0.0.0");
    if (!rc)
        rc = uv_listen(&s->listener.stream, BACKLOG, vh__rpc_on_connection);
    if (rc == UV_EINVAL)
        return vh_error_set(err, VH_EINVALID, "gRPC server: %s is no numeric address", address);
    return rc ? vh_error_set(err, rc, "gRPC server: listen on [%s]:%u", address, s->opts.port) : 0;
}

/* The port, whoever chose it. */
static int read_port(vh__rpc_server *s, vh_error *err)
{
    struct sockaddr_storage at;
    int len = sizeof(at), rc;

    if (s->is_unix)
        return 0;
    rc = uv_tcp_getsockname(&s->listener.tcp, (struct sockaddr *)&at, &len);
    if (rc)
        return vh_error_set(err, rc, "gRPC server: name of its socket");
    s->port = ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port
                                             : ((struct sockaddr_in *)&at)->sin_port);
    return 0;
}

int vh__rpc_listen(vh__rpc_server *s, int *fd, vh_error *err)
{
    int rc = *fd >= 0 ? listen_fd(s, fd, err) : listen_tcp(s, err);

    return rc ? rc : read_port(s, err);
}

void vh__rpc_unlisten(vh__rpc_server *s)
{
    if (!s->listening)
        return;
    s->listening = false;
    uv_close(&s->listener.handle, NULL);
}
