#include "events.h"

#include <stdio.h>
#include <stdlib.h>

#include "clock.h"

void vh__events_fini(struct events *events)
{
    free(events->ring);
}

void vh__events_add(struct events *events, const char *type, const char *function, const char *vm, const char *message)
{
    struct event *e;

    events->last++;
    if (!events->ring)
        events->ring = calloc(VH_EVENTS_KEPT, sizeof(*events->ring));
    if (!events->ring)
        return;
    e = &events->ring[events->last % VH_EVENTS_KEPT];
    e->time_ns = vh__clock_real_ns();
    e->sequence = events->last;
    snprintf(e->type, sizeof(e->type), "%s", type);
    snprintf(e->function, sizeof(e->function), "%s", function);
    snprintf(e->vm, sizeof(e->vm), "%s", vm);
    snprintf(e->message, sizeof(e->message), "%s", message);
}

static void tell_lost(uint64_t since, uint64_t until, struct event *event)
{
    *event = (struct event){ .time_ns = vh__clock_real_ns(), .sequence = until, .type = "events.lost" };
    snprintf(event->message, sizeof(event->message), "%llu events are not kept any more",
             (unsigned long long)(until - since));
}

bool vh__events_next(const struct events *events, uint64_t since, struct event *event)
{
    uint64_t kept = events->last > VH_EVENTS_KEPT ? events->last - VH_EVENTS_KEPT : 0;

    if (since == events->last)
        return false;
    if (since > events->last) { /* by the count of a process before this one */
        *event = (struct event){ .time_ns = vh__clock_real_ns(), .sequence = 1, .type = "events.lost" };
        snprintf(event->message, sizeof(event->message), "events begin anew: vhived was restarted after number %llu",
                 (unsigned long long)since);
        return true;
    }
    if (since < kept || !events->ring) {
        tell_lost(since, events->ring ? kept : events->last, event);
        return true;
    }
    *event = events->ring[(since + 1) % VH_EVENTS_KEPT];
    if (event->sequence != since + 1)
        tell_lost(since, since + 1, event); /* there was no memory for it */
    return true;
}
