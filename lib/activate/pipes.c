#include "pipes.h"

#include <errno.h>
#include <fcntl.h>

#include "auto.h"

int vh__pipes_get(vh__pipes *pipes, vh__pipe *pipe)
{
    int fds[2];

    if (pipes->n) {
        *pipe = pipes->kept[--pipes->n];
        return 0;
    }
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    fcntl(fds[0], F_SETPIPE_SZ, 262144);
    *pipe = (vh__pipe){ .out = fds[0], .in = fds[1] };
    return 0;
}

void vh__pipes_put(vh__pipes *pipes, vh__pipe *pipe)
{
    if (pipes->n == VH_PIPES_KEPT) {
        vh__pipe_close(pipe);
        return;
    }
    pipes->kept[pipes->n++] = *pipe;
    *pipe = VH_PIPE_NONE;
}

void vh__pipe_close(vh__pipe *pipe)
{
    vh__fd_close(&pipe->out);
    vh__fd_close(&pipe->in);
}

void vh__pipes_fini(vh__pipes *pipes)
{
    while (pipes->n)
        vh__pipe_close(&pipes->kept[--pipes->n]);
}
