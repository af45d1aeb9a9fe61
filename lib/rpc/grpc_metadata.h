/*
 * Metadata of a call: header fields by name, values as text. Names are lower case, as HTTP/2 has them; values of names
 * that end in "-bin" are bytes, which travel as base64.
 */
#ifndef VH_RPC_GRPC_METADATA_H
#define VH_RPC_GRPC_METADATA_H

#include <stddef.h>
#include <stdint.h>
#include <vhive/attr.h>

#include "buf.h"

/** Fields in the order they came. Zero-initialise; how much is added is the owner's to bound. */
typedef struct vh__grpc_metadata {
    vh__buf fields; /* name, NUL, value, NUL, and so on */
} vh__grpc_metadata;

void vh__grpc_metadata_fini(vh__grpc_metadata *m);
/** Adds a field; neither part has a NUL in it. A lack of memory sticks in |m->fields|. */
void vh__grpc_metadata_add(vh__grpc_metadata *m, const void *name, size_t name_len, const void *value, size_t n);
/** Name of the field behind that of |name|, NULL: the first one; NULL at the end. |*value| is its value. Borrowed. */
const char *vh__grpc_metadata_next(const vh__grpc_metadata *m, const char *name, const char **value);
/** Value of the first field |name|, NULL: there is none. Borrowed until the next addition. */
const char *vh__grpc_metadata_get(const vh__grpc_metadata *m, const char *name);

/** Appends |n| bytes as base64 without padding, as values of "-bin" names have it. */
void vh__grpc_binary_encode(const void *bytes, size_t n, vh__buf *out);
/** Appends what |value| stands for, padded or not. VH_EINVALID: it is no base64. */
VH_MUST_CHECK int vh__grpc_binary_decode(const char *value, size_t n, vh__buf *out);

#endif
