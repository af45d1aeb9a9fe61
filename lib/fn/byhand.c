/* What people do to single instances. */
#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "fn_priv.h"

/* An operation by hand on one instance. */
struct hand {
    vh_functions *f;
    const char *vm;
    bool saves;
    struct body *body; /* once it is ours */
    int rc;
    vh_error *err;
};

static bool matches(const struct plan_instance *i, const char *vm)
{
    const struct body *b = i->body;
    const char *id = b && i->state != PLAN_DOWN ? b->info.vm : "";

    if (!id[0])
        return false;
    return strncmp(id, vm, strlen(vm)) == 0 || strncmp(id + strcspn(id, "-") + 1, vm, strlen(vm)) == 0;
}

/* The one instance whose VM is, or begins with, |vm|. */
static struct body *find(vh_functions *f, const char *vm, int *rc, vh_error *err)
{
    struct body *found = NULL;

    for (struct function *fn = f->functions; fn && vm[0]; fn = fn->next)
        for (struct plan_instance *i = fn->plan.first; i; i = i->next) {
            if (!matches(i, vm))
                continue;
            if (found) {
                *rc = vh_error_set(err, VH_EINVALID, "VM %s: several begin so", vm);
                return NULL;
            }
            found = i->body;
        }
    if (!found)
        *rc = vh_error_set(err, VH_ENOTFOUND, "VM %.40s: no instance has it (vhive-ctl vm ls lists them)", vm);
    return found;
}

/* Whether |h| may have |b|, as far as that does not change while one waits. */
static int check(const struct hand *h, const struct body *b)
{
    const struct plan_instance *i = b->inst;

    if (i->state != PLAN_READY && i->state != PLAN_DRAINING)
        return vh_error_set(h->err, VH_ESTATE, "VM %s: it is ending", b->info.vm);
    if (h->saves && i->paused)
        return vh_error_set(h->err, VH_ESTATE, "VM %s: it is paused, and cannot be saved; resume it first", b->info.vm);
    if (h->saves && i->beside)
        return vh_error_set(h->err, VH_ESTATE, "VM %s: a process of vhive-ctl exec runs in it and would be in the "
                            "snapshot; end it first", b->info.vm);
    return 0;
}

/* Takes the instance for an operation as soon as nothing else is at it; or finds that it never will be. */
static bool try_take(void *arg)
{
    struct hand *h = arg;
    struct body *b;

    if (h->body || h->rc)
        return true;
    b = find(h->f, h->vm, &h->rc, h->err);
    if (!b)
        return true;
    h->rc = check(h, b);
    if (h->rc == 0 && vh__plan_op_begin(b->inst))
        h->body = b;
    return h->body || h->rc;
}

/* Without the lock. Within |w|; others may be at the VM, each within bounds of its own. */
static int take(struct hand *h, const vh__wait *w)
{
    int rc;

    pthread_mutex_lock(&h->f->mutex);
    rc = vh__functions_wait(h->f, w, try_take, h, "what is done with the VM already", h->err);
    pthread_mutex_unlock(&h->f->mutex);
    return rc ? rc : h->rc;
}

/* With the lock, after the plan was told. */
static void let_go(struct hand *h)
{
    vh__plan_op_end(&h->f->plan, h->body->inst, vh__functions_now());
    vh__functions_op_over(h->f);
}

#define HAND_MS 30000

/* What is left of |w|, which bounds waiting for one's turn and the operation together. */
static vh_call rest_of(const vh_call *call, const vh__wait *w)
{
    vh_call rest = { .size = sizeof(rest) };

    if (call)
        memcpy(&rest, call, VH_MIN(call->size, sizeof(rest)));
    rest.size = sizeof(rest);
    rest.timeout_ms = (uint32_t)VH_MAX(1, vh__wait_left_ms(w));
    return rest;
}

static int set_paused(vh_functions *f, const char *vm, bool paused, const vh_call *call, vh_error *err)
{
    int (*operation)(vh_vm *, const vh_call *, vh_error *) = paused ? f->ops->pause : f->ops->resume;
    vh__wait w = vh__wait_from(call, HAND_MS);
    struct hand h = { .f = f, .vm = vm, .err = err };
    vh_call rest;
    int rc = operation ? take(&h, &w) : vh_error_set(err, VH_EUNSUPPORTED, "VM %s: it cannot be paused", vm);

    if (rc)
        return rc;
    rest = rest_of(call, &w);
    if (h.body->inst->paused != paused)
        rc = operation(h.body->vm, &rest, err);
    vh__functions_lock_after_op(h.body);
    if (rc == 0 && h.body->inst->paused != paused) {
        vh__functions_tell(f, paused ? "instance.paused" : "instance.resumed", h.body->record->spec.name,
                           h.body->info.vm, "%s", "");
        vh__plan_pause(&f->plan, h.body->inst, paused, vh__functions_now());
    }
    let_go(&h);
    pthread_mutex_unlock(&f->mutex);
    return rc;
}

int vh_functions_vm_pause(vh_functions *f, const char *vm, const vh_call *call, vh_error *err)
{
    return set_paused(f, vm, true, call, err);
}

int vh_functions_vm_resume(vh_functions *f, const char *vm, const vh_call *call, vh_error *err)
{
    return set_paused(f, vm, false, call, err);
}

/* A blocking call on it, if any, returns by that. */
int vh_functions_vm_kill(vh_functions *f, const char *vm, const vh_call *call, vh_error *err)
{
    struct body *b;
    int rc = 0;

    (void)call; /* nothing is waited for */
    pthread_mutex_lock(&f->mutex);
    b = find(f, vm, &rc, err);
    if (b && b->vm)
        f->ops->kill(b->vm);
    if (b) {
        vh__functions_tell(f, "instance.killed", b->record->spec.name, b->info.vm, "%s", "");
        vh__plan_lost(&f->plan, b->inst, true, vh__functions_now());
        vh__functions_act(f);
    }
    pthread_mutex_unlock(&f->mutex);
    return rc;
}

int vh_functions_vm_snapshot(vh_functions *f, const char *vm, const vh_call *call, char *id, vh_error *err)
{
    vh__wait w = vh__wait_from(call, HAND_MS + f->o.boot_ms);
    struct hand h = { .f = f, .vm = vm, .saves = true, .err = err };
    char saved[VH_IMAGE_DIGEST] = "";
    vh_call rest;
    int rc = f->ops->save ? take(&h, &w) : vh_error_set(err, VH_EUNSUPPORTED, "VM %s: it cannot be saved", vm);

    if (rc)
        return rc;
    rest = rest_of(call, &w);
    rc = f->ops->save(h.body->vm, true, &rest, saved, err);
    if (rc == 0)
        snprintf(id, VH_SNAPSHOT_ID, "%.*s", VH_SNAPSHOT_ID - 1, saved);
    vh__functions_lock_after_op(h.body);
    if (rc == 0 && h.body->inst->revision == h.body->fn->plan.revision)
        snprintf(h.body->fn->snapshot, VH_SNAPSHOT_ID, "%.*s", VH_SNAPSHOT_ID - 1, saved);
    vh__plan_saved(&f->plan, h.body->inst, rc == 0, vh__functions_now());
    vh__functions_op_over(f);
    pthread_mutex_unlock(&f->mutex);
    return rc;
}
