/* The agent's state and the parts that act on it: loop (main.c) and messages (messages.c). */
#ifndef VHIVE_AGENT_PRIV_H
#define VHIVE_AGENT_PRIV_H

#include "channel.h"
#include "clone.h"
#include "exec.h"
#include "function.h"
#include "hook.h"
#include "probe.h"

/* EVENT_EXEC and above are the execs'. */
enum event { EVENT_CHANNEL, EVENT_SIGNAL, EVENT_STDOUT, EVENT_STDERR, EVENT_PROBE, EVENT_HOOK, EVENT_EXEC };

struct agent {
    int epoll_fd, signal_fd;
    bool quiesced;   /* between QUIESCE and RESUMED or RESTORED: nothing is read from the function, nothing sent */
    bool started;    /* START has come */
    bool probing;    /* not READY yet */
    bool leaving;    /* the function is over: what remains is its output, EXITED and power-off */
    bool told;       /* EXITED is queued */
    bool off;        /* power off now */
    bool has_post_restore; /* known before a snapshot, so that restoring one need not look */
    uint32_t stop_signal;
    uint64_t generation;
    int64_t kill_at_ns; /* end of STOP's grace, 0: none */
    int64_t off_at_ns;  /* when the host is waited for no longer, 0: not leaving */
    vh__agent_exited result;
    struct function fn;
    struct probe probe;
    struct clone clone;
    struct hook hook;
    struct execs execs;
    struct channel ch;
};

/** Answers the messages that have come. True if there may be more. */
bool messages_handle(struct agent *a);

/** The hook |path| is over; |rc| with |f| as hook_tend() says. What it was in the way of goes on. */
void messages_hook_over(struct agent *a, const char *path, int rc, const struct fault *f);

/** ERROR to the host, and a line on the console. */
void messages_fault(struct agent *a, const struct fault *f);

/** Puts |fd| into the agent's epoll set. 0 or -1. */
int agent_watch(struct agent *a, int fd, uint32_t events, enum event tag);

/** Moves to the channel what the function has written so far, as much as there is room for. */
void agent_pump_output(struct agent *a);

/** Begins the end with |result|: other processes are killed, output is drained, EXITED told. */
void agent_leave(struct agent *a, const vh__agent_exited *result);

#endif
