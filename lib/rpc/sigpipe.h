/*
 * libuv writes to sockets by write(2), which sends SIGPIPE where the peer has gone. A library may not change what the
 * process does with signals, so a loop keeps this one off its thread while it runs; the write's EPIPE says the same.
 */
#ifndef VH_RPC_SIGPIPE_H
#define VH_RPC_SIGPIPE_H

#include <signal.h>

/** Keeps SIGPIPE off the calling thread. |*before| is for vh__sigpipe_restore(), and for threads that it starts. */
void vh__sigpipe_block(sigset_t *before);
/** Puts the thread's mask back, without a SIGPIPE that came meanwhile. */
void vh__sigpipe_restore(const sigset_t *before);

#endif
