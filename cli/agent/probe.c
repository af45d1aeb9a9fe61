#include "probe.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAUSE_FIRST (2 * NS_PER_MS)
#define PAUSE_LAST  (50 * NS_PER_MS)
#define ATTEMPT     NS_PER_S /* a full backlog drops the request; its own retry would take as long */

void probe_init(struct probe *p, const uint8_t ip[4], uint16_t port)
{
    static const uint8_t loopback[4] = { 127, 0, 0, 1 };

    *p = (struct probe){ .fd = -1, .pause_ns = PAUSE_FIRST };
    p->to.sin_family = AF_INET;
    p->to.sin_port = htons(port);
    memcpy(&p->to.sin_addr, ip[0] ? ip : loopback, 4);
}

void probe_stop(struct probe *p)
{
    if (p->fd >= 0)
        (void)close(p->fd); /* nothing was sent */
    p->fd = -1;
}

/* The attempt came to nothing; the next one follows after a pause. */
static bool failed(struct probe *p)
{
    probe_stop(p);
    p->at_ns = now_ns() + p->pause_ns;
    p->pause_ns = p->pause_ns * 3 / 2 < PAUSE_LAST ? p->pause_ns * 3 / 2 : PAUSE_LAST;
    return false;
}

static void begin(struct probe *p, int epoll_fd, uint32_t tag)
{
    struct epoll_event ev = { .events = EPOLLOUT | EPOLLET, .data.u32 = tag };

    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    p->at_ns = now_ns() + ATTEMPT;
    if (p->fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, p->fd, &ev) < 0 ||
        (connect(p->fd, (struct sockaddr *)&p->to, sizeof(p->to)) < 0 && errno != EINPROGRESS))
        (void)failed(p); /* tells what begin() need not */
}

/*
 * The attempt under way: connected, refused, or neither yet. A port of the ephemeral range that nobody listens on may
 * be picked as the source of the very request that goes to it, and TCP then connects the socket with itself.
 */
static bool look(struct probe *p)
{
    struct sockaddr_in peer, self = { 0 };
    socklen_t n = sizeof(peer), sn = sizeof(self), en = sizeof(int);
    int code = 0;

    if (getpeername(p->fd, (struct sockaddr *)&peer, &n) == 0)
        return (getsockname(p->fd, (struct sockaddr *)&self, &sn) == 0 && self.sin_port != p->to.sin_port) ||
               failed(p);
    if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &code, &en) < 0 || code || now_ns() >= p->at_ns)
        return failed(p);
    return false;
}

bool probe_step(struct probe *p, int epoll_fd, uint32_t tag)
{
    bool open;

    if (p->fd < 0 && now_ns() >= p->at_ns)
        begin(p, epoll_fd, tag);
    open = p->fd >= 0 && look(p);
    if (open)
        probe_stop(p);
    return open;
}
