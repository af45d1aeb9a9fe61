/* Listings: copied under the lock, handed out without it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "fn_priv.h"

const char *vh_instance_state_name(vh_instance_state state)
{
    static const char *const names[] = { "starting", "ready", "draining", "paused", "stopping" };

    return (unsigned)state < VH_ARRAY_LEN(names) ? names[state] : "";
}

/* A function in a listing, with what its strings are borrowed from. */
struct row {
    vh_function_info info;
    struct record *record;
    char snapshot[VH_SNAPSHOT_ID], last_error[VH_ERROR_MSG];
};

static void fill_row(struct row *row, const struct function *fn)
{
    const struct plan_function *p = &fn->plan;
    vh_function_info *i = &row->info;

    *i = (vh_function_info){ .size = sizeof(*i), .spec = fn->record->spec, .revision = p->revision,
                             .deployed_ns = fn->record->deployed_ns, .active = p->active,
                             .waiting = p->waiting.n + p->beside.n, .served = p->served, .started = p->started,
                             .failed = p->failed };
    for (const struct plan_instance *n = p->first; n; n = n->next) {
        i->instances += n->state != PLAN_DOWN;
        i->ready += n->state == PLAN_READY && !n->paused && !n->dead;
    }
    row->record = fn->record;
    vh__record_hold(row->record);
    i->image_digest = row->record->image_digest;
    i->address = row->record->listen;
    i->snapshot = strcpy(row->snapshot, fn->snapshot);
    i->last_error = strcpy(row->last_error, fn->last_error);
}

/* Rows of |name|, NULL: of all. With the lock. The caller frees them, and drops their records. */
static int copy_rows(vh_functions *f, const char *name, struct row **rows, size_t *n, vh_error *err)
{
    size_t count = 0;

    if (name && !vh__function_find(f, name, err))
        return VH_ENOTFOUND;
    for (const struct function *fn = f->functions; fn; fn = fn->next)
        count++;
    *rows = calloc(count + 1, sizeof(**rows));
    if (!*rows)
        return vh_error_set(err, -ENOMEM, "listing of functions");
    *n = 0;
    for (const struct function *fn = f->functions; fn; fn = fn->next)
        if (!fn->plan.removed && (!name || strcmp(name, fn->record->spec.name) == 0))
            fill_row(&(*rows)[(*n)++], fn);
    return 0;
}

static void drop_rows(vh_functions *f, const struct row *rows, size_t n)
{
    pthread_mutex_lock(&f->mutex);
    for (size_t i = 0; i < n; i++)
        vh__record_drop(rows[i].record);
    pthread_mutex_unlock(&f->mutex);
}

int vh_functions_list(vh_functions *f, const char *name, vh_function_fn each, void *arg, vh_error *err)
{
    vh_auto_free struct row *rows = NULL;
    size_t n = 0;
    int rc;

    pthread_mutex_lock(&f->mutex);
    rc = copy_rows(f, name, &rows, &n, err);
    pthread_mutex_unlock(&f->mutex);
    for (size_t i = 0; i < n && each(&rows[i].info, arg); i++)
        ;
    drop_rows(f, rows, n);
    return rc;
}

static vh_instance_state state_of(const struct plan_instance *i)
{
    switch (i->state) {
    case PLAN_STARTING:
        return VH_INSTANCE_STARTING;
    case PLAN_READY:
        return i->paused ? VH_INSTANCE_PAUSED : VH_INSTANCE_READY;
    case PLAN_DRAINING:
        return VH_INSTANCE_DRAINING;
    default:
        return VH_INSTANCE_STOPPING;
    }
}

static void fill_instance(vh_instance_info *info, const struct plan_instance *i)
{
    *info = ((const struct body *)i->body)->info;
    info->state = state_of(i);
    info->active = i->active;
    info->served = i->served;
}

static bool is_listed(const struct function *fn, const char *name, const struct plan_instance *i)
{
    return i->state != PLAN_DOWN && i->body && (!name || strcmp(name, fn->record->spec.name) == 0);
}

static int by_age(const void *a, const void *b)
{
    const vh_instance_info *x = a, *y = b;

    return x->started_ns < y->started_ns ? -1 : x->started_ns > y->started_ns;
}

static int copy_instances(vh_functions *f, const char *name, vh_instance_info **infos, size_t *n, vh_error *err)
{
    if (name && !vh__function_find(f, name, err))
        return VH_ENOTFOUND;
    *infos = calloc(f->plan.instances + 1, sizeof(**infos));
    if (!*infos)
        return vh_error_set(err, -ENOMEM, "listing of instances");
    for (const struct function *fn = f->functions; fn; fn = fn->next)
        for (const struct plan_instance *i = fn->plan.first; i; i = i->next)
            if (is_listed(fn, name, i))
                fill_instance(&(*infos)[(*n)++], i);
    return 0;
}

int vh_functions_instances(vh_functions *f, const char *name, vh_instance_fn each, void *arg, vh_error *err)
{
    vh_auto_free vh_instance_info *infos = NULL;
    size_t n = 0;
    int rc;

    pthread_mutex_lock(&f->mutex);
    rc = copy_instances(f, name, &infos, &n, err);
    pthread_mutex_unlock(&f->mutex);
    if (n)
        qsort(infos, n, sizeof(*infos), by_age);
    for (size_t i = 0; i < n && each(&infos[i], arg); i++)
        ;
    return rc;
}
