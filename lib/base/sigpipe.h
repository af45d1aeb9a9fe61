/*
 * libuv writes to sockets by write(2), which sends SIGPIPE where the peer has gone. A library may not change what the
 * process does with signals, so a loop that runs on a thread of the caller's keeps this one off it meanwhile; the
 * write's EPIPE says the same. Threads of the library's own need nothing of this (thread.h).
 */
#ifndef VH_BASE_SIGPIPE_H
#define VH_BASE_SIGPIPE_H

#include <signal.h>

/** Keeps SIGPIPE off the calling thread. |*before| is for vh__sigpipe_restore(). */
void vh__sigpipe_block(sigset_t *before);
/** Puts the thread's mask back, without a SIGPIPE that came meanwhile. */
void vh__sigpipe_restore(const sigset_t *before);

#endif
