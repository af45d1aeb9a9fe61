/* Which function may start an instance next, and who ends for it. */
#include "plan_priv.h"

#include "auto.h"

/* What an instance takes of the machine's limits. */
struct share {
    uint64_t memory_mib;
    uint32_t instances;
};

static void add(struct share *s, const struct plan_instance *i)
{
    s->memory_mib += i->memory_mib;
    s->instances++;
}

/* Whether another instance of |fn| fits once |freed| is free. */
static bool fits(const struct plan *p, const struct plan_function *fn, const struct share *freed)
{
    return p->memory_mib - freed->memory_mib + fn->set.memory_mib <= p->limits.memory_mib &&
           p->instances - freed->instances < p->limits.instances;
}

static bool is_going(const struct plan_instance *i)
{
    return i->state == PLAN_STOPPING || (i->state == PLAN_STARTING && i->cancelled);
}

static bool may_be_evicted(const struct plan_instance *i, const struct plan_function *for_whom)
{
    return i->fn != for_whom && i->state == PLAN_READY && !i->paused && !i->op && vh__plan_is_idle(i);
}

/* What is on its way out, and with |and_idle| what could be ended besides. */
static struct share count_freed(const struct plan *p, const struct plan_function *for_whom, bool and_idle)
{
    struct share freed = { 0 };

    for (const struct plan_function *fn = p->first; fn; fn = fn->next)
        for (const struct plan_instance *i = fn->first; i; i = i->next)
            if (is_going(i) || (and_idle && may_be_evicted(i, for_whom)))
                add(&freed, i);
    return freed;
}

/* The longest idle; of functions that are at their minimum only if there is no other. */
static struct plan_instance *choose_victim(const struct plan *p, const struct plan_function *for_whom)
{
    struct plan_instance *best[2] = { NULL, NULL };

    for (const struct plan_function *fn = p->first; fn; fn = fn->next) {
        bool at_min = vh__plan_live(fn) <= fn->set.min;

        for (struct plan_instance *i = fn->first; i; i = i->next)
            if (may_be_evicted(i, for_whom) && (!best[at_min] || i->idle_ns < best[at_min]->idle_ns))
                best[at_min] = i;
    }
    return best[0] ? best[0] : best[1];
}

/* Whether there is room for |fn| now; if not, and if that helps, it is being made. */
static bool make_room(struct plan *p, const struct plan_function *fn)
{
    const struct share none = { 0 };
    struct share freed = count_freed(p, fn, true);
    struct plan_instance *victim;

    if (fits(p, fn, &none))
        return true;
    if (!fits(p, fn, &freed))
        return false;
    for (freed = count_freed(p, fn, false); !fits(p, fn, &freed); add(&freed, victim)) {
        victim = choose_victim(p, fn);
        if (!victim)
            return false;
        vh__plan_stop(p, victim);
    }
    return false;
}

static uint32_t claims_per_instance(const struct plan_function *fn)
{
    return fn->set.retire ? VH_MIN(fn->set.retire, fn->set.concurrency) : fn->set.concurrency;
}

uint32_t vh__plan_lack(const struct plan_function *fn)
{
    uint32_t each = claims_per_instance(fn), starting = 0, live = vh__plan_live(fn), lack;

    for (const struct plan_instance *i = fn->first; i; i = i->next)
        starting += i->state == PLAN_STARTING && vh__plan_is_live(i);
    lack = (uint32_t)(((uint64_t)fn->waiting.n + each - 1) / each);
    if (fn->beside.n)
        lack = VH_MAX(lack, 1U);
    lack = lack > starting ? lack - starting : 0;
    return live >= fn->set.max ? 0 : VH_MIN(lack, fn->set.max - live);
}

static bool may_start(const struct plan_function *fn, int64_t now)
{
    return !fn->removed && (!fn->failures || now >= fn->retry_ns);
}

static struct plan_function *next_for_claims(const struct plan *p, int64_t now)
{
    for (struct plan_function *fn = p->first; fn; fn = fn->next)
        if (may_start(fn, now) && vh__plan_lack(fn))
            return fn;
    return NULL;
}

static struct plan_function *next_for_min(const struct plan *p, int64_t now)
{
    const struct share none = { 0 };

    for (struct plan_function *fn = p->first; fn; fn = fn->next)
        if (may_start(fn, now) && vh__plan_live(fn) < fn->set.min && fits(p, fn, &none))
            return fn;
    return NULL;
}

void vh__plan_start_all(struct plan *p, int64_t now)
{
    while (p->starting < p->limits.starts) {
        struct plan_function *fn = next_for_claims(p, now);

        if (fn && !make_room(p, fn))
            return;
        if (!fn)
            fn = next_for_min(p, now);
        if (!fn)
            return;
        if (!vh__plan_instance_new(p, fn, now))
            vh__plan_start_failed(p, fn, fn->failures, now);
        vh__plan_had_turn(p, fn);
    }
}

int64_t vh__plan_wake_ns(const struct plan *p, int64_t now)
{
    int64_t wake = INT64_MAX;

    for (const struct plan_function *fn = p->first; fn; fn = fn->next)
        wake = VH_MIN(wake, vh__plan_function_wake_ns(fn, now));
    return wake;
}
