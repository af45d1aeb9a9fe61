/* Deploying, changing and removing functions, and their files. */
#include "deploy.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "activate.h"
#include "activation.h"
#include "auto.h"
#include "clock.h"
#include "fd.h"
#include "log.h"
#include "path.h"

/* What the last VM's end takes beyond the stop time. */
#define MARGIN_MS 5000

/* Files. Under |f->edit|, without the lock. */

static char *path_of(const vh_functions *f, const char *name)
{
    return vh__strf("%s/%s.json", f->dir, name);
}

static int store(const vh_functions *f, const struct record *r, vh_error *err)
{
    vh_auto_free char *path = path_of(f, r->spec.name);
    vh_auto_buf vh__buf text = { 0 };
    int rc;

    vh__record_print(r, &text);
    rc = path ? vh__buf_check(&text, "function", err) : vh_error_set(err, -ENOMEM, "function %s", r->spec.name);
    return rc ? rc : vh__file_write_atomic(path, text.data, text.len, 0600, err);
}

static int unstore(const vh_functions *f, const char *name, vh_error *err)
{
    vh_auto_free char *path = path_of(f, name);

    if (!path)
        return vh_error_set(err, -ENOMEM, "function %s", name);
    if (unlink(path) < 0 && errno != ENOENT)
        return vh_error_set(err, -errno, "remove %s", path);
    return vh__dir_sync(f->dir, err);
}

/* What needs the image: its digest, and what the function leaves to it. */
static int look_at_image(vh_functions *f, struct record *r, const vh_call *call, vh_error *err)
{
    vh_call bounds = { .size = sizeof(bounds), .timeout_ms = f->o.pull_ms };
    int rc;

    if (call)
        memcpy(&bounds, call, VH_MIN(call->size, sizeof(bounds)));
    if (!bounds.timeout_ms)
        bounds.timeout_ms = f->o.pull_ms;
    rc = vh_image_open(f->o.images, r->spec.image, &bounds, &r->image, err);
    if (rc == 0)
        rc = vh_image_check_runnable(r->image, err);
    if (rc)
        return vh_error_wrap(err, rc, "function %s", r->spec.name);
    snprintf(r->image_digest, sizeof(r->image_digest), "%s", vh_image_digest(r->image));
    if (!r->spec.port)
        r->spec.port = vh_image_config_get(r->image)->port;
    return r->spec.port ? 0 : vh_error_set(err, VH_EINVALID, "function %s: port: the image exposes none, so it has to "
                                           "be named (--port)", r->spec.name);
}

static void fill_from_settings(const vh_functions *f, struct record *r)
{
    r->spec.memory_mib = r->spec.memory_mib ? r->spec.memory_mib : f->o.memory_mib;
    r->spec.cpus = r->spec.cpus ? r->spec.cpus : f->o.cpus;
}

/* The least instances of all functions have to fit at once, |r| in place of what its name has now. With the lock. */
static int check_budget(const vh_functions *f, const struct record *r, vh_error *err)
{
    const struct plan_limits *most = &f->plan.limits;
    uint64_t memory = (uint64_t)r->spec.min * r->spec.memory_mib, instances = r->spec.min;

    for (const struct function *fn = f->functions; fn; fn = fn->next)
        if (!fn->plan.removed && strcmp(fn->record->spec.name, r->spec.name) != 0) {
            memory += (uint64_t)fn->record->spec.min * fn->record->spec.memory_mib;
            instances += fn->record->spec.min;
        }
    if (r->spec.memory_mib > most->memory_mib)
        return vh_error_set(err, VH_ELIMIT, "function %s: its %u MiB are more than the %llu MiB of all (budget.memory)",
                            r->spec.name, r->spec.memory_mib, (unsigned long long)most->memory_mib);
    if (memory > most->memory_mib && r->spec.min)
        return vh_error_set(err, VH_ELIMIT, "function %s: the least instances of all functions would take %llu MiB, "
                            "more than the %llu MiB (budget.memory)", r->spec.name, (unsigned long long)memory,
                            (unsigned long long)most->memory_mib);
    if (instances > most->instances && r->spec.min)
        return vh_error_set(err, VH_ELIMIT, "function %s: the least instances of all functions would be %llu, more "
                            "than %u (budget.instances)", r->spec.name, (unsigned long long)instances, most->instances);
    return 0;
}

