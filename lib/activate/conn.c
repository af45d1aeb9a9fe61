/* Connections: from the moment they came until they are over. */
#include "activate_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "auto.h"
#include "observe.h"

static bool is_waiting(const vh__conn *c)
{
    return c->state == VH_CONN_WAITING || c->state == VH_CONN_CONNECTING;
}

/*
 * The peer of a connection that waits has ended its sending, or is gone. TCP does not say which. With a request in the
 * buffer it is taken for one that waits for the answer; without one nothing could be answered.
 */
static void peer_left(vh__watch *w, uint32_t events)
{
    vh__conn *c = VH_CONTAINER(w, vh__conn, client);
    int unread = 0;

    if (!(events & (EPOLLERR | EPOLLHUP)) && ioctl(w->fd, FIONREAD, &unread) == 0 && unread > 0)
        return; /* edge-triggered: the next word is that it is gone entirely */
    vh__conn_end(c, false);
}

static vh__conn *conn_new(vh__listener *l, int fd)
{
    vh__conn *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    *c = (vh__conn){ .a = l->a, .listener = l, .client = { .fd = fd, .ready = peer_left }, .instance = { .fd = -1 },
                     .up = { .pipe = VH_PIPE_NONE }, .down = { .pipe = VH_PIPE_NONE } };
    LIST_INSERT_HEAD(&l->a->conns, c, link);
    TAILQ_INSERT_TAIL(&l->waiting, c, queue);
    l->a->nconns++;
    vh__conn_set_deadline(c);
    return c;
}

void vh__conn_begin(vh__listener *listener, int fd)
{
    vh__activator *a = listener->a;
    vh__watch refused = { .fd = fd };
    vh__conn *c = a->nconns < a->opts.max_connections ? conn_new(listener, fd) : NULL;

    if (!c) {
        vh__watch_be_reset(&refused);
        vh__watch_close(&refused);
        return;
    }
    a->ops->wanted(c, listener->owner, a->arg);
    vh__activator_run_tasks(a); /* granted on the spot, it needs not be watched until then */
    if (is_waiting(c) && vh__watch_set(a->epoll, &c->client, EPOLLRDHUP | EPOLLET))
        vh__conn_end(c, true);
}

void vh__conn_set_deadline(vh__conn *c)
{
    vh__activator *a = c->a;

    if (c->deadline_ms)
        TAILQ_REMOVE(&a->timed, c, timed);
    c->deadline_ms = a->now_ms + a->opts.wait_ms;
    TAILQ_INSERT_TAIL(&a->timed, c, timed);
}

/* Takes |c| out of the queues that its state has it in. */
static void unqueue(vh__conn *c)
{
    if (is_waiting(c))
        TAILQ_REMOVE(&c->a->timed, c, timed);
    if (c->state == VH_CONN_WAITING)
        TAILQ_REMOVE(&c->listener->waiting, c, queue);
    if (c->state == VH_CONN_CONNECTING)
        TAILQ_REMOVE(&c->a->attempts, c, queue);
}

static void refuse(vh__task *task);

/* No answer of the owner counts from now on. True if it is to be told, since it has not refused. */
static bool stop_listening_to_owner(vh__conn *c)
{
    bool refused;

    pthread_mutex_lock(&c->a->lock);
    refused = c->task.run == refuse;
    if (c->task.queued)
        TAILQ_REMOVE(&c->a->tasks, &c->task, link);
    c->task.queued = false;
    c->answered = true;
    vh__watch_close(&c->client); /* under lock: vh__conn_trace() may be reading it */
    pthread_mutex_unlock(&c->a->lock);
    return !refused;
}

static void reset_both(vh__conn *c)
{
    vh__watch_be_reset(&c->client);
    vh__watch_be_reset(&c->instance);
}

void vh__conn_end(vh__conn *c, bool reset)
{
    vh__activator *a = c->a;

    if (c->state == VH_CONN_OVER)
        return;
    unqueue(c);
    c->state = VH_CONN_OVER;
    if (reset)
        reset_both(c);
    vh__watch_close(&c->instance);
    vh__pipe_close(&c->up.pipe);
    vh__pipe_close(&c->down.pipe);
    LIST_REMOVE(c, link);
    LIST_INSERT_HEAD(&a->graves, c, link);
    a->nconns--;
    if (stop_listening_to_owner(c))
        a->ops->ended(c, c->granted, a->arg);
}

void vh__conns_bury(vh__activator *a)
{
    while (!LIST_EMPTY(&a->graves)) {
        vh__conn *c = LIST_FIRST(&a->graves);

        LIST_REMOVE(c, link);
        free(c);
    }
}

static void grant(vh__task *task)
{
    vh__conn *c = VH_CONTAINER(task, vh__conn, task);

    vh__conn_set_deadline(c);
    vh__conn_connect(c);
}

static void refuse(vh__task *task)
{
    vh__conn_end(VH_CONTAINER(task, vh__conn, task), true);
}

/* Hands the owner's answer to the loop. The first one counts, and none once the connection is over. */
static void answer(vh__conn *c, void (*run)(vh__task *task), const struct sockaddr *address, socklen_t n)
{
    pthread_mutex_lock(&c->a->lock);
    if (!c->answered) {
        c->answered = true;
        c->granted = address != NULL;
        c->address_len = VH_MIN(n, (socklen_t)sizeof(c->address));
        if (address)
            memcpy(&c->address, address, c->address_len);
        c->task.run = run;
        vh__activator_post(c->a, &c->task);
    }
    pthread_mutex_unlock(&c->a->lock);
}

void vh__conn_grant(vh__conn *conn, const struct sockaddr *address, socklen_t n)
{
    answer(conn, grant, address, n);
}

void vh__conn_refuse(vh__conn *conn)
{
    answer(conn, refuse, NULL, 0);
}

static void cut(vh__task *task)
{
    vh__conn_end(VH_CONTAINER(task, vh__conn, task), true);
}

/* In place of an answer that the loop has not seen yet. Without a descriptor it is over already. */
void vh__conn_cut(vh__conn *conn)
{
    pthread_mutex_lock(&conn->a->lock);
    if (conn->client.fd >= 0) {
        conn->answered = true;
        conn->task.run = cut;
        if (!conn->task.queued)
            vh__activator_post(conn->a, &conn->task);
    }
    pthread_mutex_unlock(&conn->a->lock);
}

void vh__conn_set_data(vh__conn *conn, void *data)
{
    conn->data = data;
}

void *vh__conn_data(const vh__conn *conn)
{
    return conn->data;
}

bool vh__conn_trace(vh__conn *conn, vh__trace_context *context)
{
    uint8_t head[VH_OBSERVE_MAX];
    ssize_t n = -1;

    pthread_mutex_lock(&conn->a->lock); /* it keeps the descriptor from being closed and becoming another's */
    if (conn->client.fd >= 0)
        n = recv(conn->client.fd, head, sizeof(head), MSG_PEEK | MSG_DONTWAIT);
    pthread_mutex_unlock(&conn->a->lock);
    return n > 0 && vh__observe(head, (size_t)n, context);
}
