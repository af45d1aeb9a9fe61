/*
 * Heads of HTTP/1 requests, sans-I/O: for a server that answers GET and HEAD and takes no bodies (http_server.h).
 */
#ifndef VH_HTTP_HTTP_HEAD_H
#define VH_HTTP_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include <vhive/attr.h>

/** Longest head that is read, and longest target, in bytes. */
#define VH_HTTP_SERVER_HEAD_MAX 8192
#define VH_HTTP_TARGET_MAX      1024

/** What a server has to know of a request. */
typedef struct vh__http_head {
    char target[VH_HTTP_TARGET_MAX + 1]; /* "/metrics", without its query: visible ASCII */
    bool head;                           /* HEAD: the answer's body is left out */
    bool keep_alive;                     /* the connection is for further requests */
} vh__http_head;

/**
 * Reads the head that |bytes| begin with. Returns its length with |*head| filled; 0 when it is not whole yet; or the
 * negative HTTP status to refuse it by, after which nothing can be read from this peer: -400, -405 (neither GET nor
 * HEAD), -413 (it has a body), -414, -431 (the head is too long), -505.
 */
VH_MUST_CHECK int vh__http_head_parse(const char *bytes, size_t n, vh__http_head *head);

/** Reason of a status that servers of ours answer with: "OK", "Not Found". */
const char *vh__http_reason(int status);

#endif
