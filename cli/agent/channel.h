/*
 * The channel to the host: a virtio-serial port, frames both ways, bounded buffers, never blocking.
 *
 * Edge-triggered: the caller puts |fd| into its epoll set with CHANNEL_EVENTS and hands what it gets to
 * channel_event(). While no host is connected the kernel reports POLLHUP; a level-triggered loop would spin on it,
 * here one event tells of the loss and the next one of the return, which is when a restored clone goes on.
 */
#ifndef VHIVE_AGENT_CHANNEL_H
#define VHIVE_AGENT_CHANNEL_H

#include <sys/epoll.h>

#include "agent.h"
#include "util.h"

#define CHANNEL_EVENTS (EPOLLIN | EPOLLOUT | EPOLLET)
/* Room that output of the function leaves free, for the messages about it. */
#define CHANNEL_RESERVE 8192
#define CHANNEL_OUT     (4 * VH_AGENT_OUTPUT_MAX + CHANNEL_RESERVE)

struct channel {
    int fd;
    bool connected, readable, writable;
    size_t start, end; /* whole frames to send are out[start..end) */
    size_t sent;       /* bytes of the first of them that are on their way */
    int64_t moved_ns;  /* when the host last took any */
    vh__agent_decoder in;
    uint8_t out[CHANNEL_OUT];
};

/** Finds the port by its name, within |ms|, and opens it. 0 or -1 with |f|. */
int channel_open(struct channel *c, int ms, struct fault *f);

/** Takes note of epoll events. */
void channel_event(struct channel *c, uint32_t events);

/** Bytes that can still be queued. */
size_t channel_room(const struct channel *c);

/** Queues |m|; false when there is no room for it. */
bool channel_send(struct channel *c, const vh__agent_msg *m);

/** Sends what it can. True if there is more and it may go at once. */
bool channel_flush(struct channel *c);

/** Whether everything queued was handed to the kernel. */
bool channel_idle(const struct channel *c);

/**
 * Next message from the host, reading if need be. 1; 0 when there is none now; -1 when the host broke the protocol or
 * the port failed, with |f|. |m| borrows until the next call.
 */
int channel_receive(struct channel *c, vh__agent_msg *m, struct fault *f);

#endif
