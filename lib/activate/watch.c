#include "watch.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

#include "auto.h"

int vh__watch_set(int epoll, vh__watch *w, uint32_t events)
{
    struct epoll_event e = { .events = events ? events : (uint32_t)EPOLLET, .data.ptr = w };

    if (w->added && w->events == events)
        return 0;
    if (epoll_ctl(epoll, w->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, w->fd, &e) < 0)
        return -errno;
    w->added = true;
    w->epoll = epoll;
    w->events = events;
    return 0;
}

/*
 * Closing alone is not enough: until a process that is being started executes its program it has a copy of each
 * descriptor, and as long as there is one the set has it, and tells events of a watch that is no more.
 */
void vh__watch_close(vh__watch *w)
{
    if (w->added)
        vh_ignore(epoll_ctl(w->epoll, EPOLL_CTL_DEL, w->fd, NULL)); /* fails only if it is not in there */
    vh__fd_close(&w->fd);
    w->added = false;
}

void vh__watch_be_reset(vh__watch *w)
{
    static const struct linger now = { .l_onoff = 1, .l_linger = 0 };

    if (w->fd >= 0) /* it may fail on what is closed already, and then there is nothing to reset */
        vh_ignore(setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
}
