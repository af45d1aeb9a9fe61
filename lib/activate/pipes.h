/*
 * Pipes for splice(2), lent to connections while they have bytes on their way: an idle connection has none, and one
 * that sends and is answered takes a pipe that is warm. One thread.
 */
#ifndef VH_ACTIVATE_PIPES_H
#define VH_ACTIVATE_PIPES_H

#include <stddef.h>

/** Empty pipes that are kept; those beyond are closed. */
#define VH_PIPES_KEPT 64

typedef struct vh__pipe {
    int out, in; /* read end, write end; both non-blocking */
} vh__pipe;

#define VH_PIPE_NONE ((vh__pipe){ -1, -1 })

/** Zero-initialise. */
typedef struct vh__pipes {
    vh__pipe kept[VH_PIPES_KEPT];
    size_t n;
} vh__pipes;

/** Lends an empty pipe. 0 or -errno of pipe2(2). */
int vh__pipes_get(vh__pipes *pipes, vh__pipe *pipe);
/** Takes |*pipe| back, which must be empty, and sets it to none. */
void vh__pipes_put(vh__pipes *pipes, vh__pipe *pipe);
/** Closes |*pipe| with what is in it and sets it to none; none is fine. */
void vh__pipe_close(vh__pipe *pipe);
/** Closes all that are kept. */
void vh__pipes_fini(vh__pipes *pipes);

#endif
