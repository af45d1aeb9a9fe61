/*
 * Messages that came and wait for whoever takes them, in order. They lie in one buffer, so that many small ones, or
 * empty ones, cost little more than what came over the wire.
 */
#ifndef VH_RPC_GRPC_QUEUE_H
#define VH_RPC_GRPC_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <vhive/attr.h>
#include <vhive/error.h>

#include "buf.h"

/** Zero-initialise. */
typedef struct vh__grpc_queue {
    vh__buf bytes; /* each message behind its length */
    size_t taken;  /* of them, those of messages that were taken */
} vh__grpc_queue;

void vh__grpc_queue_fini(vh__grpc_queue *q);
bool vh__grpc_queue_empty(const vh__grpc_queue *q);
/** Adds a copy of |n| bytes. -ENOMEM. */
VH_MUST_CHECK int vh__grpc_queue_push(vh__grpc_queue *q, const void *bytes, size_t n, vh_error *err);
/** Moves the oldest message to |to|, which is cleared first: 1, or 0 and nothing done if there is none. -ENOMEM. */
VH_MUST_CHECK int vh__grpc_queue_pop(vh__grpc_queue *q, vh__buf *to, vh_error *err);

#endif