/* What |r| takes over from |old|, if that is deployed. With the lock. */
static bool succeed(const struct record *old, struct record *r)
{
    bool same = old && vh__record_same_revision(old, r);

    r->revision = !old ? 1 : same ? old->revision : old->revision + 1;
    r->deployed_ns = same ? old->deployed_ns : vh__clock_real_ns();
    if (old && (strcmp(old->spec.address, r->spec.address) == 0 || strcmp(old->listen, r->spec.address) == 0))
        strcpy(r->listen, old->listen);
    return same;
}

/* With the lock. */
static void replace(vh_functions *f, struct function *fn, struct record *r, bool same)
{
    struct plan_settings set = vh__function_settings(f, r);

    if (same && !r->image)
        r->image = vh_steal_ptr(fn->record->image); /* after scaling it is as much needed as before */
    vh__record_drop(fn->record);
    fn->record = r;
    if (!same)
        fn->snapshot[0] = '\0';
    vh__plan_set(&f->plan, &fn->plan, &set, !same, vh__functions_now());
}

/* Without the lock. What it has for an address that stays is kept; on success an older listener is closed. */
static int listen_for(vh_functions *f, struct function *fn, struct record *r, vh_error *err)
{
    struct vh__listener *listener = NULL;
    int rc = 0;

    if (!fn->listener || strcmp(r->listen, vh__listener_address(fn->listener)) != 0)
        rc = vh__activation_listen(f, r, fn, &listener, err);
    if (rc || !listener)
        return rc;
    vh__listener_close(fn->listener);
    fn->listener = listener;
    return 0;
}

/*
 * Under |f->edit|, so nobody else changes what is deployed; the lock is given up for the socket and the file. An older
 * revision's address is gone once the new one listens, whatever fails then. Takes |r| on success.
 */
static int publish(vh_functions *f, struct function *fn, struct record *r, bool same, vh_error *err)
{
    int rc = listen_for(f, fn, r, err);

    if (rc == 0)
        rc = store(f, r, err);
    if (rc)
        return rc;
    pthread_mutex_lock(&f->mutex);
    replace(f, fn, r, same);
    vh__functions_tell(f, "function.deployed", r->spec.name, "", "revision %u", r->revision);
    vh__functions_act(f);
    pthread_mutex_unlock(&f->mutex);
    return 0;
}

/* Without the lock. A function that could not be published never was. */
static void take_back(vh_functions *f, struct function *fn)
{
    vh__listener_close(vh_steal_ptr(fn->listener));
    pthread_mutex_lock(&f->mutex);
    vh__plan_remove(&f->plan, &fn->plan, vh__functions_now());
    vh__functions_act(f);
    pthread_mutex_unlock(&f->mutex);
}

/* With the lock. A new function starts without instances, until it is published. */
static int add_empty(vh_functions *f, struct record *r, struct function **fn, vh_error *err)
{
    struct plan_settings set = vh__function_settings(f, r);
    int rc = vh__function_new(f, r, fn, err);

    if (rc)
        return rc;
    vh__record_hold(r);
    set.min = 0;
    vh__plan_add(&f->plan, &(*fn)->plan, &set, vh__functions_now());
    return 0;
}

/* Under |f->edit|. Takes |r| on success. VH_ENOTFOUND: only what is deployed already |must_be|, and it is not. */
static int apply(vh_functions *f, struct record *r, bool must_be, vh_error *err)
{
    struct function *fn, *made = NULL;
    bool same;
    int rc;

    pthread_mutex_lock(&f->mutex);
    fn = vh__function_find(f, r->spec.name, must_be ? err : NULL);
    same = succeed(fn ? fn->record : NULL, r) || !fn;
    rc = fn || !must_be ? check_budget(f, r, err) : VH_ENOTFOUND;
    if (rc == 0 && !fn)
        rc = add_empty(f, r, &made, err);
    pthread_mutex_unlock(&f->mutex);
    if (rc == 0)
        rc = publish(f, fn ? fn : made, r, same, err);
    if (rc && made)
        take_back(f, made);
    return rc;
}

/* After it could not be applied; a listing may still hold it. */
static void drop(vh_functions *f, struct record *r)
{
    pthread_mutex_lock(&f->mutex);
    vh__record_drop(r);
    pthread_mutex_unlock(&f->mutex);
}

static bool is_deployed(vh_functions *f, const char *name, vh_error *err)
{
    bool is;

    pthread_mutex_lock(&f->mutex);
    is = vh__function_find(f, name, err) != NULL;
    pthread_mutex_unlock(&f->mutex);
    return is;
}

