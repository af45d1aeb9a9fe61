#include "grpc_queue.h"

#include <errno.h>
#include <stdlib.h>

struct vh__grpc_queued {
    STAILQ_ENTRY(vh__grpc_queued) link;
    vh__buf bytes;
};

void vh__grpc_queue_init(vh__grpc_queue *q)
{
    STAILQ_INIT(&q->messages);
}

void vh__grpc_queue_fini(vh__grpc_queue *q)
{
    vh__buf drop = { 0 };

    while (vh__grpc_queue_pop(q, &drop))
        ;
    vh__buf_fini(&drop);
}

bool vh__grpc_queue_empty(const vh__grpc_queue *q)
{
    return STAILQ_EMPTY(&q->messages);
}

int vh__grpc_queue_push(vh__grpc_queue *q, const void *bytes, size_t n, vh_error *err)
{
    struct vh__grpc_queued *m = calloc(1, sizeof(*m));
    int rc;

    if (!m)
        return vh_error_set(err, -ENOMEM, "gRPC message");
    vh__buf_append(&m->bytes, bytes, n);
    rc = vh__buf_check(&m->bytes, "gRPC message", err);
    if (rc) {
        free(m);
        return rc;
    }
    STAILQ_INSERT_TAIL(&q->messages, m, link);
    return 0;
}

bool vh__grpc_queue_pop(vh__grpc_queue *q, vh__buf *to)
{
    struct vh__grpc_queued *m = STAILQ_FIRST(&q->messages);

    if (!m)
        return false;
    STAILQ_REMOVE_HEAD(&q->messages, link);
    vh__buf_fini(to);
    *to = m->bytes;
    free(m);
    return true;
}
