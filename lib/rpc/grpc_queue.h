/* Messages that came and wait for whoever takes them, in order. */
#ifndef VH_RPC_GRPC_QUEUE_H
#define VH_RPC_GRPC_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <vhive/attr.h>
#include <vhive/error.h>

#include "buf.h"

/** vh__grpc_queue_init() before use. */
typedef struct vh__grpc_queue {
    STAILQ_HEAD(, vh__grpc_queued) messages;
} vh__grpc_queue;

void vh__grpc_queue_init(vh__grpc_queue *q);
void vh__grpc_queue_fini(vh__grpc_queue *q);
bool vh__grpc_queue_empty(const vh__grpc_queue *q);
/** Adds a copy of |n| bytes. -ENOMEM. */
VH_MUST_CHECK int vh__grpc_queue_push(vh__grpc_queue *q, const void *bytes, size_t n, vh_error *err);
/** Gives the oldest message to |to|, whose content is freed; false and nothing done if there is none. */
bool vh__grpc_queue_pop(vh__grpc_queue *q, vh__buf *to);

#endif
