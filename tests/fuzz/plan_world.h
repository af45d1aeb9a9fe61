/*
 * A world for the plan (lib/fn/plan.h): bytes become events, actions are carried out as slowly as further bytes will
 * have it, and after each event the plan's promises are checked. For the fuzz target and the unit test's random walk.
 */
#ifndef VH_TESTS_PLAN_WORLD_H
#define VH_TESTS_PLAN_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "clock.h"
#include "plan.h"

#define WORLD_FUNCTIONS 4
#define WORLD_CLAIMS    48
#define WORLD_INSTANCES 64

/* What an instance of the plan's has been told to do. */
struct world_instance {
    struct plan_instance *i; /* NULL: none here */
    bool starting, stopping; /* PLAN_START, PLAN_STOP are being carried out */
    enum plan_act op;        /* PLAN_SAVE, PLAN_TEND; PLAN_START stands for one by hand */
};

struct world {
    struct plan p;
    struct plan_function fns[WORLD_FUNCTIONS];
    bool there[WORLD_FUNCTIONS];
    struct claim claims[WORLD_CLAIMS];
    bool used[WORLD_CLAIMS];
    struct world_instance instances[WORLD_INSTANCES];
    bool started[WORLD_FUNCTIONS]; /* by this event */
    int64_t now;
    unsigned long grants, starts, refusals; /* seen at all: a walk that does nothing proves nothing */
    const uint8_t *bytes; /* NULL: random */
    size_t left;
    uint64_t seed;
};

