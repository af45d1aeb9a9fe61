/* The plan's rules, one by one and by a walk of random events. */
#include "testenv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vhive/attr.h>

#include "clock.h"
#include "plan.h"
#include "plan_world.h"

#define MS VH_NS_PER_MS
#define MOST 64

/* A plan whose actions are noted in the order they come. */
struct bed {
    struct plan p;
    int64_t now;
    struct plan_instance *started[MOST], *stopped[MOST], *saved[MOST], *tended[MOST];
    unsigned starts, stops, saves, tends, grants, refusals, gone;
    struct claim claims[MOST];
};

static const struct plan_settings usual = {
    .max = 8, .concurrency = 10, .keep_alive_ns = 1000 * MS, .memory_mib = 100
};

static void note(struct bed *b, const struct plan_action *a)
{
    switch (a->act) {
    case PLAN_START:
        b->started[b->starts++] = a->inst;
        break;
    case PLAN_STOP:
        b->stopped[b->stops++] = a->inst;
        break;
    case PLAN_SAVE:
        b->saved[b->saves++] = a->inst;
        break;
    case PLAN_TEND:
        b->tended[b->tends++] = a->inst;
        break;
    case PLAN_GRANT:
        b->grants++;
        break;
    case PLAN_REFUSE:
        b->refusals++;
        break;
    case PLAN_FORGET:
        free(a->inst);
        break;
    case PLAN_GONE:
        b->gone++;
        break;
    }
}

static void settle(struct bed *b)
{
    struct plan_action a;

    while (vh__plan_next(&b->p, &a))
        note(b, &a);
}

static void init(struct bed *b, uint64_t memory_mib, uint32_t starts)
{
    struct plan_limits limits = { memory_mib, 100, starts, 20, 30 };

    memset(b, 0, sizeof(*b));
    b->now = 1000 * VH_NS_PER_S;
    vh__plan_init(&b->p, &limits);
}

static void add(struct bed *b, struct plan_function *fn, const struct plan_settings *set)
{
    *fn = (struct plan_function){ .revision = 1 };
    vh__plan_add(&b->p, fn, set, b->now);
    settle(b);
}

static void want(struct bed *b, struct plan_function *fn, unsigned from, unsigned n)
{
    for (unsigned k = from; k < from + n; k++) {
        b->claims[k] = (struct claim){ 0 };
        vh__plan_claim(&b->p, fn, &b->claims[k], b->now);
        settle(b);
    }
}

static void release(struct bed *b, unsigned from, unsigned n)
{
    for (unsigned k = from; k < from + n; k++) {
        vh__plan_release(&b->p, &b->claims[k], b->now);
        settle(b);
    }
}

static void up(struct bed *b, unsigned k, bool booted)
{
    vh__plan_up(&b->p, b->started[k], booted, b->now);
    settle(b);
}

static void down(struct bed *b, unsigned k)
{
    vh__plan_down(&b->p, b->stopped[k], b->now);
    settle(b);
}

static void pass(struct bed *b, int64_t ns)
{
    b->now += ns;
    vh__plan_tick(&b->p, b->now);
    settle(b);
}

/* Ends whatever there is, so that nothing leaks. */
static void finish(struct bed *b)
{
    while (b->p.first) {
        struct plan_function *fn = b->p.first;

        vh__plan_remove(&b->p, fn, b->now);
        vh__plan_end(&b->p, fn, b->now);
        settle(b);
        for (struct plan_instance *i = fn->first, *next; i; i = next) {
            next = i->next;
            i->op = false;
            if (i->state == PLAN_STARTING)
                vh__plan_failed(&b->p, i, b->now);
            else if (i->state == PLAN_STOPPING)
                vh__plan_down(&b->p, i, b->now);
            else
                vh__plan_end(&b->p, fn, b->now);
            settle(b);
            if (b->p.first != fn)
                break;
        }
        for (unsigned k = 0; k < MOST; k++)
            if (b->claims[k].fn == fn)
                release(b, k, 1);
    }
    assert_int_equal(b->p.memory_mib, 0);
    assert_int_equal(b->p.waiting, 0);
}

