/* Inside of the plan: plan.c keeps the books, settle.c decides for one function, turns.c among functions. */
#ifndef VH_FN_PLAN_PRIV_H
#define VH_FN_PLAN_PRIV_H

#include "plan.h"

/* plan.c */
void vh__plan_note(struct plan *p, struct plan_note *note, enum plan_act act);
/** Adds a starting instance, with its action. NULL: out of memory. */
struct plan_instance *vh__plan_instance_new(struct plan *p, struct plan_function *fn, int64_t now);
/** A start of |fn| failed, |before| others in a row before it. */
void vh__plan_start_failed(struct plan *p, struct plan_function *fn, uint32_t before, int64_t now);
void vh__plan_enqueue(struct claim_queue *q, struct claim *c);
/** |c| waits no more. */
void vh__plan_dequeue(struct plan *p, struct claim *c);
void vh__plan_refuse_all(struct plan *p, struct plan_function *fn, enum plan_why why);
/** |fn| is the last one in turn from now on. */
void vh__plan_had_turn(struct plan *p, struct plan_function *fn);

/* settle.c */
/** All that follows from the state as it is: for |fn|, and the starts of all. */
void vh__plan_settle(struct plan *p, struct plan_function *fn, int64_t now);
/** The first half of it. */
void vh__plan_settle_own(struct plan *p, struct plan_function *fn, int64_t now);
/** Whether |i| is what new claims would have: of what is deployed, and alive. */
bool vh__plan_is_current(const struct plan_instance *i);
/** Whether |i| counts for min and max: it gets claims, now or when it is up. */
bool vh__plan_is_live(const struct plan_instance *i);
uint32_t vh__plan_live(const struct plan_function *fn);
bool vh__plan_is_idle(const struct plan_instance *i);
void vh__plan_stop(struct plan *p, struct plan_instance *i);
/** When time alone changes something for |fn|. */
int64_t vh__plan_function_wake_ns(const struct plan_function *fn, int64_t now);

/* turns.c */
void vh__plan_start_all(struct plan *p, int64_t now);
/** Instances that |fn| lacks for those who wait, backing off or not. */
uint32_t vh__plan_lack(const struct plan_function *fn);

#endif