/* It may have been removed while its image was pulled: an update does not bring it back. */
static int deploy(vh_functions *f, const vh_function_spec *spec, bool update, const vh_call *call, vh_error *err)
{
    struct record *r;
    int rc = vh__record_new(spec, &r, err);

    if (rc)
        return rc;
    fill_from_settings(f, r);
    rc = look_at_image(f, r, call, err);
    if (rc == 0) {
        pthread_mutex_lock(&f->edit);
        rc = apply(f, r, update, err);
        pthread_mutex_unlock(&f->edit);
    }
    if (rc)
        drop(f, r);
    return rc;
}

int vh_functions_deploy(vh_functions *f, const vh_function_spec *spec, const vh_call *call, vh_error *err)
{
    return deploy(f, spec, false, call, err);
}

int vh_functions_update(vh_functions *f, const vh_function_spec *spec, const vh_call *call, vh_error *err)
{
    int rc = vh__record_check(spec, err);

    if (rc)
        return rc;
    return is_deployed(f, spec->name, err) ? deploy(f, spec, true, call, err) : VH_ENOTFOUND;
}

/* A copy of what is deployed as |name|. Under |f->edit|. */
static int copy_deployed(vh_functions *f, const char *name, struct record **copy, vh_error *err)
{
    struct function *fn;
    int rc = VH_ENOTFOUND;

    pthread_mutex_lock(&f->mutex);
    fn = vh__function_find(f, name, err);
    if (fn)
        rc = vh__record_new(&fn->record->spec, copy, err);
    if (rc == 0) {
        strcpy((*copy)->image_digest, fn->record->image_digest);
        strcpy((*copy)->listen, fn->record->listen);
    }
    pthread_mutex_unlock(&f->mutex);
    return rc;
}

static int scale(vh_functions *f, const char *name, uint32_t min, uint32_t max, vh_error *err)
{
    struct record *r = NULL;
    int rc = copy_deployed(f, name, &r, err);

    if (rc)
        return rc;
    r->spec.min = min;
    r->spec.max = max ? max : r->spec.max;
    rc = vh__record_check(&r->spec, err);
    if (rc == 0)
        rc = apply(f, r, true, err);
    if (rc)
        drop(f, r);
    return rc;
}

int vh_functions_scale(vh_functions *f, const char *name, uint32_t min, uint32_t max, vh_error *err)
{
    int rc;

    pthread_mutex_lock(&f->edit);
    rc = scale(f, name, min, max, err);
    pthread_mutex_unlock(&f->edit);
    return rc;
}

/* The name is free from here on. Under |f->edit|; |*fn| is used until the caller lets go. */
static int take_out(vh_functions *f, const char *name, struct function **fn, vh_error *err)
{
    int rc = is_deployed(f, name, err) ? unstore(f, name, err) : VH_ENOTFOUND;

    if (rc)
        return rc;
    pthread_mutex_lock(&f->mutex);
    *fn = vh__function_find(f, name, err);
    vh__function_use(*fn);
    pthread_mutex_unlock(&f->mutex);
    vh__listener_close(vh_steal_ptr((*fn)->listener)); /* it waits for the loop, which may wait for the lock */
    pthread_mutex_lock(&f->mutex);
    vh__functions_tell(f, "function.removed", name, "", "%s", "");
    vh__plan_remove(&f->plan, &(*fn)->plan, vh__functions_now());
    vh__functions_act(f);
    pthread_mutex_unlock(&f->mutex);
    return 0;
}

static bool is_gone(void *arg)
{
    return ((struct function *)arg)->gone;
}

/* With the lock. Calls get the stop time; whatever happens then, the instances are on their way out. */
static int see_out(vh_functions *f, struct function *fn, const vh__wait *w, vh_error *err)
{
    vh__wait grace = vh__wait_within(w, f->o.stop_ms);
    int rc = vh__functions_wait(f, &grace, is_gone, fn, "calls under way", NULL);

    if (rc == 0)
        return 0;
    vh__plan_end(&f->plan, &fn->plan, vh__functions_now());
    vh__functions_act(f);
    return vh__functions_wait(f, w, is_gone, fn, "instances of the removed function to end", err);
}

int vh_functions_remove(vh_functions *f, const char *name, const vh_call *call, vh_error *err)
{
    vh__wait w = vh__wait_from(call, 2 * f->o.stop_ms + MARGIN_MS);
    struct function *fn;
    int rc;

    pthread_mutex_lock(&f->edit);
    rc = take_out(f, name, &fn, err);
    pthread_mutex_unlock(&f->edit);
    if (rc)
        return rc;
    pthread_mutex_lock(&f->mutex);
    rc = see_out(f, fn, &w, err);
    vh__function_unuse(fn);
    pthread_mutex_unlock(&f->mutex);
    return rc;
}

