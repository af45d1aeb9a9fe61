/*
 * vh__wait: the bounds of a blocking call inside the library, an absolute deadline and a cancel token, and where its
 * progress goes. Public calls take a vh_call and turn it into one with vh__wait_from(); everything below passes the
 * same `const vh__wait *` on, so a deadline covers the whole flow and not each step anew.
 */
#ifndef VH_BASE_WAIT_H
#define VH_BASE_WAIT_H

#include <stdint.h>
#include <vhive/env.h>

typedef struct vh__wait {
    int64_t deadline_ns; /* CLOCK_MONOTONIC */
    vh_cancel *cancel;   /* borrowed, NULL: none */
    vh_progress_fn progress; /* the call's own sink, NULL: that of the environment (vh__progress()) */
    void *progress_arg;
} vh__wait;

/** Bounds from |call| (may be NULL), with |default_ms| where it names no time. */
vh__wait vh__wait_from(const vh_call *call, uint32_t default_ms);

/** What is left of |w| as bounds of a public call; 1 ms at least, since 0 would be that call's default. */
vh_call vh__wait_call(const vh__wait *w);

/** |w| with its deadline not later than |ms| from now. */
vh__wait vh__wait_within(const vh__wait *w, uint32_t ms);

/** Milliseconds left, rounded up, 0 when over, for poll(2). */
int vh__wait_left_ms(const vh__wait *w);

/** 0, VH_ECANCELED or VH_ETIMEDOUT (message "|what|: ..."): for loops that do not sleep. */
VH_MUST_CHECK int vh__wait_check(const vh__wait *w, const char *what, vh_error *err);

/**
 * Blocks until |fd| has one of |events| (POLLIN, POLLOUT; errors and hang-ups count as ready).
 * Returns 0, VH_ECANCELED, VH_ETIMEDOUT (message "|what|: no answer within its deadline"), or -errno of poll(2).
 */
VH_MUST_CHECK int vh__wait_fd(const vh__wait *w, int fd, short events, const char *what, vh_error *err);

/** Sleeps |ms| or until the bounds are over. Returns as vh__wait_check(). */
VH_MUST_CHECK int vh__wait_sleep(const vh__wait *w, uint32_t ms, const char *what, vh_error *err);

/** Descriptor that is readable once |cancel| was triggered, for poll sets. Borrowed; -1 if |cancel| is NULL. */
int vh__cancel_fd(const vh_cancel *cancel);

#endif
