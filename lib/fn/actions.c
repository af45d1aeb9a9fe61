/* What the plan wants, done: claims are answered at once; what is done with VMs goes to threads. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "clock.h"
#include "fn_priv.h"
#include "log.h"

static void free_body(struct body *b)
{
    vh_cancel_free(b->cancel);
    vh__record_drop(b->record);
    vh__function_unuse(b->fn);
    free(b);
}

/* An instance's output. On a thread of its VM's, without the lock. */
static void note_output(vh_stream stream, const void *bytes, size_t n, void *arg)
{
    struct body *b = arg;
    vh_functions *f = b->fn->f;

    pthread_mutex_lock(&f->mutex);
    vh__log_add(&b->fn->log, b->serial, b->info.vm, stream, bytes, n);
    vh__bells_ring(f->bells);
    pthread_mutex_unlock(&f->mutex);
}

/* The image behind the digest that was deployed, pulled again if it was removed meanwhile. Without the lock. */
static int open_image(const vh_functions *f, const struct record *r, const vh_call *call, vh_image **image,
                      vh_error *err)
{
    int rc = vh_image_open(f->o.images, r->image_digest, call, image, err);

    if (rc != VH_ENOTFOUND)
        return rc;
    rc = vh_image_open(f->o.images, r->spec.image, call, image, err);
    if (rc || strcmp(vh_image_digest(*image), r->image_digest) == 0)
        return rc;
    vh_image_close(*image);
    return vh_error_set(err, VH_ENOTFOUND, "image %s of function %s is not stored any more, and %s is another by now: "
                        "deploy it again", r->image_digest, r->spec.name, r->spec.image);
}

/* Keeps the image from being removed as long as the revision may be started. */
static int pin_image(struct body *b, const vh_call *call, vh_error *err)
{
    vh_functions *f = b->fn->f;
    vh_image *image = NULL;
    bool pinned;
    int rc;

    pthread_mutex_lock(&f->mutex);
    pinned = b->record->image != NULL;
    pthread_mutex_unlock(&f->mutex);
    if (pinned || !f->o.images)
        return 0;
    rc = open_image(f, b->record, call, &image, err);
    if (rc)
        return rc;
    pthread_mutex_lock(&f->mutex);
    if (!b->record->image)
        b->record->image = vh_steal_ptr(image);
    pthread_mutex_unlock(&f->mutex);
    vh_image_close(image);
    return 0;
}

/* Without the lock. */
static int run(struct body *b, vh_vm **vm, vh_error *err)
{
    const vh_function_spec *s = &b->record->spec;
    vh_functions *f = b->fn->f;
    vh_call call = { .size = sizeof(call), .timeout_ms = f->o.boot_ms, .cancel = b->cancel };
    vh_run_options o = VH_RUN_OPTIONS_INIT;
    int rc = pin_image(b, &call, err);

    o.image = s->image;
    o.image_digest = b->record->image_digest;
    o.env = s->env;
    o.port = s->port;
    o.memory_mib = s->memory_mib;
    o.cpus = s->cpus;
    o.engine = s->engine;
    o.boot_unsaved = true;
    o.output = note_output;
    o.output_arg = b;
    return rc ? rc : f->ops->run(f->o.vms, &o, &call, vm, err);
}

static void came_up(struct body *b, vh_vm *vm)
{
    struct function *fn = b->fn;
    vh_functions *f = fn->f;

    b->vm = vm;
    f->ops->facts(vm, &b->info, &b->phases);
    b->info.start_us = (uint64_t)(vh__functions_now() - b->inst->start_ns) / 1000;
    vh__log_name(&fn->log, b->serial, b->info.vm);
    if (b->inst->revision == fn->plan.revision)
        strcpy(fn->snapshot, b->info.snapshot);
    fn->last_code = 0;
    fn->last_error[0] = '\0';
    vh__functions_tell(f, "instance.ready", b->record->spec.name, b->info.vm, "revision %u, engine %s, %llu ms",
                       b->info.revision, b->info.engine, (unsigned long long)b->info.start_us / 1000);
    vh__plan_up(&f->plan, b->inst, strcmp(b->info.engine, vh_engine_name(VH_ENGINE_BOOT)) == 0, vh__functions_now());
}

static void did_not(struct body *b, const vh_error *err)
{
    struct function *fn = b->fn;
    vh_functions *f = fn->f;

    if (!b->inst->cancelled) {
        fn->last_code = err->code;
        memcpy(fn->last_error, err->msg, sizeof(fn->last_error));
        vh__functions_tell(f, "instance.failed", b->record->spec.name, "", "%s", err->msg);
        vh__log(f->o.env, VH_LOG_WARN, "fn", NULL, "function %s: start failed: %s", b->record->spec.name, err->msg);
    }
    vh__plan_failed(&f->plan, b->inst, vh__functions_now());
}

