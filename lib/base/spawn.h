/*
 * Starting and watching child processes: by fixed argument vectors, never by a shell; with exactly the descriptors
 * that are named; watched by pidfd, so that a recycled pid is never signalled.
 */
#ifndef VH_BASE_SPAWN_H
#define VH_BASE_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "buf.h"
#include "wait.h"

/** Puts descriptor |from| at number |to| in the child. */
typedef struct vh__spawn_fd {
    int from, to;
} vh__spawn_fd;

typedef struct vh__spawn_options {
    const char *const *argv; /* NULL-terminated; argv[0] is the path that is executed */
    const char *const *envp; /* NULL-terminated; NULL: the parent's */
    const char *cwd;         /* NULL: the parent's */
    const vh__spawn_fd *fds; /* everything from 3 up that is not named here is closed; 0..2 default to /dev/null */
    size_t nfds;
    bool new_session;
    bool new_pid_ns;    /* the child is init of its own pid namespace: when it dies, all its descendants do */
    int netns_fd;       /* network namespace to enter; 0: none (descriptor 0 is never one of ours) */
    uint64_t nofile;    /* RLIMIT_NOFILE, 0: the parent's */
    bool limit_caps;    /* a program run as root gets the capabilities in |keep_caps| alone */
    uint64_t keep_caps; /* bits 1 << CAP_... */
} vh__spawn_options;

typedef struct vh__process {
    pid_t pid;
    int pidfd; /* -1: none */
} vh__process;

#define VH_PROCESS_INIT { .pid = -1, .pidfd = -1 }

/**
 * Starts a child. On success |*p| is the caller's, to be ended by vh__process_kill() or vh__process_wait().
 * A child that could not be set up or executed is reported here with the failing step and its cause, and leaves
 * nothing behind. A negative oom_score_adj is not inherited: it becomes 0. Thread-safe: the child calls only
 * async-signal-safe functions before exec.
 */
VH_MUST_CHECK int vh__spawn(const vh__spawn_options *o, vh__process *p, vh_error *err);

/** Waits for the end of |p| and releases it. |*status| as in waitpid(2). VH_ETIMEDOUT, VH_ECANCELED leave it running. */
VH_MUST_CHECK int vh__process_wait(vh__process *p, const vh__wait *w, const char *what, int *status, vh_error *err);

/** SIGKILLs |p| if it runs, reaps and releases it. Fine on VH_PROCESS_INIT. Returns its wait status, 0 if none. */
int vh__process_kill(vh__process *p);

/** Sends |sig| by pidfd. 0 or -errno. */
int vh__process_signal(const vh__process *p, int sig);

/** "exited with code 1", "killed by SIGSEGV": into |buf|, which it returns. */
const char *vh__process_status_text(int status, char *buf, size_t n);

/**
 * Runs a program to its end and collects what it wrote to stdout and stderr together (at most |max| bytes; the rest
 * is read and dropped). A failing exit is VH_EMISSING with the last line of the output.
 */
VH_MUST_CHECK int vh__run_program(const char *const *argv, const char *cwd, const vh__wait *w, size_t max,
                                  vh__buf *out, vh_error *err);

#endif
