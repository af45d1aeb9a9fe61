#include "flow.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "clock.h"
#include "thread.h"

/* A background step under way. */
struct task {
    const vh__step *step;
    void *ctx;
    vh__wait wait; /* a copy: a later step may shorten the flow's */
    pthread_t thread;
    int64_t start_ns, end_ns;
    int rc;
    vh_error err;
    size_t index; /* in the table */
    bool joined;
};

struct flow {
    const vh__step *steps;
    void *ctx;
    vh_phases *phases;
    bool *done; /* per step: run and succeeded */
    int64_t reached_ns; /* end of the last critical phase: where the next begins, so that none is missing between */
    struct task tasks[VH_FLOW_BACKGROUND_MAX];
    size_t ntasks;
};

static void add_phase(struct flow *f, const char *prefix, const char *id, int64_t start, int64_t end, bool critical)
{
    char name[VH_PHASE_ID];

    if (!f->phases)
        return;
    snprintf(name, sizeof(name), "%s%s", prefix, id);
    vh_phases_add(f->phases, name, start, end, critical);
}

/* Adds the critical phase that ends now. */
static void add_critical(struct flow *f, const char *prefix, const char *id)
{
    int64_t now = vh__clock_mono_ns();

    add_phase(f, prefix, id, f->reached_ns, now, true);
    f->reached_ns = now;
}

static void *task_main(void *arg)
{
    struct task *t = arg;

    t->rc = t->step->run(t->ctx, &t->wait, &t->err);
    t->end_ns = vh__clock_mono_ns();
    return NULL;
}

static int start_task(struct flow *f, size_t index, const vh__wait *w, vh_error *err)
{
    struct task *t = &f->tasks[f->ntasks];
    int rc;

    if (f->ntasks == VH_FLOW_BACKGROUND_MAX)
        return vh_error_set(err, VH_ELIMIT, "more than %d background steps", VH_FLOW_BACKGROUND_MAX);
    *t = (struct task){ .step = &f->steps[index], .ctx = f->ctx, .wait = *w, .index = index,
                        .start_ns = vh__clock_mono_ns() };
    rc = vh__thread_start(&t->thread, "vh-step", task_main, t, err);
    f->ntasks += rc == 0;
    return rc;
}

/* Waits for |t|. The wait is a critical phase of its own if there was one to speak of. */
static int join_task(struct flow *f, struct task *t, vh_error *err)
{
    if (t->joined)
        return 0;
    pthread_join(t->thread, NULL);
    t->joined = true;
    add_phase(f, "", t->step->id, t->start_ns, t->end_ns, false);
    add_critical(f, "wait-", t->step->id);
    f->done[t->index] = t->rc == 0;
    if (t->rc && err) {
        *err = t->err;
        return vh_error_wrap(err, t->rc, "%s", t->step->id);
    }
    return t->rc;
}

static int join_named(struct flow *f, const char *id, vh_error *err)
{
    for (size_t i = 0; i < f->ntasks; i++)
        if (strcmp(f->tasks[i].step->id, id) == 0)
            return join_task(f, &f->tasks[i], err);
    return 0; /* skipped */
}

static int run_step(struct flow *f, size_t i, const vh__wait *w, vh_error *err)
{
    const vh__step *s = &f->steps[i];
    int rc;

    for (size_t j = 0; j < VH_ARRAY_LEN(s->after) && s->after[j]; j++) {
        rc = join_named(f, s->after[j], err);
        if (rc)
            return rc;
    }
    if (s->skip && s->skip(f->ctx))
        return 0;
    if (s->background) {
        rc = start_task(f, i, w, err);
        return rc ? vh_error_wrap(err, rc, "%s", s->id) : 0;
    }
    rc = s->run(f->ctx, w, err);
    add_critical(f, "", s->id);
    f->done[i] = rc == 0;
    return rc ? vh_error_wrap(err, rc, "%s", s->id) : 0;
}

/* Unwinds a flow that failed; a phase of its own, as another way may be tried afterwards. */
static void undo_done(struct flow *f, size_t n)
{
    for (size_t i = n; i-- > 0;)
        if (f->done[i] && f->steps[i].undo)
            f->steps[i].undo(f->ctx);
    add_critical(f, "", "undo");
}

int vh__flow_run(const vh__step *steps, size_t n, void *ctx, const vh__wait *w, vh_phases *phases, vh_error *err)
{
    bool done[VH_FLOW_STEPS_MAX] = { false };
    struct flow f = { .steps = steps, .ctx = ctx, .phases = phases, .done = done };
    int rc = 0;

    if (n > VH_FLOW_STEPS_MAX)
        return vh_error_set(err, VH_ELIMIT, "flow of %zu steps: at most %d", n, VH_FLOW_STEPS_MAX);
    if (phases && phases->begin_ns == 0)
        phases->begin_ns = vh__clock_mono_ns();
    f.reached_ns = phases ? vh_phases_reached_ns(phases) : 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = run_step(&f, i, w, err);
    for (size_t i = 0; i < f.ntasks; i++) {
        int brc = join_task(&f, &f.tasks[i], rc ? NULL : err);

        rc = rc ? rc : brc;
    }
    if (rc)
        undo_done(&f, n);
    return rc;
}
