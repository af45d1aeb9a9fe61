/* What makes a clone different from its twin: clock, random numbers, generation, environment. */
#ifndef VHIVE_AGENT_CLONE_H
#define VHIVE_AGENT_CLONE_H

#include "agent.h"
#include "util.h"

/*
 * What is kept open and known for the next restore, which has to be quick: under an emulating VMM each system call that
 * a clone makes for the first time costs the translation of all of its code.
 */
struct clone {
    int random_fd, generation_fd; /* -1: not open yet */
};

/** CLOCK_REALTIME. */
int64_t clone_realtime_ns(void);

/** Moves the clock by |delta_ns|. 0 or -1 with |f|. */
int clone_adjust(int64_t delta_ns, struct fault *f);

/** Sets the clock and credits |seed| to the kernel's generator, which starts anew from it. 0 or -1 with |f|. */
int clone_refresh(struct clone *c, int64_t realtime_ns, const uint8_t seed[VH_AGENT_SEED], struct fault *f);

/**
 * Writes /run/vhive/env, the function's environment |env| with |late| in place of what it has of the same names, and
 * makes /run/vhive/generation for the original, whose generation is 0.
 */
int clone_prepare(struct clone *c, const vh__agent_list *env, const vh__agent_list *late, struct fault *f);

/**
 * The same for a clone, first the environment, so that who sees the new generation sees what belongs to it. Without
 * |late| the snapshot's is right already.
 */
int clone_publish(struct clone *c, uint64_t generation, const vh__agent_list *env, const vh__agent_list *late,
                  struct fault *f);

#endif
