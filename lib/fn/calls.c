/* Calls by this library's users: each waits for an instance, and has it for a while. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "clock.h"
#include "fn_priv.h"
#include "vm.h"

static void granted(struct want *want, struct body *body)
{
    struct call *call = (struct call *)want;

    call->body = body;
    call->granted_ns = vh__clock_mono_ns();
    vh__bell_ring(&call->bell);
}

static void refused(struct want *want, int code, const char *why)
{
    struct call *call = (struct call *)want;

    call->code = code;
    snprintf(call->why, sizeof(call->why), "%s", why);
    vh__bell_ring(&call->bell);
}

static bool is_decided(void *arg)
{
    const struct call *call = arg;

    return call->body || call->code;
}

/* With the lock. */
static int wait_for_instance(struct call *call, struct function *fn, const vh__wait *w, vh_error *err)
{
    vh_functions *f = call->f;
    int rc;

    call->want.fn = fn;
    vh__plan_claim(&f->plan, &fn->plan, &call->want.claim, vh__functions_now());
    vh__functions_act(f);
    rc = vh__bell_wait(&call->bell, NULL, &f->mutex, w, is_decided, call, "wait for an instance", err);
    if (rc) {
        vh__plan_release(&f->plan, &call->want.claim, vh__functions_now());
        vh__functions_act(f);
    } else if (call->code) {
        rc = vh_error_set(err, call->code, "%s", call->why);
        if (err)
            strcpy(err->msg, call->why); /* the system's text is in it already */
    }
    return rc;
}

int vh__call_begin(vh_functions *f, const char *name, bool beside, const vh__wait *w, struct call *call, vh_error *err)
{
    struct function *fn;
    int rc = VH_ENOTFOUND;

    *call = (struct call){ .f = f, .bell = BELL_INIT, .begin_ns = vh__clock_mono_ns() };
    call->want.claim.beside = beside;
    call->want.granted = granted;
    call->want.refused = refused;
    pthread_mutex_lock(&f->mutex);
    fn = vh__function_find(f, name, err);
    if (fn) {
        f->callers++;
        rc = wait_for_instance(call, fn, w, err);
        f->callers--;
    }
    if (!f->functions)
        vh__bells_ring(f->bells); /* that of the end, which waits for us */
    pthread_mutex_unlock(&f->mutex);
    return rc;
}

void vh__call_end(struct call *call)
{
    vh_functions *f = call->f;

    pthread_mutex_lock(&f->mutex);
    vh__plan_release(&f->plan, &call->want.claim, vh__functions_now());
    vh__functions_act(f);
    pthread_mutex_unlock(&f->mutex);
}

/* The phases of the start that the call waited for stand between its own, so that nothing is unexplained. */
static void add_wait(vh_phases *p, const struct call *call)
{
    const vh_phases *start = &call->body->phases;

    if (!call->want.claim.cold || start->begin_ns < call->begin_ns) {
        vh_phases_add(p, "wait", call->begin_ns, call->granted_ns, true);
        return;
    }
    vh_phases_add(p, "wait", call->begin_ns, start->begin_ns, true);
    for (size_t i = 0; i < start->n; i++)
        vh_phases_add(p, start->v[i].id, start->v[i].start_ns, start->v[i].start_ns + start->v[i].ns,
                      start->v[i].critical);
    vh_phases_add(p, "grant", vh_phases_reached_ns(p), call->granted_ns, true);
}

static void fill_timing(const struct call *call, const vh_invoke_response *r, vh_invoke_timing *timing)
{
    vh_invoke_timing t = { .size = timing->size, .cold = call->want.claim.cold };
    int64_t connected = r->connected_ns ? r->connected_ns : call->granted_ns;

    strcpy(t.vm, call->body->info.vm);
    t.phases.begin_ns = call->begin_ns;
    add_wait(&t.phases, call);
    vh_phases_add(&t.phases, "connect", call->granted_ns, connected, true);
    t.phases.end_ns = r->last_byte_ns ? r->last_byte_ns : vh__clock_mono_ns();
    vh_phases_add(&t.phases, "request", connected, t.phases.end_ns, true);
    memcpy(timing, &t, VH_MIN(timing->size, sizeof(t)));
}

int vh_functions_invoke(vh_functions *f, const char *name, const vh_invoke_request *request, const vh_call *call,
                        vh_invoke_response *response, vh_invoke_timing *timing, vh_error *err)
{
    vh__wait w = vh__wait_from(call, f->o.boot_ms + f->o.invoke_ms);
    vh_call rest = { .size = sizeof(rest), .cancel = w.cancel };
    struct call c;
    int rc = vh__call_begin(f, name, false, &w, &c, err);

    if (rc)
        return rc;
    rest.timeout_ms = (uint32_t)VH_MAX(1, vh__wait_left_ms(&w));
    rc = vh_invoke(request, c.body->info.address, c.body->info.port, &rest, response, err);
    if (timing)
        fill_timing(&c, response, timing);
    vh__call_end(&c);
    return rc;
}

static bool is_left_alone(void *arg)
{
    const struct call *call = arg;

    return !call->body->inst->op;
}

/* No process starts in a VM that is being saved; and none is saved while we have a claim beside. */
static int await_quiet(struct call *call, const vh__wait *w, vh_error *err)
{
    vh_functions *f = call->f;
    int rc;

    pthread_mutex_lock(&f->mutex);
    rc = vh__functions_wait(f, w, is_left_alone, call, "exec: what is done with the VM already", err);
    pthread_mutex_unlock(&f->mutex);
    return rc;
}

/* The process is over, or its starter lost interest: the instance may go. */
static void exec_freed(void *arg)
{
    struct call *call = arg;

    vh__call_end(call);
    free(call);
}

int vh_functions_exec(vh_functions *f, const char *name, const vh_exec_options *opts, const vh_call *call,
                      vh_exec **exec, vh_error *err)
{
    vh__wait w = vh__wait_from(call, f->o.boot_ms + 10000);
    vh_call rest = { .size = sizeof(rest), .cancel = w.cancel };
    struct call *c = malloc(sizeof(*c));
    int rc = c ? vh__call_begin(f, name, true, &w, c, err) : vh_error_set(err, -ENOMEM, "exec");

    if (rc) {
        free(c);
        return rc;
    }
    rc = await_quiet(c, &w, err);
    rest.timeout_ms = (uint32_t)VH_MAX(1, vh__wait_left_ms(&w));
    if (rc == 0)
        rc = vh_exec_start(f->o.env, c->body->info.vm, opts, &rest, exec, err);
    if (rc)
        exec_freed(c);
    else
        vh__exec_on_free(*exec, exec_freed, c);
    return rc;
}
