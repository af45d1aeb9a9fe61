/*
 * A small HTTP/1 server for what monitoring asks: GET and HEAD of short answers that are ready at once. Not for the
 * public: it knows no TLS, and its listening socket says who gets to it.
 *
 *     vh__http_server_options o = { .listen_fd = fd, .handler = answer, .arg = daemon };
 *     if (vh__http_server_new(&o, &server, &err) == 0)
 *         rc = vh__http_server_run(server, &err);
 *
 * Heads, connections and time are bounded, so that whoever is slow or many takes no more than that.
 *
 * Threads: all connections and the handler run on the thread of vh__http_server_run(); only vh__http_server_stop() may
 * be called from elsewhere.
 */
#ifndef VH_HTTP_HTTP_SERVER_H
#define VH_HTTP_HTTP_SERVER_H

#include <stdint.h>
#include <vhive/attr.h>
#include <vhive/error.h>

#include "buf.h"
#include "http_head.h"

/** Where a handler leaves its answer. Its |status| is 404 until it says otherwise. */
typedef struct vh__http_answer {
    int status;
    const char *type; /* of the body; default "text/plain; charset=utf-8"; static */
    vh__buf body;
} vh__http_answer;

/** Answers one request, which is borrowed for the call; may not block. */
typedef void (*vh__http_handler)(const vh__http_head *request, vh__http_answer *answer, void *arg);

/** Zero members mean the default. */
typedef struct vh__http_server_options {
    int listen_fd;            /* a listening socket, TCP or Unix, taken in any case */
    vh__http_handler handler;
    void *arg;
    uint32_t max_connections; /* further ones are closed at once; default 64 */
    uint32_t head_ms;         /* from a request's first byte to the end of its head; default 5000 */
    uint32_t idle_ms;         /* a connection without a request; default 60000 */
    uint32_t write_ms;        /* for the peer to take an answer; default 10000 */
} vh__http_server_options;

typedef struct vh__http_server vh__http_server;

/** Makes a server. On success the caller owns |*server|. -ENOMEM, -errno. */
VH_MUST_CHECK int vh__http_server_new(const vh__http_server_options *opts, vh__http_server **server, vh_error *err);
/** Serves until vh__http_server_stop(); closes all connections then. Call it once. */
VH_MUST_CHECK int vh__http_server_run(vh__http_server *server, vh_error *err);
/** Ends vh__http_server_run(), also before it was called. Any thread; async-signal-safe. */
void vh__http_server_stop(vh__http_server *server);
/** Frees a server that does not run. NULL is fine. */
void vh__http_server_free(vh__http_server *server);

#endif
