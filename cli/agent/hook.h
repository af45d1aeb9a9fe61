/*
 * Hooks of the image: programs that the agent runs, as root, when a snapshot is near or a clone begins. One at a time;
 * what it says goes where the function's standard error goes, and its end is kept for the error it may become.
 */
#ifndef VHIVE_AGENT_HOOK_H
#define VHIVE_AGENT_HOOK_H

#include "channel.h"
#include "function.h"

#define HOOK_PRE_SNAPSHOT "/etc/vhive/hooks/pre-snapshot"
#define HOOK_POST_RESTORE "/etc/vhive/hooks/post-restore"

struct hook {
    const char *path; /* NULL: none runs */
    pid_t pid;
    bool ended, late;
    int status, left; /* once ended; bytes of its output that are to be read yet */
    int64_t kill_at_ns;
    struct stream out;
    size_t said_len;
    char said[256]; /* the end of its output */
};

/** Whether the image (or the function, meanwhile) has this hook. */
bool hook_exists(const char *path);

/** Reads |path|, if it is there, so that a clone need not do so from its disk. */
void hook_read_ahead(const char *path);

/** Starts |path| (static storage). 0 or -1 with |f|. */
int hook_start(struct hook *h, const char *path, const struct function *fn, uint64_t generation, int epoll_fd,
               uint32_t tag, struct fault *f);

/** Whether |pid| is the hook's; its end is noted then. */
bool hook_ended(struct hook *h, pid_t pid, int status);

/**
 * Moves its output, and kills it when its time is over. True once it is over: |*rc| is 0, or -1 with |f|, and another
 * may start.
 */
bool hook_tend(struct hook *h, struct channel *ch, int *rc, struct fault *f);

/** Whether hook_tend() would find something to do at once. */
bool hook_can_tend(const struct hook *h, const struct channel *ch);

/** Kills it, and forgets it. */
void hook_abort(struct hook *h);

#endif