static void n_claims_start_no_more_instances_than_they_need(void **state)
{
    static const struct { uint32_t claims, concurrency, retire, starts; } cases[] = {
        { 1, 10, 0, 1 }, { 10, 10, 0, 1 }, { 11, 10, 0, 2 }, { 20, 1, 0, 8 }, { 7, 3, 0, 3 }, { 10, 10, 4, 3 },
    };

    (void)state;
    for (size_t k = 0; k < VH_ARRAY_LEN(cases); k++) {
        struct plan_settings set = usual;
        struct plan_function fn;
        struct bed b;

        set.concurrency = cases[k].concurrency;
        set.retire = cases[k].retire;
        init(&b, 10000, 100);
        add(&b, &fn, &set);
        want(&b, &fn, 0, cases[k].claims);
        assert_int_equal(b.starts, cases[k].starts);
        assert_int_equal(b.grants, 0);
        up(&b, 0, false);
        assert_int_equal(b.starts, cases[k].starts);
        assert_true(b.grants > 0);
        finish(&b);
    }
}

static void an_instance_ends_after_its_claims_and_the_next_has_its_own(void **state)
{
    struct plan_settings set = usual;
    struct plan_function fn;
    struct bed b;

    (void)state;
    set.retire = 40;
    init(&b, 10000, 100);
    add(&b, &fn, &set);
    for (unsigned call = 0; call < 100; call++) {
        want(&b, &fn, 0, 1);
        if (b.grants == call)
            up(&b, b.starts - 1, false);
        release(&b, 0, 1); /* whether it failed or not makes no difference */
        if (b.tends)
            vh__plan_op_end(&b.p, b.tended[--b.tends], b.now);
        settle(&b);
    }
    assert_int_equal(fn.started, 3);
    assert_int_equal(fn.served, 100);
    assert_int_equal(b.stops, 2);
    finish(&b);
}

static void an_idle_instance_ends_after_its_time_but_for_the_least(void **state)
{
    struct plan_settings set = usual;
    struct plan_function fn;
    struct bed b;

    (void)state;
    set.concurrency = 1;
    set.min = 1;
    init(&b, 10000, 100);
    add(&b, &fn, &set);
    assert_int_equal(b.starts, 1);
    up(&b, 0, true);
    want(&b, &fn, 0, 2);
    up(&b, 1, true);
    release(&b, 0, 2);
    assert_int_equal(vh__plan_wake_ns(&b.p, b.now), b.now + 1000 * MS);
    pass(&b, 999 * MS);
    assert_int_equal(b.stops, 0);
    pass(&b, MS);
    assert_int_equal(b.stops, 1);
    assert_int_equal(vh__plan_wake_ns(&b.p, b.now), INT64_MAX);
    down(&b, 0);
    finish(&b);
}

static void for_who_waits_the_longest_idle_of_others_ends(void **state)
{
    struct plan_function idle[2], busy, late;
    struct bed b;

    (void)state;
    init(&b, 350, 100);
    add(&b, &idle[0], &usual);
    add(&b, &idle[1], &usual);
    add(&b, &busy, &usual);
    add(&b, &late, &usual);
    want(&b, &idle[1], 0, 1);
    up(&b, 0, false);
    want(&b, &busy, 1, 1);
    up(&b, 1, false);
    b.now += MS;
    want(&b, &idle[0], 2, 1);
    up(&b, 2, false);
    release(&b, 0, 1);
    b.now += MS;
    release(&b, 2, 1);
    while (b.tends)
        vh__plan_op_end(&b.p, b.tended[--b.tends], b.now);
    want(&b, &late, 3, 1);
    assert_int_equal(b.stops, 1); /* no more than is needed */
    assert_ptr_equal(b.stopped[0], b.started[0]);
    assert_int_equal(b.starts, 3); /* not before it is gone */
    down(&b, 0);
    assert_int_equal(b.starts, 4);
    assert_ptr_equal(b.started[3]->fn, &late);
    finish(&b);
}

static void the_least_of_a_function_end_only_when_there_are_no_others(void **state)
{
    struct plan_settings set = usual;
    struct plan_function kept, idle, late;
    struct bed b;

    (void)state;
    set.min = 1;
    init(&b, 200, 100);
    add(&b, &kept, &set);
    up(&b, 0, true);
    b.now += MS;
    add(&b, &idle, &usual);
    add(&b, &late, &usual);
    want(&b, &idle, 0, 1);
    up(&b, 1, true);
    release(&b, 0, 1);
    want(&b, &late, 0, 1);
    assert_ptr_equal(b.stopped[0]->fn, &idle); /* though the other is idle for longer */
    down(&b, 0);
    want(&b, &idle, 1, 1);
    assert_ptr_equal(b.stopped[1]->fn, &kept);
    finish(&b);
}

