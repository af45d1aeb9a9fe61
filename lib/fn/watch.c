/*
 * The watcher: a thread that tells the plan of time that passed, and of VMs that ended by themselves.
 */
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "auto.h"
#include "clock.h"
#include "fn_priv.h"
#include "log.h"
#include "thread.h"

/* Without memory for as much as the alarm. */
#define BLIND_MS 100

/* What is waited for: the alarm, and the instances nobody else is at. */
struct watched {
    struct pollfd *fds;
    uint64_t *serials;
    size_t n, room;
};

void vh__watch_wake(vh_functions *f)
{
    uint64_t one = 1;

    vh_ignore(write(f->alarm, &one, sizeof(one)) < 0); /* it fails only if it has been rung often enough */
}

static bool is_watched(const struct plan_instance *i)
{
    return (i->state == PLAN_READY || i->state == PLAN_DRAINING) && !i->op && !i->dead;
}

static bool grow(struct watched *w)
{
    size_t room = w->room ? 2 * w->room : 16;
    struct pollfd *fds = realloc(w->fds, room * sizeof(*fds));
    uint64_t *serials;

    if (fds)
        w->fds = fds;
    serials = fds ? realloc(w->serials, room * sizeof(*serials)) : NULL;
    if (!serials)
        return false;
    w->serials = serials;
    w->room = room;
    return true;
}

static bool watch_fd(struct watched *w, int fd, uint64_t serial)
{
    if (w->n == w->room && !grow(w))
        return false;
    w->fds[w->n] = (struct pollfd){ .fd = fd, .events = POLLIN };
    w->serials[w->n++] = serial;
    return true;
}

/* Short of memory, some are not looked at this time. */
static void collect(const vh_functions *f, struct watched *w)
{
    bool ok;

    w->n = 0;
    ok = watch_fd(w, f->alarm, 0);
    for (struct function *fn = f->functions; ok && fn; fn = fn->next)
        for (struct plan_instance *i = fn->plan.first; ok && i; i = i->next)
            if (is_watched(i)) {
                const struct body *b = i->body;

                ok = watch_fd(w, f->ops->event_fd(b->vm), b->serial);
            }
}

static struct plan_instance *find(const vh_functions *f, uint64_t serial)
{
    for (struct function *fn = f->functions; fn; fn = fn->next)
        for (struct plan_instance *i = fn->plan.first; i; i = i->next)
            if (is_watched(i) && ((struct body *)i->body)->serial == serial)
                return i;
    return NULL;
}

void vh__watch_lost(struct body *b, const vh_vm_exit *exit)
{
    vh_functions *f = b->fn->f;

    vh__log(f->o.env, VH_LOG_WARN, "fn", b->info.vm, "function %s: an instance ended by itself: %s",
            b->record->spec.name, exit->reason);
    vh__functions_tell(f, "instance.died", b->record->spec.name, b->info.vm, "%s", exit->reason);
    vh__plan_lost(&f->plan, b->inst, false, vh__functions_now());
}

/* It may have gone, or got something to do, while nobody held the lock. */
static void look_at(vh_functions *f, uint64_t serial)
{
    struct plan_instance *i = find(f, serial);
    struct body *b = i ? i->body : NULL;
    vh_vm_exit exit = { 0 };

    if (b && f->ops->ended(b->vm, &exit))
        vh__watch_lost(b, &exit);
}

static int timeout_ms(int64_t until)
{
    int64_t left;

    if (until == INT64_MAX)
        return -1;
    left = (until - vh__functions_now() + VH_NS_PER_MS - 1) / VH_NS_PER_MS;
    return (int)VH_MAX(0, VH_MIN(left, INT_MAX));
}

/* With the lock, which is given up for the sleep. */
static void sleep_once(vh_functions *f, struct watched *w)
{
    uint64_t rung;
    int ms;

    f->sleeping_until = vh__plan_wake_ns(&f->plan, vh__functions_now());
    ms = timeout_ms(f->sleeping_until);
    collect(f, w);
    pthread_mutex_unlock(&f->mutex);
    vh_ignore(poll(w->fds, w->n, w->n ? ms : BLIND_MS) < 0); /* EINTR: looked at again */
    vh_ignore(read(f->alarm, &rung, sizeof(rung)) < 0); /* non-blocking */
    pthread_mutex_lock(&f->mutex);
}

static void *watch(void *arg)
{
    vh_functions *f = arg;
    struct watched w = { 0 };

    pthread_mutex_lock(&f->mutex);
    while (f->watching) {
        sleep_once(f, &w);
        for (size_t k = 1; k < w.n; k++)
            if (w.fds[k].revents)
                look_at(f, w.serials[k]);
        vh__plan_tick(&f->plan, vh__functions_now());
        vh__functions_act(f);
    }
    pthread_mutex_unlock(&f->mutex);
    free(w.fds);
    free(w.serials);
    return NULL;
}

int vh__watch_start(vh_functions *f, vh_error *err)
{
    int rc;

    f->watching = true;
    rc = vh__thread_start(&f->watcher, "vh-functions", watch, f, err);
    if (rc)
        f->watching = false;
    return rc;
}

void vh__watch_stop(vh_functions *f)
{
    bool watching;

    pthread_mutex_lock(&f->mutex);
    watching = f->watching;
    f->watching = false;
    pthread_mutex_unlock(&f->mutex);
    if (!watching)
        return;
    vh__watch_wake(f);
    pthread_join(f->watcher, NULL);
}
