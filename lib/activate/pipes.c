#include "pipes.h"

#include <errno.h>
#include <fcntl.h>

#include "auto.h"

/* Four times what pipes have: a third of the loop's rounds for a long stream. Only pages that are in use count. */
#define PIPE_BYTES (256 << 10)

int vh__pipes_get(vh__pipes *pipes, vh__pipe *pipe)
{
    int fds[2];

    if (pipes->n) {
        *pipe = pipes->kept[--pipes->n];
        return 0;
    }
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    vh_ignore(fcntl(fds[0], F_SETPIPE_SZ, PIPE_BYTES) < 0); /* refused past a user's share of pages */
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