/* Loading, when nobody else is there yet. */

/*
 * A function whose address somebody else has taken stays without: it can be invoked and deployed anew, and others need
 * not suffer. Takes |r| on success.
 */
static int restart(vh_functions *f, struct record *r, vh_error *err)
{
    struct plan_settings set = vh__function_settings(f, r);
    struct function *fn;
    vh_error why = { 0 };
    int rc;

    pthread_mutex_lock(&f->mutex);
    rc = vh__function_new(f, r, &fn, err);
    if (rc == 0)
        vh__plan_add(&f->plan, &fn->plan, &set, vh__functions_now());
    vh__functions_act(f);
    pthread_mutex_unlock(&f->mutex);
    if (rc == 0 && vh__activation_listen(f, r, fn, &fn->listener, &why))
        vh__log(f->o.env, VH_LOG_ERROR, "fn", NULL, "%s: it cannot be connected to", why.msg);
    return rc;
}

static int load_one(vh_functions *f, const char *file, const char *path, vh_error *err)
{
    vh_auto_buf vh__buf text = { 0 };
    struct record *r = NULL;
    int rc = vh__file_read(path, VH_RECORD_MAX, &text, err);

    if (rc == 0)
        rc = vh__record_parse(text.data ? text.data : "", text.len, &r, err);
    if (rc == 0 && (strncmp(file, r->spec.name, strlen(r->spec.name)) != 0 ||
                    strcmp(file + strlen(r->spec.name), ".json") != 0))
        rc = vh_error_set(err, VH_EINVALID, "function: its name, %s, is not that of its file", r->spec.name);
    if (rc) {
        vh__record_drop(r);
        return rc;
    }
    rc = restart(f, r, err);
    if (rc)
        vh__record_drop(r);
    return rc;
}

/* One bad file is no reason to do without all the others. What only could not be read now may be good. */
static void set_aside(const vh_functions *f, const char *path, const vh_error *why)
{
    bool read = why->code == VH_EINVALID || why->code == VH_ELIMIT || why->code == VH_EPROTOCOL;
    vh_auto_free char *aside = read ? vh__strf("%s.bad", path) : NULL;

    if (aside && rename(path, aside) == 0)
        vh__log(f->o.env, VH_LOG_ERROR, "fn", NULL, "%s cannot be used (%s) and was set aside as %s", path, why->msg,
                aside);
    else
        vh__log(f->o.env, VH_LOG_ERROR, "fn", NULL, "%s is not served, and stays: %s", path, why->msg);
}

static bool is_record(const char *file)
{
    size_t n = strlen(file);

    return n > 5 && file[0] != '.' && strcmp(file + n - 5, ".json") == 0;
}

int vh__deploy_load(vh_functions *f, vh_error *err)
{
    vh_auto_dir DIR *dir = opendir(f->dir);
    const struct dirent *e;
    int rc = dir ? 0 : vh_error_set(err, -errno, "open %s", f->dir);

    while (rc == 0 && (e = readdir(dir))) {
        vh_auto_free char *path = vh__path_join(f->dir, e->d_name);
        vh_error why = { 0 };

        if (!is_record(e->d_name))
            continue;
        rc = path ? load_one(f, e->d_name, path, &why) : vh_error_set(&why, -ENOMEM, "functions");
        if (rc && rc != -ENOMEM) {
            set_aside(f, path, &why);
            rc = 0;
        } else if (rc && err) {
            *err = why;
        }
    }
    return rc;
}

/* One that is open; NULL: none is. Under the lock, since functions that were removed may still be going. */
static struct vh__listener *take_listener(vh_functions *f)
{
    struct vh__listener *listener = NULL;

    pthread_mutex_lock(&f->mutex);
    for (struct function *fn = f->functions; fn && !listener; fn = fn->next)
        listener = vh_steal_ptr(fn->listener);
    pthread_mutex_unlock(&f->mutex);
    return listener;
}

void vh__deploy_close(vh_functions *f)
{
    struct vh__listener *listener;

    pthread_mutex_lock(&f->edit);
    while ((listener = take_listener(f)))
        vh__listener_close(listener); /* without the lock: it waits for the loop, which may wait for that */
    pthread_mutex_unlock(&f->edit);
}
