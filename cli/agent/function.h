/* The function's process: its user, environment and folder, its output pipes, its end. */
#ifndef VHIVE_AGENT_FUNCTION_H
#define VHIVE_AGENT_FUNCTION_H

#include "agent.h"
#include "util.h"

/** One of its output pipes, edge-triggered like the channel. */
struct stream {
    int fd; /* -1: closed, or not open yet */
    bool readable;
};

struct function {
    pid_t pid; /* 0: not started */
    bool ended;
    int status;                /* of waitpid(2), once ended */
    struct stream streams[2]; /* stdout, stderr */
};

/**
 * Starts the function as |s| says, in the root of this process: a session of its own, default signals, standard input
 * from /dev/null, no other descriptor. 0; or -1 with |f|, its code telling whether the command was not found.
 */
int function_start(struct function *fn, const vh__agent_start *s, struct fault *f);

/** Reaps whatever has ended and notes the function's end. Orphans of the guest are ours, for this is PID 1. */
void function_reap(struct function *fn);

/** EXITED's content. */
vh__agent_exited function_result(const struct function *fn);

#endif
