/* What follows for one function: who gets an instance, and which instances end. */
#include "plan_priv.h"

#include "auto.h"
#include "clock.h"

bool vh__plan_is_current(const struct plan_instance *i)
{
    return i->revision == i->fn->revision && !i->fn->removed && !i->dead && !i->cancelled;
}

bool vh__plan_is_live(const struct plan_instance *i)
{
    return vh__plan_is_current(i) && (i->state == PLAN_STARTING || i->state == PLAN_READY);
}

uint32_t vh__plan_live(const struct plan_function *fn)
{
    uint32_t n = 0;

    for (const struct plan_instance *i = fn->first; i; i = i->next)
        n += vh__plan_is_live(i);
    return n;
}

bool vh__plan_is_idle(const struct plan_instance *i)
{
    return i->active == 0 && i->beside == 0;
}

static bool is_retired(const struct plan_instance *i)
{
    return i->fn->set.retire && i->served >= i->fn->set.retire;
}

uint32_t vh__plan_room(const struct plan_instance *i)
{
    const struct plan_settings *s = &i->fn->set;
    uint32_t room;

    if (i->state != PLAN_READY || i->paused || !vh__plan_is_current(i) || is_retired(i) || i->active >= s->concurrency)
        return 0;
    room = s->concurrency - i->active;
    return s->retire ? (uint32_t)VH_MIN(room, s->retire - i->served) : room;
}

/* The fullest that has room; for a claim beside any that is up. */
static struct plan_instance *choose(const struct plan_function *fn, bool beside)
{
    struct plan_instance *best = NULL;

    for (struct plan_instance *i = fn->first; i; i = i->next) {
        if (beside ? !(i->state == PLAN_READY && !i->paused && vh__plan_is_current(i)) : vh__plan_room(i) == 0)
            continue;
        if (!best || i->active > best->active)
            best = i;
    }
    return best;
}

static void give(struct plan *p, struct plan_instance *i, struct claim *c)
{
    vh__plan_dequeue(p, c);
    vh__plan_enqueue(&i->claims, c);
    c->inst = i;
    c->cold = i->start_ns >= c->since_ns;
    if (c->beside) {
        i->beside++;
    } else {
        i->active++;
        i->served++;
        i->fn->active++;
        i->fn->served++;
    }
    vh__plan_note(p, &c->note, PLAN_GRANT);
}

static void grant(struct plan *p, struct plan_function *fn)
{
    struct plan_instance *i;

    while (fn->beside.first && (i = choose(fn, true)))
        give(p, i, fn->beside.first);
    while (fn->waiting.first && (i = choose(fn, false)))
        give(p, i, fn->waiting.first);
}

/* Ends |i|, or has its start cancelled. */
void vh__plan_stop(struct plan *p, struct plan_instance *i)
{
    if (i->state == PLAN_STARTING)
        i->cancelled = true;
    else
        i->state = PLAN_STOPPING;
    vh__plan_note(p, &i->note, PLAN_STOP);
}

static void drain_outdated(struct plan_function *fn)
{
    for (struct plan_instance *i = fn->first; i; i = i->next)
        if (i->state == PLAN_READY && (!vh__plan_is_current(i) || is_retired(i)))
            i->state = PLAN_DRAINING;
}

/* After a smaller maximum: those with the fewest claims go. What is still starting is looked at when it is up. */
static void drain_excess(struct plan_function *fn)
{
    for (uint32_t live = vh__plan_live(fn); live > fn->set.max; live--) {
        struct plan_instance *least = NULL;

        for (struct plan_instance *i = fn->first; i; i = i->next)
            if (i->state == PLAN_READY && (!least || i->active < least->active))
                least = i;
        if (!least)
            return;
        least->state = PLAN_DRAINING;
    }
}

static bool may_be_saved(const struct plan_instance *i)
{
    const struct plan_function *fn = i->fn;

    return fn->set.saves && !fn->has_snapshot && !fn->saving && i->booted && !i->saved && !i->op && !i->paused &&
           !i->beside && vh__plan_is_current(i) && (i->state == PLAN_READY || i->state == PLAN_DRAINING);
}

