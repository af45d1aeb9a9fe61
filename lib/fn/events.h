/* events: the last things that happened, for those who look later or follow. Threads: under the owner's lock. */
#ifndef VH_FN_EVENTS_H
#define VH_FN_EVENTS_H

#include <vhive/fn.h>

#define VH_EVENTS_KEPT 1024

struct event {
    int64_t time_ns;
    uint64_t sequence; /* 1, 2, ... */
    char type[32];
    char function[VH_FUNCTION_NAME];
    char vm[24];
    char message[256];
};

struct events {
    struct event *ring; /* VH_EVENTS_KEPT of them; NULL until there is one */
    uint64_t last;      /* sequence of the newest, 0: none */
};

void vh__events_fini(struct events *events);
/** Adds one; dropped, but counted, when out of memory. */
void vh__events_add(struct events *events, const char *type, const char *function, const char *vm,
                    const char *message);
/**
 * Copies the first event after |since| into |*event|; false: there is none yet. If some after |since| are not kept any
 * more, it is one of type "events.lost" whose sequence is that of the last of them; 1 where |since| is of a process
 * before this one, whose events are not kept.
 */
bool vh__events_next(const struct events *events, uint64_t since, struct event *event);

#endif
