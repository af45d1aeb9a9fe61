/*
 * Message framing of gRPC: each message follows a byte that says whether it is compressed (refused: nothing here
 * compresses) and its length, four bytes, big endian. Bytes in, messages out.
 *
 *     vh__grpc_frames in = { .max = 4 << 20 };
 *     if (vh__grpc_frames_feed(&in, bytes, n, &err)) ...
 *     while (vh__grpc_frames_next(&in, &message, &len, &err) > 0) ...
 *     vh__grpc_frames_fini(&in);
 */
#ifndef VH_RPC_GRPC_FRAME_H
#define VH_RPC_GRPC_FRAME_H

#include <stddef.h>
#include <stdbool.h>
#include <vhive/attr.h>
#include <vhive/error.h>

#include "buf.h"

#define VH_GRPC_PREFIX 5

typedef struct vh__grpc_frames {
    size_t max;   /* most bytes of one message; set by the owner */
    vh__buf in;   /* what no message was made of yet */
    size_t taken; /* of them, messages handed out: dropped when more bytes come */
} vh__grpc_frames;

void vh__grpc_frames_fini(vh__grpc_frames *f);

/** Takes bytes as they came from the stream. -ENOMEM. Drain with _next() after each call: that checks the sizes. */
VH_MUST_CHECK int vh__grpc_frames_feed(vh__grpc_frames *f, const void *bytes, size_t n, vh_error *err);

/**
 * Next whole message: 1 with |*message| borrowed until the next _feed(), 0 when more bytes are needed, or
 * VH_EUNSUPPORTED (compressed), VH_EPROTOCOL (flag neither 0 nor 1), VH_ELIMIT (longer than max; seen from the prefix,
 * before its bytes arrive), -ENOMEM.
 */
VH_MUST_CHECK int vh__grpc_frames_next(vh__grpc_frames *f, const void **message, size_t *n, vh_error *err);

/** True when a part of a message is left: the stream may not end here. */
bool vh__grpc_frames_partial(const vh__grpc_frames *f);

/** Bytes that no message was made of yet. */
size_t vh__grpc_frames_left(const vh__grpc_frames *f);

/** Appends |n| (< 4 GiB) bytes as one message. */
void vh__grpc_frame_append(vh__buf *out, const void *message, size_t n);

#endif