static void nothing_ends_where_even_that_would_not_make_room(void **state)
{
    struct plan_settings large = usual;
    struct plan_function busy, idle, late;
    struct bed b;

    (void)state;
    large.memory_mib = 300;
    init(&b, 300, 100);
    add(&b, &busy, &usual);
    add(&b, &idle, &usual);
    add(&b, &late, &large);
    want(&b, &busy, 0, 1);
    want(&b, &idle, 1, 1);
    up(&b, 0, true);
    up(&b, 1, true);
    release(&b, 1, 1);
    want(&b, &late, 2, 1);
    assert_int_equal(b.stops, 0);
    release(&b, 0, 1);
    assert_int_equal(b.stops, 2);
    finish(&b);
}

static void functions_take_turns(void **state)
{
    struct plan_settings set = usual;
    struct plan_function a, c;
    struct bed b;

    (void)state;
    set.concurrency = 1;
    init(&b, 10000, 1);
    add(&b, &a, &set);
    add(&b, &c, &set);
    want(&b, &a, 0, 4);
    want(&b, &c, 4, 2);
    for (unsigned k = 0; k < 5; k++)
        up(&b, k, true);
    assert_ptr_equal(b.started[0]->fn, &a);
    assert_ptr_equal(b.started[1]->fn, &c);
    assert_ptr_equal(b.started[2]->fn, &a);
    assert_ptr_equal(b.started[3]->fn, &c);
    assert_ptr_equal(b.started[4]->fn, &a);
    finish(&b);
}

static void what_cannot_fit_and_what_is_too_much_is_refused(void **state)
{
    struct plan_settings large = usual;
    struct plan_function fn, too_large;
    struct bed b;

    (void)state;
    large.memory_mib = 1001;
    init(&b, 1000, 1);
    add(&b, &fn, &usual);
    add(&b, &too_large, &large);
    want(&b, &too_large, 0, 1);
    assert_int_equal(b.claims[0].why, PLAN_WHY_TOO_LARGE);
    want(&b, &fn, 0, 21);
    assert_int_equal(b.refusals, 2);
    assert_int_equal(b.claims[20].why, PLAN_WHY_QUEUE);
    finish(&b);
}

static void a_failed_start_is_told_and_not_repeated_at_once(void **state)
{
    struct plan_function fn;
    struct bed b;

    (void)state;
    init(&b, 10000, 100);
    add(&b, &fn, &usual);
    want(&b, &fn, 0, 3);
    vh__plan_failed(&b.p, b.started[0], b.now);
    settle(&b);
    assert_int_equal(b.refusals, 3);
    assert_int_equal(b.claims[0].why, PLAN_WHY_START);
    want(&b, &fn, 0, 2);
    assert_int_equal(b.starts, 1);
    assert_int_equal(vh__plan_wake_ns(&b.p, b.now), b.now + PLAN_BACKOFF_MS * MS);
    pass(&b, PLAN_BACKOFF_MS * MS);
    assert_int_equal(b.starts, 2);
    vh__plan_failed(&b.p, b.started[1], b.now);
    settle(&b);
    want(&b, &fn, 0, 1);
    pass(&b, 2 * PLAN_BACKOFF_MS * MS - 1);
    assert_int_equal(b.starts, 2);
    pass(&b, 1);
    assert_int_equal(b.starts, 3);
    up(&b, 2, true);
    assert_int_equal(fn.failures, 0);
    assert_int_equal(fn.failed, 2);
    finish(&b);
}