#define world_promise(kept, what)                                                                                      \
    do {                                                                                                               \
        if (!(kept)) {                                                                                                 \
            fprintf(stderr, "broken: %s (%s:%d)\n", what, __FILE__, __LINE__);                                         \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static unsigned world_byte(struct world *w)
{
    if (!w->bytes) {
        w->seed = w->seed * 6364136223846793005ULL + 1442695040888963407ULL;
        return (unsigned)(w->seed >> 56);
    }
    if (!w->left)
        return 0;
    w->left--;
    return *w->bytes++;
}

static struct world_instance *world_find(struct world *w, const struct plan_instance *i)
{
    for (size_t k = 0; k < WORLD_INSTANCES; k++)
        if (w->instances[k].i == i)
            return &w->instances[k];
    world_promise(false, "more instances than the limit, or an unknown one");
    return NULL;
}

static void world_began(struct world *w, struct plan_instance *i)
{
    *world_find(w, NULL) = (struct world_instance){ .i = i, .starting = true };
    w->started[i->fn - w->fns] = true;
    w->starts++;
}

static void world_stop(struct world *w, struct plan_instance *i)
{
    struct world_instance *x = world_find(w, i);

    if (x->starting)
        return; /* cancelled: its start fails, or not */
    world_promise(!x->op, "an instance is ended under an operation");
    world_promise((!i->active && !i->beside) || i->dead || i->fn->ended, "an instance is ended though it has claims");
    world_promise(!x->stopping, "an instance is ended twice");
    x->stopping = true;
}

static void world_granted(struct world *w, const struct claim *c)
{
    const struct plan_instance *i = c->inst;

    w->grants++;
    world_promise(i->state == PLAN_READY || i->state == PLAN_DRAINING, "a claim is granted an instance that is not up");
    world_promise(i->revision == i->fn->revision && !i->dead && !i->paused, "a claim is granted what is not fit");
    world_promise(c->beside || i->active <= i->fn->set.concurrency, "an instance has more claims than it may");
    world_promise(c->beside || !i->fn->set.retire || i->served <= i->fn->set.retire, "an instance is not retired");
}

static void world_act(struct world *w, const struct plan_action *a)
{
    switch (a->act) {
    case PLAN_START:
        world_began(w, a->inst);
        break;
    case PLAN_STOP:
        world_stop(w, a->inst);
        break;
    case PLAN_SAVE:
    case PLAN_TEND:
        world_promise(!world_find(w, a->inst)->op, "two operations on one VM");
        world_find(w, a->inst)->op = a->act;
        break;
    case PLAN_GRANT:
        world_granted(w, a->claim);
        break;
    case PLAN_REFUSE:
        world_promise(a->claim->why && !a->claim->fn, "a refusal without a reason");
        w->used[a->claim - w->claims] = false;
        w->refusals++;
        break;
    case PLAN_FORGET:
        world_promise(!a->inst->active && !a->inst->beside && !a->inst->claims.n, "an instance is forgotten in use");
        *world_find(w, a->inst) = (struct world_instance){ 0 };
        free(a->inst);
        break;
    case PLAN_GONE:
        world_promise(!a->fn->first && !a->fn->waiting.n && !a->fn->beside.n, "a function went before its instances");
        w->there[a->fn - w->fns] = false;
        break;
    }
}

/* What counts for min and max. */
static uint32_t world_live(const struct plan_function *fn, bool starting)
{
    uint32_t n = 0;

    for (const struct plan_instance *i = fn->first; i; i = i->next)
        n += i->revision == fn->revision && !i->dead && !i->cancelled &&
             (i->state == PLAN_STARTING || (!starting && i->state == PLAN_READY));
    return n;
}

static uint32_t world_needed(const struct plan_function *fn)
{
    uint32_t each = fn->set.retire ? VH_MIN(fn->set.retire, fn->set.concurrency) : fn->set.concurrency;

    return VH_MAX((fn->waiting.n + each - 1) / each, fn->beside.n > 0);
}

static bool world_could_start(const struct world *w, const struct plan_function *fn)
{
    return !fn->removed && (!fn->failures || w->now >= fn->retry_ns) && world_live(fn, false) < fn->set.max &&
           world_needed(fn) > world_live(fn, true);
}

static void world_check_function(const struct world *w, const struct plan_function *fn)
{
    uint32_t active = 0;

    world_promise(!fn->removed || (!fn->waiting.n && !fn->beside.n), "somebody waits for a function that was removed");
    world_promise(fn->waiting.n + fn->beside.n <= w->p.limits.queue, "a queue is longer than it may be");
    for (const struct plan_instance *i = fn->first; i; i = i->next) {
        active += i->active;
        world_promise(!fn->waiting.n || !vh__plan_room(i), "somebody waits while an instance has room");
        world_promise(i->claims.n == i->active + i->beside, "claims of an instance are miscounted");
    }
    world_promise(active == fn->active, "claims of a function are miscounted");
    if (!w->started[fn - w->fns])
        return;
    world_promise(world_live(fn, false) <= fn->set.max, "more instances than the maximum are started");
    world_promise(world_live(fn, true) <= world_needed(fn) || world_live(fn, false) <= fn->set.min,
                  "an instance is started that nobody needs");
}

/* Budgets, by what there is and not by what the plan believes. */
static void world_check_budget(const struct world *w)
{
    uint64_t memory = 0;
    uint32_t instances = 0, starting = 0, waiting = 0;

    for (size_t k = 0; k < WORLD_INSTANCES; k++) {
        const struct plan_instance *i = w->instances[k].i;

        if (!i || i->state == PLAN_DOWN)
            continue;
        memory += i->memory_mib;
        instances++;
        starting += w->instances[k].starting;
    }
    for (size_t k = 0; k < WORLD_CLAIMS; k++)
        waiting += w->used[k] && !w->claims[k].inst;
    world_promise(memory == w->p.memory_mib && memory <= w->p.limits.memory_mib, "the memory budget is passed");
    world_promise(instances == w->p.instances && instances <= w->p.limits.instances, "the instance budget is passed");
    world_promise(starting == w->p.starting && starting <= w->p.limits.starts, "too many starts at once");
    world_promise(waiting == w->p.waiting && waiting <= w->p.limits.queue_all, "those who wait are miscounted");
}

/* Whoever is next in turn has what it waits for, or there is no room for it. */
static void world_check_turn(const struct world *w)
{
    const struct plan *p = &w->p;

    if (p->starting == p->limits.starts)
        return;
    for (const struct plan_function *fn = p->first; fn; fn = fn->next)
        if (world_could_start(w, fn)) {
            world_promise(p->memory_mib + fn->set.memory_mib > p->limits.memory_mib ||
                              p->instances == p->limits.instances,
                          "somebody waits for an instance though there is room for one");
            return;
        }
}

static void world_settle(struct world *w)
{
    struct plan_action a;

    memset(w->started, 0, sizeof(w->started));
    while (vh__plan_next(&w->p, &a))
        world_act(w, &a);
    for (size_t k = 0; k < WORLD_FUNCTIONS; k++)
        if (w->there[k])
            world_check_function(w, &w->fns[k]);
    world_check_budget(w);
    world_check_turn(w);
}

static struct plan_settings world_settings(struct world *w)
{
    struct plan_settings s = { .max = 1 + world_byte(w) % 5, .concurrency = 1 + world_byte(w) % 4 };
    unsigned more = world_byte(w);

    s.min = more % 3 < s.max ? more % 3 : s.max;
    s.retire = more & 4 ? 1 + world_byte(w) % 6 : 0;
    s.saves = more & 8;
    s.keep_alive_ns = (int64_t)(world_byte(w) % 50) * 100 * VH_NS_PER_MS;
    s.memory_mib = 128 * (1 + world_byte(w) % (more & 16 ? 12 : 4));
    return s;
}

static void world_function_event(struct world *w, unsigned what)
{
    unsigned k = world_byte(w) % WORLD_FUNCTIONS;
    struct plan_settings s;

    if (!w->there[k]) {
        w->fns[k] = (struct plan_function){ .revision = 1 };
        w->there[k] = true;
        s = world_settings(w);
        vh__plan_add(&w->p, &w->fns[k], &s, w->now);
    } else if (what % 4 == 0 && !w->fns[k].removed) {
        vh__plan_remove(&w->p, &w->fns[k], w->now);
    } else if (w->fns[k].removed) {
        vh__plan_end(&w->p, &w->fns[k], w->now);
    } else {
        s = world_settings(w);
        vh__plan_set(&w->p, &w->fns[k], &s, what % 4 == 1, w->now);
    }
}

static void world_claim_event(struct world *w)
{
    unsigned k = world_byte(w) % WORLD_CLAIMS, fn = world_byte(w);

    if (w->used[k]) {
        vh__plan_release(&w->p, &w->claims[k], w->now);
        w->used[k] = false;
    } else if (w->there[fn % WORLD_FUNCTIONS]) {
        w->claims[k] = (struct claim){ .beside = fn >= 240 };
        w->used[k] = true;
        vh__plan_claim(&w->p, &w->fns[fn % WORLD_FUNCTIONS], &w->claims[k], w->now);
    }
}

static void world_end_op(struct world *w, struct world_instance *x, unsigned how)
{
    enum plan_act op = x->op;

    x->op = 0;
    if (op == PLAN_SAVE)
        vh__plan_saved(&w->p, x->i, how & 1, w->now);
    else
        vh__plan_op_end(&w->p, x->i, w->now);
}

static void world_by_hand(struct world *w, struct world_instance *x, unsigned how)
{
    if (how & 4) {
        vh__plan_lost(&w->p, x->i, how & 8, w->now);
    } else if (vh__plan_op_begin(x->i)) {
        x->op = PLAN_START;
        vh__plan_pause(&w->p, x->i, how & 1, w->now);
    }
}

/* Any one that is there. */
static struct world_instance *world_pick(struct world *w, unsigned which)
{
    struct world_instance *there[WORLD_INSTANCES];
    size_t n = 0;

    for (size_t k = 0; k < WORLD_INSTANCES; k++)
        if (w->instances[k].i)
            there[n++] = &w->instances[k];
    return n ? there[which % n] : NULL;
}

static void world_instance_event(struct world *w)
{
    struct world_instance *x = world_pick(w, world_byte(w));
    unsigned how = world_byte(w);

    if (!x)
        return;
    if (x->starting) {
        x->starting = false;
        if (how % 4 == 0)
            vh__plan_failed(&w->p, x->i, w->now);
        else
            vh__plan_up(&w->p, x->i, how & 4, w->now);
    } else if (x->stopping) {
        x->stopping = false;
        vh__plan_down(&w->p, x->i, w->now);
    } else if (x->op) {
        world_end_op(w, x, how);
    } else if (how < 64 && x->i->state != PLAN_DOWN) {
        world_by_hand(w, x, how);
    }
}

static void world_pass_time(struct world *w)
{
    w->now += (int64_t)world_byte(w) * 20 * VH_NS_PER_MS;
    vh__plan_tick(&w->p, w->now);
    world_settle(w);
    world_promise(vh__plan_wake_ns(&w->p, w->now) > w->now, "it wants to be woken for what is over");
}

static void world_step(struct world *w)
{
    unsigned what = world_byte(w);

    if (what < 12)
        world_function_event(w, what);
    else if (what < 110)
        world_claim_event(w);
    else if (what < 230)
        world_instance_event(w);
    else
        world_pass_time(w);
    world_settle(w);
}

static void world_init(struct world *w)
{
    struct plan_limits limits = { .memory_mib = 1024, .instances = 6, .starts = 3, .queue = 10, .queue_all = 24 };

    memset(w, 0, sizeof(*w));
    w->now = 1000 * VH_NS_PER_S;
    vh__plan_init(&w->p, &limits);
}

/* Everything ends: nothing may be left, and nothing may be stuck. */
static void world_finish(struct world *w)
{
    for (size_t k = 0; k < WORLD_FUNCTIONS; k++)
        if (w->there[k]) {
            vh__plan_remove(&w->p, &w->fns[k], w->now);
            vh__plan_end(&w->p, &w->fns[k], w->now);
            world_settle(w);
        }
    for (unsigned round = 0; round < 4 * WORLD_INSTANCES; round++) {
        struct world_instance *x = &w->instances[round % WORLD_INSTANCES];

        if (x->i && (x->starting || x->stopping || x->op)) {
            if (x->starting)
                vh__plan_failed(&w->p, x->i, w->now);
            else if (x->stopping)
                vh__plan_down(&w->p, x->i, w->now);
            else
                world_end_op(w, x, 0);
            x->starting = x->stopping = false;
            world_settle(w);
        }
    }
    for (size_t k = 0; k < WORLD_CLAIMS; k++)
        if (w->used[k]) {
            vh__plan_release(&w->p, &w->claims[k], w->now);
            w->used[k] = false;
            world_settle(w);
        }
    world_promise(!w->p.first && !w->p.instances && !w->p.memory_mib && !w->p.waiting && !w->p.starting, "left behind");
    for (size_t k = 0; k < WORLD_INSTANCES; k++)
        world_promise(!w->instances[k].i, "an instance is left behind");
}

#endif
