/* The object itself: made, freed, and the functions in it. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/sysinfo.h>

#include "activation.h"
#include "auto.h"
#include "clock.h"
#include "deploy.h"
#include "fn_priv.h"
#include "path.h"

#define INSTANCES_DEFAULT 256
#define QUEUE_DEFAULT     1024
#define QUEUE_ALL_DEFAULT 8192
/* Ends and snapshots under way at once: they mostly wait for guests. */
#define ENDERS 32
/* What ending takes beyond the stop time. */
#define MARGIN_MS 5000

int64_t vh__functions_now(void)
{
    return vh__clock_mono_ns();
}

struct function *vh__function_find(vh_functions *f, const char *name, vh_error *err)
{
    for (struct function *fn = f->functions; fn; fn = fn->next)
        if (!fn->plan.removed && strcmp(fn->record->spec.name, name) == 0)
            return fn;
    vh_error_set(err, VH_ENOTFOUND, "function %.80s: not deployed (vhive-ctl ls lists those that are)", name);
    return NULL;
}

struct plan_settings vh__function_settings(const vh_functions *f, const struct record *record)
{
    const vh_function_spec *s = &record->spec;

    return (struct plan_settings){ .min = s->min,
                                   .max = s->max,
                                   .concurrency = s->concurrency,
                                   .retire = s->retire,
                                   .keep_alive_ns = s->keep_alive_ms * VH_NS_PER_MS,
                                   .memory_mib = s->memory_mib,
                                   .saves = f->ops->save && s->engine != VH_ENGINE_BOOT };
}

int vh__function_new(vh_functions *f, struct record *record, struct function **fn, vh_error *err)
{
    struct function *n = calloc(1, sizeof(*n)), **at = &f->functions;

    if (!n)
        return vh_error_set(err, -ENOMEM, "function %s", record->spec.name);
    n->f = f;
    n->record = record;
    n->plan.revision = record->revision;
    while (*at && strcmp((*at)->record->spec.name, record->spec.name) <= 0)
        at = &(*at)->next;
    n->next = *at;
    *at = n;
    *fn = n;
    return 0;
}

void vh__function_use(struct function *fn)
{
    fn->users++;
}

void vh__function_unuse(struct function *fn)
{
    if (--fn->users || !fn->gone)
        return;
    vh__log_fini(&fn->log);
    vh__record_drop(fn->record);
    free(fn);
}

int vh__functions_wait(vh_functions *f, const vh__wait *w, bool (*done)(void *arg), void *arg, const char *what,
                       vh_error *err)
{
    struct bell bell = BELL_INIT;

    return vh__bell_wait(&bell, &f->bells, &f->mutex, w, done, arg, what, err);
}

void vh__functions_tell(vh_functions *f, const char *type, const char *function, const char *vm, const char *fmt, ...)
{
    char message[256];
    va_list args;

    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    vh__events_add(&f->events, type, function, vm, message);
    vh__bells_ring(f->bells);
}

static uint64_t machine_mib(void)
{
    struct sysinfo s;

    return sysinfo(&s) == 0 ? (uint64_t)s.totalram * s.mem_unit >> 20 : 1024;
}

static uint32_t or_else(uint32_t value, uint32_t fallback)
{
    return value ? value : fallback;
}

static struct plan_limits limits(const vh__functions_options *o)
{
    uint32_t processors = (uint32_t)VH_MAX(1, get_nprocs());

    return (struct plan_limits){ .memory_mib = o->max_memory_mib ? o->max_memory_mib : machine_mib() / 4 * 3,
                                 .instances = or_else(o->max_instances, INSTANCES_DEFAULT),
                                 .starts = or_else(o->starts, VH_MAX(4, 2 * processors)),
                                 .queue = or_else(o->queue, QUEUE_DEFAULT),
                                 .queue_all = or_else(o->queue_all, QUEUE_ALL_DEFAULT) };
}

