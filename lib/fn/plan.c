#include "plan.h"

#include <stddef.h>
#include <stdlib.h>

#include "auto.h"
#include "clock.h"
#include "plan_priv.h"

void vh__plan_init(struct plan *p, const struct plan_limits *limits)
{
    *p = (struct plan){ .limits = *limits };
    p->notes_end = &p->notes;
}

void vh__plan_note(struct plan *p, struct plan_note *note, enum plan_act act)
{
    note->act = act;
    note->next = NULL;
    *p->notes_end = note;
    p->notes_end = &note->next;
}

static void *owner(struct plan_note *note, size_t offset)
{
    return (char *)note - offset;
}

bool vh__plan_next(struct plan *p, struct plan_action *action)
{
    struct plan_note *note = p->notes;

    if (!note)
        return false;
    p->notes = note->next;
    if (!p->notes)
        p->notes_end = &p->notes;
    *action = (struct plan_action){ .act = note->act };
    note->act = 0;
    if (action->act == PLAN_GRANT || action->act == PLAN_REFUSE)
        action->claim = owner(note, offsetof(struct claim, note));
    else if (action->act == PLAN_GONE)
        action->fn = owner(note, offsetof(struct plan_function, note));
    else
        action->inst = owner(note, offsetof(struct plan_instance, note));
    if (action->claim)
        action->inst = action->claim->inst;
    if (action->inst)
        action->fn = action->inst->fn;
    return true;
}

/* Functions, in turn. */

static void enter_turn(struct plan *p, struct plan_function *fn)
{
    fn->prev = p->last;
    fn->next = NULL;
    *(p->last ? &p->last->next : &p->first) = fn;
    p->last = fn;
}

static void leave_turn(struct plan *p, struct plan_function *fn)
{
    *(fn->prev ? &fn->prev->next : &p->first) = fn->next;
    *(fn->next ? &fn->next->prev : &p->last) = fn->prev;
}

void vh__plan_had_turn(struct plan *p, struct plan_function *fn)
{
    leave_turn(p, fn);
    enter_turn(p, fn);
}

/* A function that was removed goes with its last instance. */
static void forget_function(struct plan *p, struct plan_function *fn)
{
    if (!fn->removed || fn->first || fn->note.act)
        return;
    leave_turn(p, fn);
    vh__plan_note(p, &fn->note, PLAN_GONE);
}

void vh__plan_add(struct plan *p, struct plan_function *fn, const struct plan_settings *set, int64_t now)
{
    fn->set = *set;
    enter_turn(p, fn);
    vh__plan_settle(p, fn, now);
}

void vh__plan_set(struct plan *p, struct plan_function *fn, const struct plan_settings *set, bool new_revision,
                  int64_t now)
{
    fn->set = *set;
    if (new_revision) {
        fn->revision++;
        fn->has_snapshot = fn->saving = false;
        fn->failures = 0;
        fn->retry_ns = 0;
    }
    vh__plan_settle(p, fn, now);
}

void vh__plan_remove(struct plan *p, struct plan_function *fn, int64_t now)
{
    fn->removed = true;
    vh__plan_settle(p, fn, now);
    forget_function(p, fn);
}

void vh__plan_end(struct plan *p, struct plan_function *fn, int64_t now)
{
    fn->ended = true;
    vh__plan_settle(p, fn, now);
}

/* Events of instances. */

struct plan_instance *vh__plan_instance_new(struct plan *p, struct plan_function *fn, int64_t now)
{
    struct plan_instance *i = calloc(1, sizeof(*i));

    if (!i)
        return NULL;
    i->fn = fn;
    i->revision = fn->revision;
    i->memory_mib = fn->set.memory_mib;
    i->failures = fn->failures;
    i->start_ns = now;
    i->prev = fn->last;
    *(fn->last ? &fn->last->next : &fn->first) = i;
    fn->last = i;
    p->memory_mib += i->memory_mib;
    p->instances++;
    p->starting++;
    vh__plan_note(p, &i->note, PLAN_START);
    return i;
}

/* Out of the budget; out of the plan once nobody has a claim on it. */
static void take_down(struct plan *p, struct plan_instance *i)
{
    p->memory_mib -= i->memory_mib;
    p->instances--;
    i->state = PLAN_DOWN;
}

static void forget_instance(struct plan *p, struct plan_instance *i)
{
    struct plan_function *fn = i->fn;

    if (i->state != PLAN_DOWN || i->active || i->beside)
        return;
    *(i->prev ? &i->prev->next : &fn->first) = i->next;
    *(i->next ? &i->next->prev : &fn->last) = i->prev;
    vh__plan_note(p, &i->note, PLAN_FORGET);
}

void vh__plan_up(struct plan *p, struct plan_instance *i, bool booted, int64_t now)
{
    i->state = PLAN_READY;
    i->booted = booted;
    i->up_ns = i->idle_ns = now;
    p->starting--;
    i->fn->started++;
    if (i->revision == i->fn->revision) {
        i->fn->failures = 0;
        i->fn->has_snapshot = !booted; /* what there was did not restore, and was set aside */
    }
    vh__plan_settle(p, i->fn, now);
}

/* The pause doubles from failure to failure. */
static void back_off(struct plan_function *fn, uint32_t before, int64_t now)
{
    int64_t ms = before < 8 ? (int64_t)PLAN_BACKOFF_MS << before : PLAN_BACKOFF_MAX_MS;

    fn->failures = before + 1;
    fn->retry_ns = now + VH_MIN(ms, PLAN_BACKOFF_MAX_MS) * VH_NS_PER_MS;
}

