#include "rpc_client_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "auto.h"
#include "fd.h"

int vh__rpc_client_new(int fd, const char *authority, vh__rpc_client **client, vh_error *err)
{
    vh__rpc_client *c = calloc(1, sizeof(*c));
    int one = 1, rc;

    if (!c) {
        vh__fd_close(&fd);
        return vh_error_set(err, -ENOMEM, "gRPC client");
    }
    c->fd = fd;
    /* Small frames wait for nothing; fails on a Unix socket, which has no such delay. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    rc = vh__fd_nonblock(fd, err);
    if (!rc)
        rc = vh__grpc_client_new(authority, VH_RPC_MESSAGE_MAX, &c->core, err);
    if (rc) {
        vh__rpc_client_free(c);
        return rc;
    }
    *client = c;
    return 0;
}

void vh__rpc_client_free(vh__rpc_client *client)
{
    if (!client)
        return;
    vh__grpc_client_free(client->core);
    vh__buf_fini(&client->out);
    vh__grpc_metadata_fini(&client->metadata);
    vh__fd_close(&client->fd);
    free(client);
}

static int dial(const char *path, const vh__wait *w, int *fd, vh_error *err)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    vh_auto_fd int made = -1;

    if (strlen(path) >= sizeof(at.sun_path))
        return vh_error_set(err, VH_EINVALID, "socket '%s': its path is longer than %zu bytes", path,
                            sizeof(at.sun_path) - 1);
    strcpy(at.sun_path, path);
    made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0)
        return vh_error_set(err, -errno, "socket");
    while (connect(made, (const struct sockaddr *)&at, sizeof(at))) {
        int rc = -errno;

        if (rc != -EAGAIN && rc != -EINTR)
            return vh_error_set(err, rc, "connect to %s", path);
        rc = vh__wait_sleep(w, 10, path, err); /* its queue is full, and nothing tells when it no longer is */
        if (rc)
            return rc;
    }
    *fd = vh_steal_fd(&made);
    return 0;
}

int vh__rpc_client_connect(const char *path, const vh__wait *w, vh__rpc_client **client, vh_error *err)
{
    int fd = -1, rc = dial(path, w, &fd, err);

    return rc ? rc : vh__rpc_client_new(fd, "localhost", client, err);
}

int vh__rpc_client_metadata(vh__rpc_client *client, const vh__grpc_metadata *metadata, vh_error *err)
{
    vh__buf copy = { 0 };
    int rc;

    if (metadata)
        vh__buf_append(&copy, metadata->fields.data, metadata->fields.len);
    rc = vh__buf_check(&copy, "metadata", err);
    if (rc)
        return rc;
    vh__buf_fini(&client->metadata.fields);
    client->metadata.fields = copy;
    return 0;
}

int vh__rpc_client_flush(vh__rpc_client *c, vh_error *err)
{
    for (;;) {
        ssize_t n;
        int rc = vh__grpc_client_output(c->core, &c->out, err);

        if (c->deaf)
            vh__buf_clear(&c->out);
        if (rc || c->out.len == 0)
            return rc;
        n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0 && errno != EPIPE && errno != ECONNRESET)
            return vh_error_set(err, -errno, "send to the gRPC server");
        if (n < 0)
            c->deaf = true; /* it may have answered before it went: the end of what there is to read tells */
        else
            vh__buf_consume(&c->out, (size_t)n);
    }
}

int vh__rpc_client_pump(vh__rpc_client *c, vh_error *err)
{
    char bytes[16384];
    ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);

    if (n > 0)
        return vh__grpc_client_recv(c->core, bytes, (size_t)n, err);
    if (n == 0)
        return vh_error_set(err, -ECONNRESET, "the gRPC server hung up before it answered");
    return errno == EAGAIN || errno == EINTR ? 0 : vh_error_set(err, -errno, "receive from the gRPC server");
}

int vh__rpc_client_turn(vh__rpc_client *c, const vh__wait *w, const char *what, vh_error *err)
{
    int rc = vh__rpc_client_flush(c, err);

    if (rc)
        return rc;
    if (!vh__grpc_client_alive(c->core))
        return vh_error_set(err, VH_EPROTOCOL,
                            "the peer does not speak HTTP/2 or closed the session; is this a gRPC port?");
    rc = vh__wait_fd(w, c->fd, c->out.len ? POLLIN | POLLOUT : POLLIN, what, err);
    return rc ? rc : vh__rpc_client_pump(c, err);
}
