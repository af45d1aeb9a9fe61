/*
 * Threads of the library. A program that embeds it has handlers that do not expect to run on threads it has not made,
 * and a write(2) or splice(2) to a peer that is gone may end no process by SIGPIPE: so signals are blocked there.
 * Faults of the thread's own are not, for the kernel would end the process without a word of the program's crash
 * handler (or of a sanitizer).
 */
#ifndef VH_BASE_THREAD_H
#define VH_BASE_THREAD_H

#include <pthread.h>
#include <vhive/attr.h>
#include <vhive/error.h>

/**
 * Starts a thread that runs |main| with |arg|. |name| is for people who look (top -H): at most 15 characters.
 * |*thread| is there before |main| runs; on success the caller joins or detaches it. -EAGAIN.
 */
VH_MUST_CHECK int vh__thread_start(pthread_t *thread, const char *name, void *(*main)(void *), void *arg,
                                   vh_error *err);

#endif
