/* Readiness: the function's port is tried, on the address from which the host will come, until it accepts. */
#ifndef VHIVE_AGENT_PROBE_H
#define VHIVE_AGENT_PROBE_H

#include <netinet/in.h>

#include "util.h"

struct probe {
    struct sockaddr_in to;
    int fd;           /* of the attempt under way, -1: none */
    int64_t at_ns;    /* when the next attempt starts, or the one under way is given up */
    int64_t pause_ns; /* after the next failure: grows from 2 to 50 ms */
};

/** Starts probing |ip|, loopback if it is all zero. */
void probe_init(struct probe *p, const uint8_t ip[4], uint16_t port);

/**
 * Goes on as far as it can without blocking. True once the port has accepted. Until then call again when |p->fd|,
 * which is put into |epoll_fd| under |tag|, has an event, and at |p->at_ns|.
 */
bool probe_step(struct probe *p, int epoll_fd, uint32_t tag);

/** Gives an attempt up. */
void probe_stop(struct probe *p);

#endif
