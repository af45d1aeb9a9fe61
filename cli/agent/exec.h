/*
 * Processes that the host asks for beside the function ("exec"), in its root, network and, unless it is told otherwise,
 * as its user. A fixed table; each stream has its window (agent.h), so nothing here blocks or grows. Exec number and
 * slot are apart: the host chooses the former.
 */
#ifndef VHIVE_AGENT_EXEC_H
#define VHIVE_AGENT_EXEC_H

#include "channel.h"
#include "function.h"

struct exec {
    uint16_t id; /* 0: this slot is free */
    pid_t pid;
    bool ended; /* reaped */
    int status;
    int64_t done_at_ns;    /* once ended: when output that is not closed is waited for no longer */
    struct stream out[2];  /* stdout, stderr; a terminal is the first */
    uint32_t credit[2];    /* what the host still takes */
    int in_fd;
    bool tty, writable, in_ended;
    uint32_t taken; /* input bytes to be told */
    size_t in_start, in_end;
    uint8_t in[VH_AGENT_EXEC_WINDOW];
};

struct execs {
    unsigned n; /* slots in use; without any nothing else is looked at, for clones would load it for that */
    struct exec slot[VH_AGENT_EXECS_MAX];
    unsigned turn; /* who is first to fill the channel */
};

/** Takes an exec message. False when the host did what it must not, with |f|. */
bool exec_handle(struct execs *e, const vh__agent_msg *m, const struct function *fn, int epoll_fd, uint32_t tag,
                 struct channel *ch, struct fault *f);

/** Notes an epoll event; |n| is what exec_handle() added to its tag. */
void exec_event(struct execs *e, unsigned n);

/** Whether |pid| is an exec's; its end is noted then. */
bool exec_ended(struct execs *e, pid_t pid, int status);

/** Moves what can be moved. True if there is more that can be moved at once. */
bool exec_tend(struct execs *e, struct channel *ch);

/** When exec_tend() has to be called again without an event, CLOCK_MONOTONIC; 0: never. */
int64_t exec_due_ns(const struct execs *e);

/** Kills all, reaps them, and tells the host if there is room. */
void exec_kill_all(struct execs *e, struct channel *ch);

#endif