static void a_vm_that_dies_young_counts_as_a_failed_start(void **state)
{
    struct plan_settings set = usual;
    struct plan_function fn;
    struct bed b;

    (void)state;
    set.min = 1;
    init(&b, 10000, 100);
    add(&b, &fn, &set);
    for (unsigned k = 0; k < 3; k++) {
        up(&b, k, true);
        vh__plan_lost(&b.p, b.started[k], false, b.now);
        settle(&b);
        down(&b, k);
        assert_int_equal(b.starts, k + 1);
        pass(&b, (PLAN_BACKOFF_MS << k) * MS - 1);
        assert_int_equal(b.starts, k + 1);
        pass(&b, 1);
        assert_int_equal(b.starts, k + 2);
    }
    finish(&b);
}

static void a_new_revision_drains_the_old(void **state)
{
    struct plan_function fn;
    struct bed b;

    (void)state;
    init(&b, 10000, 100);
    add(&b, &fn, &usual);
    want(&b, &fn, 0, 1);
    up(&b, 0, true);
    vh__plan_set(&b.p, &fn, &usual, true, b.now);
    settle(&b);
    assert_int_equal(b.started[0]->state, PLAN_DRAINING);
    assert_int_equal(b.stops, 0);
    want(&b, &fn, 1, 1);
    assert_int_equal(b.starts, 2);
    assert_int_equal(b.started[1]->revision, 2);
    release(&b, 0, 1);
    assert_int_equal(b.stops, 1);
    down(&b, 0);
    finish(&b);
}

static void a_start_of_an_old_revision_is_cancelled(void **state)
{
    struct plan_function fn;
    struct bed b;

    (void)state;
    init(&b, 10000, 100);
    add(&b, &fn, &usual);
    want(&b, &fn, 0, 1);
    vh__plan_set(&b.p, &fn, &usual, true, b.now);
    settle(&b);
    assert_int_equal(b.stops, 1);
    assert_int_equal(b.starts, 2); /* who waited waits for the new one */
    vh__plan_failed(&b.p, b.started[0], b.now);
    settle(&b);
    assert_int_equal(b.refusals, 0);
    assert_int_equal(fn.failed, 0);
    finish(&b);
}

static void a_removed_function_goes_with_its_last_claim(void **state)
{
    struct plan_function fn;
    struct bed b;

    (void)state;
    init(&b, 10000, 100);
    add(&b, &fn, &usual);
    want(&b, &fn, 0, 1);
    up(&b, 0, true);
    vh__plan_remove(&b.p, &fn, b.now);
    settle(&b);
    assert_int_equal(b.stops, 0);
    vh__plan_end(&b.p, &fn, b.now);
    settle(&b);
    assert_int_equal(b.stops, 1);
    down(&b, 0);
    assert_int_equal(b.p.memory_mib, 0);
    assert_int_equal(b.gone, 0);
    release(&b, 0, 1);
    assert_int_equal(b.gone, 1);
}

static void a_paused_instance_gets_nothing_and_stays(void **state)
{
    struct plan_settings set = usual;
    struct plan_function fn;
    struct bed b;

    (void)state;
    set.max = 1;
    init(&b, 10000, 100);
    add(&b, &fn, &set);
    want(&b, &fn, 0, 1);
    up(&b, 0, true);
    release(&b, 0, 1);
    vh__plan_pause(&b.p, b.started[0], true, b.now);
    want(&b, &fn, 0, 1);
    pass(&b, 100000 * MS);
    assert_int_equal(b.grants, 1);
    assert_int_equal(b.stops, 0);
    vh__plan_pause(&b.p, b.started[0], false, b.now);
    settle(&b);
    assert_int_equal(b.grants, 2);
    finish(&b);
}

static void a_booted_instance_is_saved_once_when_it_is_idle(void **state)
{
    struct plan_settings set = usual;
    struct plan_function fn;
    struct bed b;

    (void)state;
    set.saves = true;
    set.retire = 1;
    init(&b, 10000, 100);
    add(&b, &fn, &set);
    want(&b, &fn, 0, 1);
    up(&b, 0, true);
    assert_int_equal(b.saves, 0);
    release(&b, 0, 1);
    assert_int_equal(b.saves, 1);
    assert_int_equal(b.stops, 0); /* though it has had its only claim */
    vh__plan_saved(&b.p, b.saved[0], true, b.now);
    settle(&b);
    assert_int_equal(b.stops, 1);
    want(&b, &fn, 0, 1);
    up(&b, 1, true);
    release(&b, 0, 1);
    assert_int_equal(b.saves, 2); /* what there was did not restore */
    vh__plan_saved(&b.p, b.saved[1], true, b.now);
    settle(&b);
    finish(&b);
}

