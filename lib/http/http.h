/*
 * A small HTTP client on libcurl: one request, one bounded response, under a deadline and a cancel token.
 *
 *     vh__http_request q = { .url = "http://127.0.0.1:8080/clock", .sock = -1 };
 *     vh__http_response r = { 0 };
 *     rc = vh__http_do(&q, &wait, &r, &err);
 *     ...
 *     vh__http_response_fini(&r);
 *
 * A large body goes to a |sink| as it arrives instead. Messages name the URL without its query, which may be secret.
 *
 * Speaks http and https only, follows no redirect, takes no proxy or netrc from the environment and raises no
 * signal. libcurl's global state is made once per process at the first use and kept.
 * Threads: any; nothing is shared between calls. A host name that is still being looked up when the deadline passes
 * delays the return until the resolver gives up; numeric addresses and connected sockets know no such delay.
 */
#ifndef VH_HTTP_HTTP_H
#define VH_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vhive/attr.h>
#include <vhive/error.h>

#include "buf.h"
#include "wait.h"

/** Most bytes of a response's body and of its head where the request names none. */
#define VH_HTTP_BODY_MAX (16u << 20)
#define VH_HTTP_HEAD_MAX (64u << 10)

typedef struct vh__http_response vh__http_response;

/** All borrowed for the call. Zero members mean the default, except |sock|. */
typedef struct vh__http_request {
    const char *method; /* default GET, or POST when there is a body */
    const char *url;
    const char *const *headers; /* NULL-terminated "Name: value" list; NULL: none */
    const void *body;           /* NULL: none */
    size_t body_len;
    size_t max_body; /* default VH_HTTP_BODY_MAX */
    /*
     * Takes the body of an answer with a status of 2xx in pieces, on the caller's thread, with the head in |r|;
     * anything but 0 ends the request with that code and message. NULL: the body is collected. That of other answers
     * is in any case.
     */
    int (*sink)(void *arg, const vh__http_response *r, const void *bytes, size_t n, vh_error *err);
    void *sink_arg;
    const char *ca_file; /* PEM of authorities to trust beside the system's; NULL, "": none */
    uint32_t stall_ms;   /* most time for the connection, and without a byte after it; 0: only the deadline counts */
    /*
     * Socket to speak over instead of connecting to the URL's host, taken in any case; -1: none. A TCP socket whose
     * non-blocking connect has just succeeded, and no other: libcurl 7.88 connects it once more to the URL's address,
     * which Linux answers with success that one time (and with EISCONN after a blocking connect).
     */
    int sock;
} vh__http_request;

/** Zero-initialise; vh__http_response_fini(). Stamps are CLOCK_MONOTONIC, 0 while it did not come so far. */
struct vh__http_response {
    int status; /* 200, 404, ... */
    vh__buf body;
    vh__buf head; /* status line and headers as they came; read with vh__http_header() */
    int64_t connected_ns, first_byte_ns, last_byte_ns;
};

void vh__http_response_fini(vh__http_response *r);

/**
 * Does the request and waits for the whole response. Returns 0 whatever the status, or VH_EINVALID (URL, scheme,
 * header, CA file), VH_ETIMEDOUT, VH_ECANCELED, VH_ELIMIT (body or head too long), -ECONNREFUSED, -EHOSTUNREACH (name
 * not found included), -ECONNRESET, -ETIMEDOUT (|stall_ms|), VH_EPROTOCOL (no HTTP, no TLS), VH_EREMOTE (a certificate
 * that is not trusted), -ENOMEM, or the sink's. On error |*r| may hold what had come; free it.
 */
VH_MUST_CHECK int vh__http_do(const vh__http_request *q, const vh__wait *w, vh__http_response *r, vh_error *err);

/**
 * Finds a header by its name (case-insensitive; the last one of that name) and copies its value, cut to |cap|, into
 * |out|. False, and "" in |out|, when there is none.
 */
bool vh__http_header(const vh__http_response *r, const char *name, char *out, size_t cap);
/** Appends the values of all headers of |name|, joined by ", ", to |out|; nothing when there is none. */
void vh__http_header_all(const vh__http_response *r, const char *name, vh__buf *out);

/**
 * |location| as seen from |base|, as a URL on the heap (free()). VH_EPROTOCOL when it is none of http or https, or has
 * a user in it.
 */
VH_MUST_CHECK int vh__http_url_resolve(const char *base, const char *location, char **out, vh_error *err);
/** Whether both have the same scheme, host and port. URLs that cannot be read are like no other. */
bool vh__http_url_same_origin(const char *a, const char *b);
/** Length of |url| up to its query: what may be shown of it. */
size_t vh__http_url_shown(const char *url);

#endif