static int64_t save_at(const struct plan_instance *i)
{
    return vh__plan_is_idle(i) ? i->idle_ns : i->up_ns + PLAN_SAVE_BUSY_MS * VH_NS_PER_MS;
}

static bool is_to_be_tended(const struct plan_instance *i)
{
    return i->state == PLAN_READY && !i->booted && !i->tended && !i->op && !i->paused && i->served > i->active;
}

static bool keeps_alive(const struct plan_instance *i, uint32_t live, int64_t now)
{
    const struct plan_settings *s = &i->fn->set;

    return i->paused || !vh__plan_is_idle(i) || live <= s->min || now - i->idle_ns < s->keep_alive_ns;
}

static bool is_to_end(const struct plan_instance *i, uint32_t live, int64_t now)
{
    switch (i->state) {
    case PLAN_STARTING:
        return !i->cancelled && !vh__plan_is_current(i);
    case PLAN_READY:
        return !i->op && (i->dead || i->fn->ended || !keeps_alive(i, live, now));
    case PLAN_DRAINING:
        return !i->op && (i->dead || i->fn->ended || vh__plan_is_idle(i));
    default:
        return false;
    }
}

/* What is to be done at the VM itself. One thing at a time; a snapshot goes before the end. */
static void attend(struct plan *p, struct plan_instance *i, uint32_t *live, int64_t now)
{
    if (may_be_saved(i) && now >= save_at(i)) {
        i->saved = i->op = i->fn->saving = true;
        vh__plan_note(p, &i->note, PLAN_SAVE);
    } else if (is_to_end(i, *live, now)) {
        *live -= vh__plan_is_live(i);
        vh__plan_stop(p, i);
    } else if (is_to_be_tended(i)) {
        i->tended = i->op = true;
        vh__plan_note(p, &i->note, PLAN_TEND);
    }
}

void vh__plan_settle_own(struct plan *p, struct plan_function *fn, int64_t now)
{
    uint32_t live;

    if (fn->removed)
        vh__plan_refuse_all(p, fn, PLAN_WHY_REMOVED);
    else if (fn->set.memory_mib > p->limits.memory_mib)
        vh__plan_refuse_all(p, fn, PLAN_WHY_TOO_LARGE);
    drain_outdated(fn);
    drain_excess(fn);
    grant(p, fn);
    drain_outdated(fn); /* who had the last claim of its life */
    live = vh__plan_live(fn);
    for (struct plan_instance *i = fn->first; i; i = i->next)
        attend(p, i, &live, now);
}

void vh__plan_settle(struct plan *p, struct plan_function *fn, int64_t now)
{
    vh__plan_settle_own(p, fn, now);
    vh__plan_start_all(p, now);
}

void vh__plan_tick(struct plan *p, int64_t now)
{
    for (struct plan_function *fn = p->first; fn; fn = fn->next)
        vh__plan_settle_own(p, fn, now);
    vh__plan_start_all(p, now);
}

static int64_t instance_wake_ns(const struct plan_instance *i, uint32_t live)
{
    if (may_be_saved(i))
        return save_at(i);
    if (i->state != PLAN_READY || i->op || keeps_alive(i, live, INT64_MAX))
        return INT64_MAX;
    return i->idle_ns + i->fn->set.keep_alive_ns;
}

int64_t vh__plan_function_wake_ns(const struct plan_function *fn, int64_t now)
{
    uint32_t live = vh__plan_live(fn);
    int64_t wake = INT64_MAX;

    for (const struct plan_instance *i = fn->first; i; i = i->next)
        wake = VH_MIN(wake, instance_wake_ns(i, live));
    if (!fn->removed && fn->failures && fn->retry_ns > now && (vh__plan_lack(fn) || live < fn->set.min))
        wake = VH_MIN(wake, fn->retry_ns);
    return wake;
}