static void a_busy_booted_instance_is_saved_in_the_end(void **state)
{
    struct plan_settings set = usual;
    struct plan_function fn;
    struct bed b;

    (void)state;
    set.saves = true;
    init(&b, 10000, 100);
    add(&b, &fn, &set);
    want(&b, &fn, 0, 1);
    up(&b, 0, true);
    assert_int_equal(vh__plan_wake_ns(&b.p, b.now), b.now + PLAN_SAVE_BUSY_MS * MS);
    pass(&b, PLAN_SAVE_BUSY_MS * MS);
    assert_int_equal(b.saves, 1);
    finish(&b);
}

static void a_restored_instance_is_tended_after_its_first_claim(void **state)
{
    struct plan_function fn;
    struct bed b;

    (void)state;
    init(&b, 10000, 100);
    add(&b, &fn, &usual);
    want(&b, &fn, 0, 2);
    up(&b, 0, false);
    assert_int_equal(b.tends, 0);
    release(&b, 0, 1);
    assert_int_equal(b.tends, 1);
    release(&b, 1, 1);
    assert_int_equal(b.tends, 1);
    finish(&b);
}

static void a_claim_beside_takes_no_place(void **state)
{
    struct plan_settings set = usual;
    struct plan_function fn;
    struct bed b;

    (void)state;
    set.concurrency = 1;
    init(&b, 10000, 100);
    add(&b, &fn, &set);
    b.claims[0].beside = true;
    vh__plan_claim(&b.p, &fn, &b.claims[0], b.now);
    settle(&b);
    assert_int_equal(b.starts, 1);
    up(&b, 0, true);
    want(&b, &fn, 1, 1);
    assert_int_equal(b.starts, 1);
    assert_int_equal(b.grants, 2);
    assert_int_equal(fn.served, 1);
    release(&b, 1, 1);
    pass(&b, 100000 * MS);
    assert_int_equal(b.stops, 0); /* it is kept */
    release(&b, 0, 1);
    pass(&b, 1000 * MS);
    assert_int_equal(b.stops, 1);
    finish(&b);
}

static void promises_are_kept_on_a_random_walk(void **state)
{
    unsigned long grants = 0, starts = 0, refusals = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world w;

        world_init(&w);
        w.seed = seed;
        for (unsigned step = 0; step < 10000; step++)
            world_step(&w);
        world_finish(&w);
        grants += w.grants;
        starts += w.starts;
        refusals += w.refusals;
    }
    print_message("%lu grants, %lu starts, %lu refusals\n", grants, starts, refusals);
    assert_true(grants > 10000 && starts > 5000 && refusals > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(n_claims_start_no_more_instances_than_they_need),
        cmocka_unit_test(an_instance_ends_after_its_claims_and_the_next_has_its_own),
        cmocka_unit_test(an_idle_instance_ends_after_its_time_but_for_the_least),
        cmocka_unit_test(for_who_waits_the_longest_idle_of_others_ends),
        cmocka_unit_test(the_least_of_a_function_end_only_when_there_are_no_others),
        cmocka_unit_test(nothing_ends_where_even_that_would_not_make_room),
        cmocka_unit_test(functions_take_turns),
        cmocka_unit_test(what_cannot_fit_and_what_is_too_much_is_refused),
        cmocka_unit_test(a_failed_start_is_told_and_not_repeated_at_once),
        cmocka_unit_test(a_vm_that_dies_young_counts_as_a_failed_start),
        cmocka_unit_test(a_new_revision_drains_the_old),
        cmocka_unit_test(a_start_of_an_old_revision_is_cancelled),
        cmocka_unit_test(a_removed_function_goes_with_its_last_claim),
        cmocka_unit_test(a_paused_instance_gets_nothing_and_stays),
        cmocka_unit_test(a_booted_instance_is_saved_once_when_it_is_idle),
        cmocka_unit_test(a_busy_booted_instance_is_saved_in_the_end),
        cmocka_unit_test(a_restored_instance_is_tended_after_its_first_claim),
        cmocka_unit_test(a_claim_beside_takes_no_place),
        cmocka_unit_test(promises_are_kept_on_a_random_walk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
