/* Listening sockets. */
#include "activate_priv.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "auto.h"
#include "log.h"

#define BACKLOG 4096
/* Most connections that are accepted before those that are established have their turn. */
#define BURST 16
/* Without descriptors nothing is accepted for so long; who comes meanwhile waits in the backlog. */
#define PAUSE_MS 50
/* It is told again after so long without. */
#define QUIET_MS 1000

/* Listens at |at|, with its port. */
static int tcp_listen(const vh__address *at, int *fd)
{
    vh_auto_fd int made = socket(at->at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    static const int on = 1;

    if (made < 0 || setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 || /* what is accepted inherits it */
        bind(made, &at->at.any, at->len) < 0 || listen(made, BACKLOG) < 0)
        return -errno;
    *fd = vh_steal_fd(&made);
    return 0;
}

/* Finds a free port of the range. */
static int tcp_assign(const vh__activator_options *o, const char *text, vh__address *at, int *fd, vh_error *err)
{
    for (unsigned port = o->port_first; port && port <= o->port_last; port++) {
        int rc;

        vh__address_set_port(at, (uint16_t)port);
        rc = tcp_listen(at, fd);
        if (rc != -EADDRINUSE)
            return rc ? vh_error_set(err, rc, "listen at %s, port %u", text, port) : 0;
    }
    return vh_error_set(err, -EADDRINUSE, "listen at %s: no port from %u to %u is free; name one or widen the range",
                        text, o->port_first, o->port_last);
}

static int open_socket(vh__listener *l, const char *text, vh_error *err)
{
    vh__address at;
    int rc = vh__address_parse(text, &at, err);

    if (rc)
        return rc;
    if (at.at.any.sa_family == AF_UNIX) {
        rc = vh__listen_unix(at.at.un.sun_path, 0660, (gid_t)-1, &l->watch.fd, &l->file, err);
    } else if (at.assign) {
        rc = tcp_assign(&l->a->opts, text, &at, &l->watch.fd, err);
    } else {
        rc = tcp_listen(&at, &l->watch.fd);
        if (rc)
            vh_error_set(err, rc, "listen at %s", text);
    }
    vh__address_format(&at, l->address, sizeof(l->address));
    return rc;
}

static void close_socket(vh__listener *l)
{
    vh__unlisten_unix(l->address + strlen("unix:"), &l->file); /* none of TCP */
    vh__watch_close(&l->watch);
}

void vh__listeners_resume(vh__activator *a)
{
    vh__listener *l;

    a->paused = false;
    LIST_FOREACH(l, &a->listeners, link)
        vh_ignore(vh__watch_set(a->epoll, &l->watch, EPOLLIN)); /* changing what is watched needs no memory */
}

static void pause_accepting(vh__activator *a, int code)
{
    vh__listener *l;

    if (a->now_ms - a->paused_until_ms > QUIET_MS)
        vh__log(a->opts.env, VH_LOG_WARN, "activate", NULL,
                "cannot accept connections: %s; they wait in the queue. Raise LimitNOFILE", vh_strerror(-code));
    a->paused = true;
    a->paused_until_ms = a->now_ms + PAUSE_MS;
    LIST_FOREACH(l, &a->listeners, link)
        vh_ignore(vh__watch_set(a->epoll, &l->watch, 0)); /* as above */
}

static void acceptable(vh__watch *w, uint32_t events)
{
    vh__listener *l = VH_CONTAINER(w, vh__listener, watch);

    (void)events;
    for (int i = 0; i < BURST && w->fd >= 0; i++) { /* wanted() may close the listener */
        int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            vh__conn_begin(l, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(l->a, errno);
            return;
        } else if (errno == EAGAIN) {
            return;
        } /* else it went before it was accepted: the next one */
    }
}

struct change {
    vh__listener *l;
    int rc;
};

static void add(void *arg)
{
    struct change *change = arg;
    vh__listener *l = change->l;

    change->rc = vh__watch_set(l->a->epoll, &l->watch, l->a->paused ? 0 : EPOLLIN);
    if (!change->rc)
        LIST_INSERT_HEAD(&l->a->listeners, l, link);
}

int vh__activator_listen(vh__activator *a, const char *address, void *owner, vh__listener **listener, vh_error *err)
{
    vh__listener *l = calloc(1, sizeof(*l));
    struct change change = { .l = l };

    if (!l)
        return vh_error_set(err, -ENOMEM, "listen at %s", address);
    *l = (vh__listener){ .a = a, .owner = owner, .watch = { .fd = -1, .ready = acceptable } };
    TAILQ_INIT(&l->waiting);
    change.rc = open_socket(l, address, err);
    if (!change.rc) {
        vh__activator_call(a, add, &change);
        if (change.rc)
            vh_error_set(err, change.rc, "listen at %s", address);
    }
    if (change.rc) {
        close_socket(l);
        free(l);
        return change.rc;
    }
    *listener = l;
    return 0;
}

const char *vh__listener_address(const vh__listener *listener)
{
    return listener->address;
}

static void remove_listener(void *arg)
{
    vh__listener *l = arg;

    close_socket(l);
    LIST_REMOVE(l, link);
    LIST_INSERT_HEAD(&l->a->closed, l, link);
    while (!TAILQ_EMPTY(&l->waiting))
        vh__conn_end(TAILQ_FIRST(&l->waiting), true);
}

void vh__listener_close(vh__listener *listener)
{
    if (listener)
        vh__activator_call(listener->a, remove_listener, listener);
}

void vh__listeners_bury(vh__activator *a)
{
    while (!LIST_EMPTY(&a->closed)) {
        vh__listener *l = LIST_FIRST(&a->closed);

        LIST_REMOVE(l, link);
        free(l);
    }
}
