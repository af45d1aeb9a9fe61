/*
 * A descriptor in an epoll set. epoll itself and not libuv: a relay must tell a peer that ended its sending from one
 * that is gone (EPOLLRDHUP, EPOLLHUP, EPOLLERR), which uv_poll folds together; and what it waits for changes with
 * each pipe that fills, which costs one system call here and two there.
 */
#ifndef VH_ACTIVATE_WATCH_H
#define VH_ACTIVATE_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

typedef struct vh__watch vh__watch;

struct vh__watch {
    int fd;          /* -1: none. Owned */
    bool added;      /* it is in the set, for |events| */
    int epoll;       /* that set */
    uint32_t events;
    void (*ready)(vh__watch *w, uint32_t events);
};

/**
 * Waits for |events| from now on; 0 waits for errors and hang-ups alone, each told once. Level-triggered otherwise,
 * unless |events| has EPOLLET. 0 or -errno of epoll_ctl(2).
 */
int vh__watch_set(int epoll, vh__watch *w, uint32_t events);
/** Takes the descriptor out of the set and closes it; events of it that were fetched already are dropped. */
void vh__watch_close(vh__watch *w);
/** Sees to it that closing a TCP connection is a reset for its peer, not an end. */
void vh__watch_be_reset(vh__watch *w);

#endif
