/* What the parts of invoke share: a parsed request, the built-in gRPC methods, the way to a connection. */
#ifndef VH_INVOKE_INVOKE_PRIV_H
#define VH_INVOKE_INVOKE_PRIV_H

#include <stdint.h>
#include <cJSON.h>
#include <vhive/invoke.h>

#include "buf.h"
#include "wait.h"

/** A gRPC method whose messages are known here: JSON to request, reply to JSON. */
typedef struct vh__invoke_method {
    const char *name;   /* "package.Service/Method" */
    const char *sample; /* a request, for error messages */
    int (*encode)(const cJSON *json, vh__buf *out, vh_error *err);
    int (*decode)(const void *bytes, size_t n, cJSON **json, vh_error *err); /* the caller owns |*json| */
} vh__invoke_method;

/** The built-in method of that name; VH_EINVALID with the list of what there is. */
VH_MUST_CHECK int vh__invoke_method_find(const char *name, const vh__invoke_method **method, vh_error *err);

struct vh_invoke_request {
    const vh__invoke_method *grpc; /* NULL: HTTP */
    char *verb;                    /* HTTP method */
    char *path;                    /* path and query, or "/package.Service/Method" */
    bool has_body;
    vh__buf body; /* HTTP body, or the encoded gRPC request */
};

/**
 * Connects a TCP socket to numeric |address| and |port|. Tries again each millisecond while nobody listens or there
 * is no route yet; an attempt that gets no answer at all is given up and made anew after 50 ms, then 100, and so on
 * up to a second, so that a first packet lost on the way to a waking guest does not cost the kernel's full second.
 * On success the caller owns |*fd|. VH_EINVALID (address), VH_ETIMEDOUT with the last cause, VH_ECANCELED, -errno.
 */
VH_MUST_CHECK int vh__invoke_connect(const char *address, uint16_t port, const vh__wait *w, int *fd, vh_error *err);

#endif
