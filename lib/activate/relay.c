/*
 * Both directions of a connection, each through a pipe that it has only while bytes are in it.
 *
 * A pipe is filled only when it is empty: into one with something in it splice(2) says EAGAIN both when the socket has
 * nothing and when the pipe's slots are used up, and who cannot tell waits for the wrong end. So a direction either
 * reads (and waits for its source) or writes (and waits for its destination), never both; a destination that does not
 * take stops the reading.
 *
 * An end of which nothing is wanted is watched for errors alone, so that a reset passes a stalled stream.
 */
#include "activate_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "auto.h"

/* What one splice asks for: the slots of a pipe end it, and one of them can hold more than a page. */
#define CHUNK ((size_t)1 << 20)

static ssize_t move(int from, int to, size_t n)
{
    ssize_t moved = splice(from, NULL, to, NULL, n, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

    return moved < 0 ? -errno : moved;
}

/* Nothing now: the next event tells when there is. */
static bool later(ssize_t rc)
{
    return rc == -EAGAIN || rc == -EINTR;
}

static int fill(vh__pipes *pipes, vh__flow *f, int from)
{
    int rc = f->pipe.in < 0 ? vh__pipes_get(pipes, &f->pipe) : 0;
    ssize_t n;

    if (rc)
        return rc;
    n = move(from, f->pipe.in, CHUNK);
    if (n < 0)
        return later(n) ? 0 : (int)n;
    f->held = (size_t)n;
    f->ended = n == 0;
    return 0;
}

static int drain(vh__flow *f, int to)
{
    while (f->held) {
        ssize_t n = move(f->pipe.out, to, f->held);

        if (n <= 0)
            return later(n) ? 0 : n ? (int)n : -EPIPE;
        f->held -= (size_t)n;
    }
    return 0;
}

/* Moves a pipe of what there is, so that others have their turn. 0 or -errno of the end that broke. */
static int flow_run(vh__pipes *pipes, vh__flow *f, int from, int to)
{
    int rc = f->held || f->ended ? 0 : fill(pipes, f, from);

    if (!rc)
        rc = drain(f, to);
    if (!f->held && f->pipe.in >= 0)
        vh__pipes_put(pipes, &f->pipe);
    return rc;
}

static void pass_end(vh__flow *f, int to)
{
    if (!f->ended || f->passed)
        return;
    f->passed = true;
    vh_ignore(shutdown(to, SHUT_WR)); /* fails on a peer that is gone, which an event of its own tells */
}

static uint32_t wanted(const vh__flow *from, const vh__flow *to)
{
    return (!from->ended && !from->held ? (uint32_t)EPOLLIN : 0) | (to->held ? (uint32_t)EPOLLOUT : 0);
}

/*
 * An end broke, perhaps after it said why: what has come from either is passed on before both are reset. An end of a
 * stream is not, since a stream that was cut off must not look whole.
 */
static void salvage(vh__conn *c)
{
    vh_ignore(flow_run(&c->a->pipes, &c->down, c->instance.fd, c->client.fd)); /* broken, as known */
    vh_ignore(flow_run(&c->a->pipes, &c->up, c->client.fd, c->instance.fd));
}

/* What is next, after the flows did what they could: |rc| is how. */
static void go_on(vh__conn *c, int rc)
{
    if (rc) {
        salvage(c);
        vh__conn_end(c, true);
        return;
    }
    pass_end(&c->up, c->instance.fd);
    pass_end(&c->down, c->client.fd);
    if (c->up.ended && c->down.ended)
        vh__conn_end(c, false);
    else if (vh__watch_set(c->a->epoll, &c->client, wanted(&c->up, &c->down)) ||
             vh__watch_set(c->a->epoll, &c->instance, wanted(&c->down, &c->up)))
        vh__conn_end(c, true);
}

static int error_of(const vh__watch *w)
{
    int code = 0;
    socklen_t n = sizeof(code);

    return getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &code, &n) < 0 ? -errno : -code;
}

/*
 * Events of |w|, whose bytes are |from| and go to |other|. One that was reset is read to its end first: what came
 * before the reset still counts.
 */
static void ready(vh__conn *c, vh__watch *w, vh__flow *from, vh__watch *other, vh__flow *to, uint32_t events)
{
    bool reads = !from->ended && !from->held;
    int rc = 0;

    if (reads && events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        rc = flow_run(&c->a->pipes, from, w->fd, other->fd);
    if (!rc && to->held && events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
        rc = flow_run(&c->a->pipes, to, other->fd, w->fd);
    if (!rc && !reads && events & EPOLLERR)
        rc = error_of(w);
    go_on(c, rc);
}

static void client_ready(vh__watch *w, uint32_t events)
{
    vh__conn *c = VH_CONTAINER(w, vh__conn, client);

    ready(c, w, &c->up, &c->instance, &c->down, events);
}

static void instance_ready(vh__watch *w, uint32_t events)
{
    vh__conn *c = VH_CONTAINER(w, vh__conn, instance);

    ready(c, w, &c->down, &c->client, &c->up, events);
}

void vh__conn_relay(vh__conn *c)
{
    c->state = VH_CONN_RELAYING;
    c->client.ready = client_ready;
    c->instance.ready = instance_ready;
    /* what the client has sent while it waited is there already */
    go_on(c, flow_run(&c->a->pipes, &c->up, c->client.fd, c->instance.fd));
}