static void start(struct job *job)
{
    struct body *b = (struct body *)job;
    vh_functions *f = b->fn->f;
    vh_error err = { 0 };
    vh_vm *vm = NULL;
    int rc = run(b, &vm, &err);

    pthread_mutex_lock(&f->mutex);
    if (rc == 0)
        came_up(b, vm);
    else
        did_not(b, &err);
    vh__functions_op_over(f);
    pthread_mutex_unlock(&f->mutex);
}

/* Without the lock. */
static void end_vm(struct body *b)
{
    const vh__functions_vms *ops = b->fn->f->ops;
    vh_functions *f = b->fn->f;
    vh_error err = { 0 };

    if (ops->stop(b->vm, NULL, &err))
        vh__log(f->o.env, VH_LOG_WARN, "fn", b->info.vm, "function %s: its end: %s", b->record->spec.name, err.msg);
}

/* A VM that is gone does not close its connections. */
static void cut_claims(struct claim *c)
{
    for (; c; c = c->next)
        if (((struct want *)c)->cut)
            ((struct want *)c)->cut((struct want *)c);
}

static void stop(struct job *job)
{
    struct body *b = (struct body *)job;
    vh_functions *f = b->fn->f;
    vh_vm *vm;

    end_vm(b);
    pthread_mutex_lock(&f->mutex);
    vm = vh_steal_ptr(b->vm); /* nobody kills what is freed */
    cut_claims(b->inst->claims.first);
    pthread_mutex_unlock(&f->mutex);
    f->ops->free(vm);
    pthread_mutex_lock(&f->mutex);
    vh__functions_tell(f, "instance.ended", b->record->spec.name, b->info.vm, "%llu served",
                       (unsigned long long)b->inst->served);
    vh__plan_down(&f->plan, b->inst, vh__functions_now());
    vh__functions_act(f);
    pthread_mutex_unlock(&f->mutex);
}

static void save(struct job *job)
{
    struct body *b = (struct body *)job;
    struct function *fn = b->fn;
    vh_functions *f = fn->f;
    char id[VH_IMAGE_DIGEST] = "";
    vh_error err = { 0 };
    int rc = f->ops->save(b->vm, false, NULL, id, &err);

    vh__functions_lock_after_op(b);
    if (rc == 0 && b->inst->revision == fn->plan.revision)
        snprintf(fn->snapshot, sizeof(fn->snapshot), "%.*s", VH_SNAPSHOT_ID - 1, id);
    if (rc)
        vh__log(f->o.env, VH_LOG_WARN, "fn", b->info.vm, "function %s: no snapshot: %s", b->record->spec.name, err.msg);
    vh__functions_tell(f, rc ? "snapshot.failed" : "snapshot.saved", b->record->spec.name, b->info.vm, "%s",
                       rc ? err.msg : id);
    vh__plan_saved(&f->plan, b->inst, rc == 0, vh__functions_now());
    vh__functions_op_over(f);
    pthread_mutex_unlock(&f->mutex);
}

static void tend(struct job *job)
{
    struct body *b = (struct body *)job;
    vh_functions *f = b->fn->f;
    vh_error err = { 0 };

    if (f->ops->tend(b->vm, NULL, &err))
        vh__log(f->o.env, VH_LOG_WARN, "fn", b->info.vm, "function %s: working set: %s", b->record->spec.name, err.msg);
    vh__functions_lock_after_op(b);
    vh__plan_op_end(&f->plan, b->inst, vh__functions_now());
    vh__functions_op_over(f);
    pthread_mutex_unlock(&f->mutex);
}

static struct body *new_body(vh_functions *f, struct plan_instance *i)
{
    struct function *fn = (struct function *)i->fn;
    struct body *b = calloc(1, sizeof(*b));

    if (!b || vh_cancel_new(&b->cancel, NULL)) {
        free(b);
        return NULL;
    }
    b->inst = i;
    b->fn = fn;
    vh__function_use(fn);
    b->record = fn->record;
    vh__record_hold(b->record);
    b->serial = ++f->serial;
    b->info = (vh_instance_info){ .size = sizeof(b->info), .revision = i->revision, .memory_mib = i->memory_mib,
                                  .started_ns = vh__clock_real_ns() };
    strcpy(b->info.function, b->record->spec.name);
    i->body = b;
    return b;
}

