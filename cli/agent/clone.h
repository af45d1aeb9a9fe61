/* What makes a clone different from its twin: clock, random numbers, generation, environment. */
#ifndef VHIVE_AGENT_CLONE_H
#define VHIVE_AGENT_CLONE_H

#include "agent.h"
#include "util.h"

/** CLOCK_REALTIME. */
int64_t clone_realtime_ns(void);

/** Moves the clock by |delta_ns|. 0 or -1 with |f|. */
int clone_adjust(int64_t delta_ns, struct fault *f);

/** Sets the clock and credits |seed| to the kernel's generator, which starts anew from it. 0 or -1 with |f|. */
int clone_refresh(int64_t realtime_ns, const uint8_t seed[VH_AGENT_SEED], struct fault *f);

/** Writes /run/vhive/env, then /run/vhive/generation: who sees the new generation sees its environment. */
int clone_publish(uint64_t generation, const vh__agent_list *env, struct fault *f);

#endif
