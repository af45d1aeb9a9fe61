#include "grpc_queue.h"

#include <errno.h>
#include <string.h>

/* An empty queue keeps no more memory than this. */
#define KEEP 65536

void vh__grpc_queue_fini(vh__grpc_queue *q)
{
    vh__buf_fini(&q->bytes);
    q->taken = 0;
}

bool vh__grpc_queue_empty(const vh__grpc_queue *q)
{
    return q->taken == q->bytes.len;
}

int vh__grpc_queue_push(vh__grpc_queue *q, const void *bytes, size_t n, vh_error *err)
{
    if (q->taken > q->bytes.len / 2) { /* else a queue that never runs empty would grow for ever */
        vh__buf_consume(&q->bytes, q->taken);
        q->taken = 0;
    }
    if (!vh__buf_reserve(&q->bytes, sizeof(n) + n)) {
        q->bytes.oom = false; /* nothing was added: what is there can be taken */
        return vh_error_set(err, -ENOMEM, "gRPC message of %zu bytes", n);
    }
    vh__buf_append(&q->bytes, &n, sizeof(n));
    vh__buf_append(&q->bytes, bytes, n);
    return 0;
}

int vh__grpc_queue_pop(vh__grpc_queue *q, vh__buf *to, vh_error *err)
{
    size_t n;
    int rc;

    if (vh__grpc_queue_empty(q))
        return 0;
    memcpy(&n, q->bytes.data + q->taken, sizeof(n));
    vh__buf_clear(to);
    vh__buf_append(to, q->bytes.data + q->taken + sizeof(n), n);
    rc = vh__buf_check(to, "gRPC message", err);
    if (rc)
        return rc;
    q->taken += sizeof(n) + n;
    if (vh__grpc_queue_empty(q) && q->bytes.cap > KEEP) {
        vh__grpc_queue_fini(q);
    } else if (vh__grpc_queue_empty(q)) {
        vh__buf_clear(&q->bytes);
        q->taken = 0;
    }
    return 1;
}
