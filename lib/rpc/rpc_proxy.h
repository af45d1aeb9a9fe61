/*
 * The gRPC proxy of grpc_proxy.h between two Unix sockets: clients connect to one, the backend listens on the other.
 *
 *     vh__rpc_proxy_options o = { .listen_fd = fd, .backend = "/run/containerd/containerd.sock" };
 *     if (vh__rpc_proxy_new(&o, &proxy, &err) == 0)
 *         rc = vh__rpc_proxy_run(proxy, &err);
 *
 * Connections to the backend are made when a call needs one. While it cannot be reached (it restarts) calls wait, up to
 * connect_ms; those that were under way when it went get UNAVAILABLE with a text that names the socket.
 *
 * Threads: everything happens on the thread of vh__rpc_proxy_run(); only vh__rpc_proxy_stop() may be called elsewhere.
 */
#ifndef VH_RPC_RPC_PROXY_H
#define VH_RPC_RPC_PROXY_H

#include <stdint.h>
#include <vhive/attr.h>
#include <vhive/error.h>

#include "grpc_proxy.h"

/** Zero members mean the default. */
typedef struct vh__rpc_proxy_options {
    int listen_fd;            /* a listening stream socket, taken in any case */
    const char *backend;      /* path of the backend's Unix socket; copied */
    size_t max_message;       /* bytes of one message, either way; default 16 MiB */
    uint32_t max_streams;     /* calls at once on a connection; default 1000 */
    uint32_t max_connections; /* clients at once; past it the one that was idle longest goes; default 256 */
    uint32_t connect_ms;      /* how long calls wait for the backend to listen; default 2000 */
    uint32_t grace_ms;        /* after stop: time for calls under way; default 5000 */
    void (*call)(const vh__grpc_proxied *ended, void *arg); /* as in vh__grpc_proxy_owner; NULL: nobody listens */
    void *arg;
} vh__rpc_proxy_options;

typedef struct vh__rpc_proxy vh__rpc_proxy;

/** Makes it; nobody is served before it runs. VH_EINVALID (a path too long for a socket), -errno, -ENOMEM. */
VH_MUST_CHECK int vh__rpc_proxy_new(const vh__rpc_proxy_options *opts, vh__rpc_proxy **proxy, vh_error *err);
/** Serves until vh__rpc_proxy_stop(). Returns 0 once every connection is closed. Call it once. */
VH_MUST_CHECK int vh__rpc_proxy_run(vh__rpc_proxy *proxy, vh_error *err);
/**
 * Ends vh__rpc_proxy_run(): no new connections, GOAWAY on the old ones, calls under way may finish within grace_ms.
 * Any thread; async-signal-safe.
 */
void vh__rpc_proxy_stop(vh__rpc_proxy *proxy);
/** Frees a proxy that does not run. NULL is fine. */
void vh__rpc_proxy_free(vh__rpc_proxy *proxy);

#endif