/* Two would start everything twice and overwrite each other's files. The kernel lets go of it with the process. */
static int lock_dir(vh_functions *f, vh_error *err)
{
    f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->dir_fd < 0)
        return vh_error_set(err, -errno, "open %s", f->dir);
    if (flock(f->dir_fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno != EWOULDBLOCK)
        return vh_error_set(err, -errno, "lock %s", f->dir);
    return vh_error_set(err, VH_ESTATE, "%s: the functions there are served by another process (vhived?)", f->dir);
}

static int make(vh_functions *f, vh_error *err)
{
    int rc;

    f->dir = vh__path_join(vh_env_state_dir(f->o.env), "functions");
    if (!f->dir)
        return vh_error_set(err, -ENOMEM, "functions");
    f->alarm = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (f->alarm < 0)
        return vh_error_set(err, -errno, "functions: eventfd");
    rc = vh__pool_init(&f->starters, f->plan.limits.starts, err);
    if (rc == 0)
        rc = vh__pool_init(&f->enders, ENDERS, err);
    if (rc == 0)
        rc = vh__path_mkdirs(f->dir, 0700, err);
    if (rc == 0)
        rc = lock_dir(f, err);
    if (rc == 0)
        rc = vh__activation_start(f, err);
    if (rc == 0)
        rc = vh__deploy_load(f, err);
    return rc ? rc : vh__watch_start(f, err);
}

int vh__functions_new(const vh__functions_options *o, vh_functions **f, vh_error *err)
{
    vh_functions *n = calloc(1, sizeof(*n));
    struct plan_limits most = limits(o);
    int rc;

    if (!n)
        return vh_error_set(err, -ENOMEM, "functions");
    n->o = *o;
    n->ops = o->ops ? o->ops : &vh__functions_real_vms;
    n->alarm = n->dir_fd = -1;
    n->events.last = 1; /* the first event is 2, so that all are those after 1: after 0 would be from now on */
    pthread_mutex_init(&n->edit, NULL);
    pthread_mutex_init(&n->mutex, NULL);
    vh__plan_init(&n->plan, &most);
    rc = make(n, err);
    if (rc) {
        vh__functions_free(n);
        return rc;
    }
    *f = n;
    return 0;
}

static bool all_gone(void *arg)
{
    const vh_functions *f = arg;

    return !f->functions && !f->callers;
}

/*
 * One after the other: what one leaves to the next in turn is started by the plan, and that is carried out before the
 * next is removed.
 */
static void remove_all(vh_functions *f)
{
    struct function *fn = f->functions;

    while (fn) {
        if (fn->plan.removed) {
            fn = fn->next;
            continue;
        }
        vh__plan_remove(&f->plan, &fn->plan, vh__functions_now());
        vh__functions_act(f);
        fn = f->functions; /* it may be gone */
    }
}

/* Calls get the stop time; then instances are ended under them; then VMs are killed. */
static void end_all(vh_functions *f)
{
    vh__wait grace = vh__wait_from(NULL, or_else(f->o.stop_ms, 1));
    vh__wait rest;

    remove_all(f);
    if (vh__functions_wait(f, &grace, all_gone, f, "ending functions", NULL) == 0)
        return;
    for (struct function *fn = f->functions; fn; fn = fn->next)
        vh__plan_end(&f->plan, &fn->plan, vh__functions_now());
    vh__functions_act(f);
    rest = vh__wait_from(NULL, f->o.stop_ms + MARGIN_MS);
    while (vh__functions_wait(f, &rest, all_gone, f, "ending functions", NULL)) {
        vh__functions_kill_all(f); /* whatever blocks on a VM returns by that */
        rest = vh__wait_from(NULL, MARGIN_MS);
    }
}

void vh__functions_free(vh_functions *f)
{
    if (!f)
        return;
    vh__deploy_close(f);
    pthread_mutex_lock(&f->mutex);
    end_all(f);
    pthread_mutex_unlock(&f->mutex);
    vh__watch_stop(f);
    vh__activation_stop(f);
    vh__pool_fini(&f->starters);
    vh__pool_fini(&f->enders);
    vh__events_fini(&f->events);
    vh__fd_close(&f->alarm);
    vh__fd_close(&f->dir_fd);
    pthread_mutex_destroy(&f->mutex);
    pthread_mutex_destroy(&f->edit);
    free(f->dir);
    free(f);
}
