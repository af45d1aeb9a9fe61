/* Reaching the instance: attempts until one is accepted or the deadline is over. */
#include "activate_priv.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "auto.h"

/* How long to wait for the answer to one attempt: a lost SYN is repeated by the kernel only after a second. */
#define FIRST_ATTEMPT_MS 50
#define LAST_ATTEMPT_MS  1000
/* From an attempt that was refused to the next. */
#define PAUSE_MS 1

static void connected(vh__conn *c)
{
    static const int on = 1;

    TAILQ_REMOVE(&c->a->attempts, c, queue);
    TAILQ_REMOVE(&c->a->timed, c, timed);
    if (c->address.any.sa_family != AF_UNIX)
        vh_ignore(setsockopt(c->instance.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on))); /* slower without */
    vh__conn_relay(c);
}

static void failed(vh__conn *c, int code)
{
    c->last_error = code;
    c->attempt_ms = c->a->now_ms + PAUSE_MS;
    vh__watch_close(&c->instance);
}

/*
 * Connecting over and over to a port of this machine that nobody listens at ends, once the kernel gives the attempt
 * that very port as its own, in a socket that is connected to itself.
 */
static bool to_itself(const vh__conn *c)
{
    vh__sockaddr own = { .any.sa_family = AF_UNSPEC };
    socklen_t n = sizeof(own);

    return c->address.any.sa_family != AF_UNIX && getsockname(c->instance.fd, &own.any, &n) == 0 &&
           n == c->address_len && memcmp(&own, &c->address, n) == 0;
}

static void attempt_ready(vh__watch *w, uint32_t events)
{
    vh__conn *c = VH_CONTAINER(w, vh__conn, instance);
    int code = 0;
    socklen_t n = sizeof(code);

    (void)events;
    if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &code, &n) < 0)
        code = errno;
    if (!code && to_itself(c))
        code = ECONNREFUSED;
    if (code)
        failed(c, code);
    else
        connected(c);
}

static void attempt(vh__conn *c)
{
    int fd = socket(c->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    c->instance = (vh__watch){ .fd = fd, .ready = attempt_ready };
    c->attempt_ms = c->a->now_ms + c->patience_ms;
    if (fd >= 0 && connect(fd, &c->address.any, c->address_len) == 0)
        attempt_ready(&c->instance, EPOLLOUT);
    else if (fd < 0 || errno != EINPROGRESS || vh__watch_set(c->a->epoll, &c->instance, EPOLLOUT))
        failed(c, errno);
}

void vh__conn_connect(vh__conn *c)
{
    TAILQ_REMOVE(&c->listener->waiting, c, queue);
    c->state = VH_CONN_CONNECTING;
    c->patience_ms = FIRST_ATTEMPT_MS;
    TAILQ_INSERT_TAIL(&c->a->attempts, c, queue);
    attempt(c);
}

void vh__conns_attempt(vh__activator *a)
{
    vh__conn *next;

    for (vh__conn *c = TAILQ_FIRST(&a->attempts); c; c = next) {
        next = TAILQ_NEXT(c, queue);
        if (a->now_ms < c->attempt_ms)
            continue;
        if (c->instance.fd >= 0) {
            failed(c, ETIMEDOUT);
            c->patience_ms = VH_MIN(c->patience_ms * 2, LAST_ATTEMPT_MS);
        }
        attempt(c);
    }
}
