/* Starting processes in the function's root: their user, environment, folder, descriptors and end. */
#ifndef VHIVE_AGENT_PROCESS_H
#define VHIVE_AGENT_PROCESS_H

#include "agent.h"
#include "util.h"

/** A readable end, edge-triggered like the channel. */
struct stream {
    int fd; /* -1: closed, or not open yet */
    bool readable;
};

/** All borrowed for the call. */
struct process_spec {
    vh__agent_list argv;
    vh__agent_list env, extra; /* |extra| replaces what |env| has; PATH and HOME are added where both lack them */
    const char *cwd;           /* "": "/"; made if missing */
    const char *user;          /* as START's; NULL: root, without a look at the image's accounts */
    int fds[3];                /* its descriptors 0, 1, 2, made the user's; -1: /dev/null */
    bool tty;                  /* fds[0] is a terminal: it becomes the controlling one */
};

/**
 * Starts a process: a session of its own, default signals, no other descriptor. 0; or -1 with |f|, its code telling
 * whether the command was not found.
 */
int process_start(const struct process_spec *s, pid_t *pid, struct fault *f);

/** Pipe of a stream: |*ours| is non-blocking, |*theirs| is for the process. 0 or -1 with |f|. */
int process_pipe(bool we_read, int *ours, int *theirs, struct fault *f);

/** SIGKILLs the session that |pid| leads. It must not have been reaped yet, so that the number is still its own. */
void process_kill_session(pid_t pid);

/** Value of |name| in |env|, NULL if it is not there. */
const char *env_value(const vh__agent_list *env, const char *name);

/** Whether |env| has a variable of the name that |entry| ("K=V") sets. */
bool env_has(const vh__agent_list *env, const char *entry);

/** close()s |*fd| if it is one and sets it to -1. */
void fd_close(int *fd);

#endif