static void put_start(vh_functions *f, struct plan_instance *i)
{
    struct function *fn = (struct function *)i->fn;
    struct body *b = new_body(f, i);

    if (b) {
        b->job.run = start;
        vh__pool_put(&f->starters, &b->job);
        vh__functions_tell(f, "instance.starting", b->record->spec.name, "", "revision %u", b->info.revision);
        return;
    }
    fn->last_code = -ENOMEM;
    snprintf(fn->last_error, sizeof(fn->last_error), "function %s: no memory is left to start it",
             fn->record->spec.name);
    vh__plan_failed(&f->plan, i, vh__functions_now());
}

static void put(vh_functions *f, struct body *b, void (*run_it)(struct job *job))
{
    b->job.run = run_it;
    vh__pool_put(&f->enders, &b->job);
}

static void put_stop(vh_functions *f, struct body *b)
{
    if (b->inst->state == PLAN_STARTING)
        vh_cancel_trigger(b->cancel);
    else
        put(f, b, stop);
}

/* Which setting, or what else, is in the way. */
static void refuse(vh_functions *f, struct want *want)
{
    const struct function *fn = want->fn;
    char why[VH_ERROR_MSG];

    switch (want->claim.why) {
    case PLAN_WHY_QUEUE:
        snprintf(why, sizeof(why), "function %s: %u wait already for an instance (budget.queue)", fn->record->spec.name,
                 f->plan.limits.queue);
        break;
    case PLAN_WHY_QUEUE_ALL:
        snprintf(why, sizeof(why), "function %s: on this machine %u wait already for an instance (budget.queue_all)",
                 fn->record->spec.name, f->plan.limits.queue_all);
        break;
    case PLAN_WHY_TOO_LARGE:
        snprintf(why, sizeof(why), "function %s: its %u MiB are more than the %llu MiB of all (budget.memory)",
                 fn->record->spec.name, fn->record->spec.memory_mib, (unsigned long long)f->plan.limits.memory_mib);
        break;
    case PLAN_WHY_START:
        want->refused(want, fn->last_code ? fn->last_code : VH_EVMM, fn->last_error);
        return;
    default:
        want->refused(want, VH_ENOTFOUND, "the function was removed");
        return;
    }
    want->refused(want, VH_ELIMIT, why);
}

static void forget_function(struct function *fn)
{
    vh_functions *f = fn->f;
    struct function **at = &f->functions;

    while (*at != fn)
        at = &(*at)->next;
    *at = fn->next;
    fn->gone = true;
    vh__function_use(fn);
    vh__function_unuse(fn);
}

static void carry_out(vh_functions *f, const struct plan_action *a)
{
    struct body *b = a->inst ? a->inst->body : NULL;

    switch (a->act) {
    case PLAN_START:
        put_start(f, a->inst);
        break;
    case PLAN_STOP:
        put_stop(f, b);
        break;
    case PLAN_SAVE:
        put(f, b, save);
        break;
    case PLAN_TEND:
        put(f, b, tend);
        break;
    case PLAN_GRANT:
        ((struct want *)a->claim)->granted((struct want *)a->claim, b);
        break;
    case PLAN_REFUSE:
        refuse(f, (struct want *)a->claim);
        break;
    case PLAN_FORGET:
        if (b)
            free_body(b);
        free(a->inst);
        break;
    case PLAN_GONE:
        forget_function((struct function *)a->fn);
        break;
    }
}

void vh__functions_act(vh_functions *f)
{
    struct plan_action a;
    bool any = false;

    while (vh__plan_next(&f->plan, &a)) {
        carry_out(f, &a);
        any |= a.act != PLAN_GRANT;
    }
    if (any)
        vh__bells_ring(f->bells);
    if (any || vh__plan_wake_ns(&f->plan, vh__functions_now()) < f->sleeping_until)
        vh__watch_wake(f);
}

void vh__functions_op_over(vh_functions *f)
{
    vh__functions_act(f);
    vh__bells_ring(f->bells);
    vh__watch_wake(f);
}

void vh__functions_lock_after_op(struct body *b)
{
    vh_functions *f = b->fn->f;
    vh_vm_exit exit = { 0 };
    bool ended = f->ops->ended(b->vm, &exit);

    pthread_mutex_lock(&f->mutex);
    if (!ended || b->inst->dead)
        return;
    vh__watch_lost(b, &exit);
    vh__functions_act(f);
}

void vh__functions_kill_all(vh_functions *f)
{
    for (struct function *fn = f->functions; fn; fn = fn->next)
        for (struct plan_instance *i = fn->plan.first; i; i = i->next) {
            struct body *b = i->body;

            vh_cancel_trigger(b->cancel);
            if (b->vm)
                f->ops->kill(b->vm);
        }
}
