/*
 * Status and metadata values of gRPC on the wire: codes, the percent-encoded message, the timeout. Pure functions on
 * bytes; what they parse comes from peers.
 */
#ifndef VH_RPC_GRPC_STATUS_H
#define VH_RPC_GRPC_STATUS_H

#include <stddef.h>
#include <stdint.h>
#include <vhive/attr.h>

#include "buf.h"

/* name, value */
#define VH_GRPC_STATUS_LIST(X)                                                                                         \
    X(OK, 0)                                                                                                           \
    X(CANCELLED, 1)                                                                                                    \
    X(UNKNOWN, 2)                                                                                                      \
    X(INVALID_ARGUMENT, 3)                                                                                             \
    X(DEADLINE_EXCEEDED, 4)                                                                                            \
    X(NOT_FOUND, 5)                                                                                                    \
    X(ALREADY_EXISTS, 6)                                                                                               \
    X(PERMISSION_DENIED, 7)                                                                                            \
    X(RESOURCE_EXHAUSTED, 8)                                                                                           \
    X(FAILED_PRECONDITION, 9)                                                                                          \
    X(ABORTED, 10)                                                                                                     \
    X(OUT_OF_RANGE, 11)                                                                                                \
    X(UNIMPLEMENTED, 12)                                                                                               \
    X(INTERNAL, 13)                                                                                                    \
    X(UNAVAILABLE, 14)                                                                                                 \
    X(DATA_LOSS, 15)                                                                                                   \
    X(UNAUTHENTICATED, 16)

typedef enum vh__grpc_status {
#define VH_GRPC_STATUS_ENUM(name, value) VH_GRPC_##name = value,
    VH_GRPC_STATUS_LIST(VH_GRPC_STATUS_ENUM)
#undef VH_GRPC_STATUS_ENUM
} vh__grpc_status;

/** Longest message of a status that is sent or kept; the rest is cut off at a character's border. */
#define VH_GRPC_MESSAGE_MAX 1024
/** Most bytes of a grpc-status-details-bin that is sent; longer ones are left out, for peers refuse large headers. */
#define VH_GRPC_DETAILS_MAX 4096
/** Room for vh__grpc_timeout_format(): eight digits, a unit, NUL. */
#define VH_GRPC_TIMEOUT_LEN 10

/** "NOT_FOUND"; "UNKNOWN" for a code that gRPC does not define. Static storage. */
const char *vh__grpc_status_name(int status);

/** Value of a grpc-status header. VH_GRPC_UNKNOWN for one that is not a number or not defined. */
vh__grpc_status vh__grpc_status_parse(const char *value, size_t n);

/** Status that stands for the HTTP |code| of a peer that does not speak gRPC (a proxy, a web server). */
vh__grpc_status vh__grpc_status_from_http(int code);

/** Status that stands for the error |code| of an HTTP/2 stream that was reset. */
vh__grpc_status vh__grpc_status_from_h2(uint32_t code);

/** Appends a message as a grpc-message value: bytes outside printable ASCII, and '%', become %XX. */
void vh__grpc_message_encode(const char *message, size_t n, vh__buf *out);

/** The reverse, of at most VH_GRPC_MESSAGE_MAX bytes. As gRPC asks, a broken %-sequence stands for itself. */
void vh__grpc_message_decode(const char *value, size_t n, vh__buf *out);

/** Value of a grpc-timeout header ("100m", "5S") in ns. VH_EINVALID unless 1 to 8 digits and a unit. */
VH_MUST_CHECK int vh__grpc_timeout_parse(const char *value, size_t n, int64_t *ns);

/** Writes |ns| (negative: 0) in the finest unit that fits eight digits, rounded up. */
void vh__grpc_timeout_format(int64_t ns, char out[VH_GRPC_TIMEOUT_LEN]);

#endif