/* Those who waited are told, unless there is another one to wait for. */
void vh__plan_start_failed(struct plan *p, struct plan_function *fn, uint32_t before, int64_t now)
{
    fn->failed++;
    back_off(fn, before, now);
    for (const struct plan_instance *i = fn->first; i; i = i->next)
        if (vh__plan_is_current(i) && (i->state == PLAN_STARTING || (i->state == PLAN_READY && !i->paused)))
            return;
    vh__plan_refuse_all(p, fn, PLAN_WHY_START);
}

void vh__plan_failed(struct plan *p, struct plan_instance *i, int64_t now)
{
    struct plan_function *fn = i->fn;

    p->starting--;
    take_down(p, i);
    if (!i->cancelled && i->revision == fn->revision)
        vh__plan_start_failed(p, fn, i->failures, now);
    forget_instance(p, i);
    vh__plan_settle(p, fn, now);
    forget_function(p, fn);
}

void vh__plan_lost(struct plan *p, struct plan_instance *i, bool killed, int64_t now)
{
    if (i->dead || (i->state != PLAN_READY && i->state != PLAN_DRAINING))
        return;
    i->dead = true;
    if (!killed && i->revision == i->fn->revision && now - i->up_ns < PLAN_YOUNG_MS * VH_NS_PER_MS)
        back_off(i->fn, i->failures, now);
    vh__plan_settle(p, i->fn, now);
}

void vh__plan_down(struct plan *p, struct plan_instance *i, int64_t now)
{
    struct plan_function *fn = i->fn;

    take_down(p, i);
    forget_instance(p, i);
    vh__plan_settle(p, fn, now);
    forget_function(p, fn);
}

bool vh__plan_op_begin(struct plan_instance *i)
{
    if (i->op || i->dead || (i->state != PLAN_READY && i->state != PLAN_DRAINING))
        return false;
    i->op = true;
    return true;
}

void vh__plan_op_end(struct plan *p, struct plan_instance *i, int64_t now)
{
    i->op = false;
    vh__plan_settle(p, i->fn, now);
}

void vh__plan_saved(struct plan *p, struct plan_instance *i, bool ok, int64_t now)
{
    if (i->revision == i->fn->revision) {
        i->fn->has_snapshot |= ok;
        i->fn->saving = false;
    }
    vh__plan_op_end(p, i, now);
}

void vh__plan_pause(struct plan *p, struct plan_instance *i, bool paused, int64_t now)
{
    i->paused = paused;
    if (!i->active && !i->beside)
        i->idle_ns = now; /* it has its time anew */
    vh__plan_settle(p, i->fn, now);
}

/* Claims. */

void vh__plan_enqueue(struct claim_queue *q, struct claim *c)
{
    c->prev = q->last;
    c->next = NULL;
    *(q->last ? &q->last->next : &q->first) = c;
    q->last = c;
    q->n++;
}

static void unlink_claim(struct claim_queue *q, struct claim *c)
{
    *(c->prev ? &c->prev->next : &q->first) = c->next;
    *(c->next ? &c->next->prev : &q->last) = c->prev;
    q->n--;
}

void vh__plan_dequeue(struct plan *p, struct claim *c)
{
    unlink_claim(c->beside ? &c->fn->beside : &c->fn->waiting, c);
    p->waiting--;
}

static void refuse(struct plan *p, struct claim *c, enum plan_why why)
{
    vh__plan_dequeue(p, c);
    c->why = why;
    c->fn = NULL;
    vh__plan_note(p, &c->note, PLAN_REFUSE);
}

void vh__plan_refuse_all(struct plan *p, struct plan_function *fn, enum plan_why why)
{
    while (fn->waiting.first)
        refuse(p, fn->waiting.first, why);
    while (fn->beside.first)
        refuse(p, fn->beside.first, why);
}

/* Why |c|, which has just come and found no room, may not wait. */
static enum plan_why may_not_wait(const struct plan *p, const struct plan_function *fn)
{
    if (fn->waiting.n + fn->beside.n > p->limits.queue)
        return PLAN_WHY_QUEUE;
    return p->waiting > p->limits.queue_all ? PLAN_WHY_QUEUE_ALL : PLAN_WHY_NONE;
}

void vh__plan_claim(struct plan *p, struct plan_function *fn, struct claim *c, int64_t now)
{
    enum plan_why why;

    c->fn = fn;
    c->since_ns = now;
    c->inst = NULL;
    vh__plan_enqueue(c->beside ? &fn->beside : &fn->waiting, c);
    p->waiting++;
    vh__plan_settle_own(p, fn, now);
    why = may_not_wait(p, fn);
    if (c->fn && !c->inst && why)
        refuse(p, c, why);
    vh__plan_start_all(p, now);
}

static void release_instance(struct plan *p, struct claim *c, int64_t now)
{
    struct plan_instance *i = c->inst;

    unlink_claim(&i->claims, c);
    if (c->beside) {
        i->beside--;
    } else {
        i->active--;
        i->fn->active--;
    }
    if (!i->active && !i->beside)
        i->idle_ns = now;
    c->inst = NULL;
    forget_instance(p, i);
}

void vh__plan_release(struct plan *p, struct claim *c, int64_t now)
{
    struct plan_function *fn = c->fn;

    if (!fn)
        return;
    if (c->inst)
        release_instance(p, c, now);
    else
        vh__plan_dequeue(p, c);
    c->fn = NULL;
    vh__plan_settle(p, fn, now);
    forget_function(p, fn);
}
