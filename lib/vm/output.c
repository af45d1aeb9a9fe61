/* The function's output: two pipes that the shim writes, and a thread that hands on what comes. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "auto.h"
#include "fd.h"
#include "thread.h"
#include "vm_priv.h"

static void hand_on(struct output *out, int i)
{
    char bytes[16384];
    ssize_t got = read(out->read_fd[i], bytes, sizeof(bytes));

    if (got > 0)
        out->fn(i == 0 ? VH_STREAM_STDOUT : VH_STREAM_STDERR, bytes, (size_t)got, out->arg);
    else if (got == 0 || (errno != EINTR && errno != EAGAIN))
        vh__fd_close(&out->read_fd[i]);
}

/* Ends when both write ends are closed: by the shim's death at the latest. */
static void *output_main(void *arg)
{
    struct output *out = arg;

    while (out->read_fd[0] >= 0 || out->read_fd[1] >= 0) {
        struct pollfd p[2] = { { .fd = out->read_fd[0], .events = POLLIN },
                               { .fd = out->read_fd[1], .events = POLLIN } };

        if (poll(p, 2, -1) < 0)
            continue; /* EINTR */
        for (int i = 0; i < 2; i++)
            if (p[i].revents)
                hand_on(out, i);
    }
    return NULL;
}

int vh__output_start(struct output *out, vh_error *err)
{
    int rc = 0;

    if (!out->fn)
        return 0;
    for (int i = 0; i < 2 && rc == 0; i++) {
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
            return vh_error_set(err, -errno, "output: pipe");
        out->read_fd[i] = fds[0];
        out->write_fd[i] = fds[1];
        rc = vh__fd_nonblock(fds[1], err);
    }
    if (rc)
        return rc;
    rc = vh__thread_start(&out->thread, "vh-output", output_main, out, err);
    out->running = rc == 0;
    return rc;
}

void vh__output_given(struct output *out)
{
    vh__fd_close(&out->write_fd[0]);
    vh__fd_close(&out->write_fd[1]);
}

void vh__output_stop(struct output *out)
{
    vh__output_given(out);
    if (out->running)
        pthread_join(out->thread, NULL);
    out->running = false;
    for (int i = 0; i < 2; i++)
        vh__fd_close(&out->read_fd[i]);
}
