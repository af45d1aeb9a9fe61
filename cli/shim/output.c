#include "output.h"

#include <errno.h>
#include <unistd.h>

#include "auto.h"

void output_put(struct output *o, const void *bytes, size_t n)
{
    if (o->fd < 0)
        return;
    vh__buf_append(&o->pending, bytes, n);
    if (o->pending.oom)
        output_close(o);
}

void output_write(struct output *o)
{
    ssize_t put = write(o->fd, o->pending.data, o->pending.len);

    if (put > 0)
        vh__buf_consume(&o->pending, (size_t)put);
    if (put < 0 && errno != EAGAIN && errno != EINTR)
        output_close(o); /* whoever wanted it is gone */
}

void output_close(struct output *o)
{
    vh__buf_fini(&o->pending);
    vh__fd_close(&o->fd);
}
