/*
 * Calling a function once: an HTTP request or a unary gRPC call, from a short text.
 *
 *     vh_invoke_request *q;
 *     vh_invoke_response r = { .size = sizeof(r) };
 *     if (vh_invoke_parse("grpc:helloworld.Greeter/SayHello:{\"name\":\"record\"}", &q, &err)) ...
 *     rc = vh_invoke(q, vh_vm_address(vm), vh_vm_port(vm), NULL, &r, &err);
 *     fwrite(r.body, 1, r.body_len, stdout);
 *     vh_invoke_response_fini(&r);
 *     vh_invoke_request_free(q);
 *
 * Threads: a request may be used by several threads at once; calls share nothing.
 */
#ifndef VHIVE_INVOKE_H
#define VHIVE_INVOKE_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <vhive/attr.h>
#include <vhive/env.h>
#include <vhive/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vh_invoke_request vh_invoke_request;

/**
 * Makes a request from |spec|:
 *   http:/path                              GET
 *   http:METHOD:/path                       any method, without a body
 *   http:METHOD:/path:BODY                  with a body: text, or @FILE for a file's content (at most 16 MiB)
 *   grpc:package.Service/Method:JSON        unary gRPC call of a built-in method, JSON or @FILE
 * Built in is helloworld.Greeter/SayHello, {"name": "..."}. A ':' in the path of the METHOD forms is written %3A.
 * A file is read here, once. On success the caller owns |*request| (vh_invoke_request_free()).
 * Returns 0, VH_EINVALID (with an example; for a method that is not built in with the list of those that are),
 * VH_ENOTFOUND or another -errno for the file, VH_ELIMIT, -ENOMEM.
 */
VH_API VH_MUST_CHECK int vh_invoke_parse(const char *spec, vh_invoke_request **request, vh_error *err);
/**
 * As vh_invoke_parse(), for a |spec| from elsewhere: no file is read for it, and "@FILE" is VH_EINVALID. |data| (|n|
 * bytes, copied; NULL: none) takes the place of the body that |spec| names; a GET becomes a POST by it.
 */
VH_API VH_MUST_CHECK int vh_invoke_parse_data(const char *spec, const void *data, size_t n, vh_invoke_request **request,
                                              vh_error *err);
/** Frees |request|; NULL is fine. */
VH_API void vh_invoke_request_free(vh_invoke_request *request);

/** What came back. Set |size|, zero the rest; vh_invoke_response_fini() after use. Stamps are CLOCK_MONOTONIC. */
typedef struct vh_invoke_response {
    size_t size;            /**< in: sizeof(vh_invoke_response) */
    bool ok;                /**< gRPC OK, or HTTP below 400 */
    bool grpc;              /**< which of the two |status| is of */
    int status;             /**< gRPC status code or HTTP status code */
    char content_type[128]; /**< "" when the answer named none; "application/json" for gRPC, whose body is JSON here */
    char *body;             /**< owned; always followed by a NUL that |body_len| does not count; gRPC: one line */
    size_t body_len;
    int64_t begin_ns;      /**< entry of vh_invoke() */
    int64_t connected_ns;  /**< the function accepted the connection: begin..connected is "connect" */
    int64_t first_byte_ns; /**< first byte of the answer */
    int64_t last_byte_ns;  /**< its last one: connected..last is "request" */
} vh_invoke_response;

/**
 * Calls the function at |address| (numeric IPv4 or IPv6) and |port| and waits for the whole answer. A connection
 * that is refused or finds no route is tried again every millisecond until the deadline (default 30 s), so it can
 * be called while the function is still coming up.
 * Returns 0, or VH_EREMOTE with the details when the function answered with an error (|*out| is filled, its body too);
 * VH_ETIMEDOUT (naming what it waited for), VH_ECANCELED, VH_EPROTOCOL, -ECONNRESET, VH_ELIMIT, VH_EINVALID (address,
 * size), -ENOMEM: |*out| then holds the stamps of what was reached.
 */
VH_API VH_MUST_CHECK int vh_invoke(const vh_invoke_request *request, const char *address, uint16_t port,
                                   const vh_call *call, vh_invoke_response *out, vh_error *err);
/** Frees what |r| owns and clears it but for its size; may be called again. */
VH_API void vh_invoke_response_fini(vh_invoke_response *r);

#ifdef __cplusplus
}
#endif
#endif
