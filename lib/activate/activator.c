/* The thread that serves all listeners and connections. */
#include "activate_priv.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "auto.h"
#include "clock.h"
#include "log.h"
#include "thread.h"

/* Events fetched at once. */
#define EVENTS 64
/* Descriptors for all but the two of each connection. */
#define DESCRIPTORS_KEPT 512u

static bool on_loop(const vh__activator *a)
{
    return pthread_equal(a->thread, pthread_self());
}

void vh__activator_post(vh__activator *a, vh__task *task)
{
    static const uint64_t one = 1;

    if (!on_loop(a) && TAILQ_EMPTY(&a->tasks))
        vh_ignore(write(a->wake.fd, &one, sizeof(one)) < 0); /* fails only when 2^64 - 2 wake-ups are unread */
    TAILQ_INSERT_TAIL(&a->tasks, task, link);
    task->queued = true;
}

void vh__activator_run_tasks(vh__activator *a)
{
    vh__task *task;

    pthread_mutex_lock(&a->lock);
    while ((task = TAILQ_FIRST(&a->tasks))) {
        void (*run)(vh__task *) = task->run; /* a connection that is cut has another from then on */

        TAILQ_REMOVE(&a->tasks, task, link);
        task->queued = false;
        pthread_mutex_unlock(&a->lock);
        run(task);
        pthread_mutex_lock(&a->lock);
    }
    pthread_mutex_unlock(&a->lock);
}

/* A task that somebody waits for, on their stack. */
struct call {
    vh__task task;
    vh__activator *a;
    void (*fn)(void *arg);
    void *arg;
    bool done; /* under lock */
};

static void run_call(vh__task *task)
{
    struct call *call = VH_CONTAINER(task, struct call, task);
    vh__activator *a = call->a;

    call->fn(call->arg);
    pthread_mutex_lock(&a->lock);
    call->done = true;
    pthread_cond_broadcast(&a->done);
    pthread_mutex_unlock(&a->lock);
}

void vh__activator_call(vh__activator *a, void (*fn)(void *arg), void *arg)
{
    struct call call = { .task = { .run = run_call }, .a = a, .fn = fn, .arg = arg };

    if (on_loop(a)) {
        fn(arg);
        return;
    }
    pthread_mutex_lock(&a->lock);
    vh__activator_post(a, &call.task);
    while (!call.done)
        pthread_cond_wait(&a->done, &a->lock);
    pthread_mutex_unlock(&a->lock);
}

static void woken(vh__watch *w, uint32_t events)
{
    uint64_t count;

    (void)events;
    vh_ignore(read(w->fd, &count, sizeof(count)) < 0); /* tasks are run after each round of events */
}

static void tell_silence(const vh__conn *c)
{
    vh__activator *a = c->a;
    uint32_t more = 0;

    if (vh__log_paced(&a->silent, a->now_ms * VH_NS_PER_MS, &more))
        vh__log(a->opts.env, VH_LOG_WARN, "activate", NULL,
                "a connection had its instance, which accepted nothing for %u ms; last: %s (and %u before it, not told)",
                a->opts.wait_ms, vh_strerror(-c->last_error), more);
}

static void end_overdue(vh__activator *a)
{
    vh__conn *c;

    while ((c = TAILQ_FIRST(&a->timed)) && c->deadline_ms <= a->now_ms) {
        if (c->state == VH_CONN_CONNECTING)
            tell_silence(c);
        vh__conn_end(c, true);
    }
}

/* Milliseconds until something is to be done without an event, -1: nothing is. */
static int patience(const vh__activator *a)
{
    const vh__conn *first = TAILQ_FIRST(&a->timed);
    int64_t until = first ? first->deadline_ms : INT64_MAX;

    if (a->paused)
        until = VH_MIN(until, a->paused_until_ms);
    if (!TAILQ_EMPTY(&a->attempts))
        until = VH_MIN(until, a->now_ms + 1);
    if (until == INT64_MAX)
        return -1;
    return (int)VH_MIN(VH_MAX(until - a->now_ms, 0), INT_MAX);
}

static void on_time(vh__activator *a)
{
    if (a->paused && a->now_ms >= a->paused_until_ms)
        vh__listeners_resume(a);
    end_overdue(a);
    vh__conns_attempt(a);
}

static void one_round(vh__activator *a)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(a->epoll, events, EVENTS, patience(a));

    a->now_ms = vh__clock_mono_ns() / VH_NS_PER_MS;
    for (int i = 0; i < n; i++) {
        vh__watch *w = events[i].data.ptr;

        if (w->fd >= 0) /* an earlier event of this round may have closed it */
            w->ready(w, events[i].events);
    }
    on_time(a);
    vh__activator_run_tasks(a); /* last: what callbacks of this round asked for does not wake the loop */
    vh__conns_bury(a);
    vh__listeners_bury(a);
}

static void *loop(void *arg)
{
    vh__activator *a = arg;

    while (!a->stop)
        one_round(a);
    return NULL;
}

static void stop(void *arg)
{
    vh__activator *a = arg;

    while (!LIST_EMPTY(&a->listeners))
        vh__listener_close(LIST_FIRST(&a->listeners));
    while (!LIST_EMPTY(&a->conns))
        vh__conn_end(LIST_FIRST(&a->conns), true);
    a->stop = true;
}

static int open_loop(vh__activator *a, vh_error *err)
{
    int rc = 0;

    a->epoll = epoll_create1(EPOLL_CLOEXEC);
    a->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (a->epoll < 0 || a->wake.fd < 0)
        rc = -errno;
    if (!rc)
        rc = vh__watch_set(a->epoll, &a->wake, EPOLLIN);
    if (rc)
        return vh_error_set(err, rc, "activator");
    rc = vh__thread_start(&a->thread, "vh-activate", loop, a, err);
    a->have_thread = rc == 0;
    return rc;
}

/*
 * Takes no more connections than there are descriptors for: a flood of them would leave none for the pipes of those
 * that are established.
 */
static void fit_connections(vh__activator_options *o)
{
    struct rlimit limit;
    rlim_t most;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return;
    most = (limit.rlim_cur - VH_MIN(limit.rlim_cur / 2, DESCRIPTORS_KEPT)) / 2;
    if (o->max_connections <= most)
        return;
    vh__log(o->env, VH_LOG_WARN, "activate", NULL,
            "descriptors are enough for %u connections, not for %u; raise LimitNOFILE to %u", (unsigned)most,
            o->max_connections, o->max_connections * 2 + DESCRIPTORS_KEPT);
    o->max_connections = (uint32_t)most;
}

static vh__activator *alloc_activator(const vh__activator_options *o, const vh__activate_ops *ops, void *arg)
{
    vh__activator *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    a->opts = *o;
    fit_connections(&a->opts);
    a->ops = ops;
    a->arg = arg;
    a->epoll = -1;
    a->wake = (vh__watch){ .fd = -1, .ready = woken };
    a->now_ms = vh__clock_mono_ns() / VH_NS_PER_MS;
    TAILQ_INIT(&a->timed);
    TAILQ_INIT(&a->attempts);
    TAILQ_INIT(&a->tasks);
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->done, NULL);
    return a;
}

int vh__activator_new(const vh__activator_options *o, const vh__activate_ops *ops, void *arg, vh__activator **a,
                      vh_error *err)
{
    vh__activator *made = alloc_activator(o, ops, arg);
    int rc = made ? open_loop(made, err) : vh_error_set(err, -ENOMEM, "activator");

    if (rc) {
        vh__activator_free(made);
        return rc;
    }
    *a = made;
    return 0;
}

void vh__activator_free(vh__activator *a)
{
    if (!a)
        return;
    if (a->have_thread) {
        vh__activator_call(a, stop, a);
        pthread_join(a->thread, NULL);
    }
    vh__conns_bury(a);
    vh__listeners_bury(a);
    vh__pipes_fini(&a->pipes);
    vh__watch_close(&a->wake);
    vh__fd_close(&a->epoll);
    pthread_cond_destroy(&a->done);
    pthread_mutex_destroy(&a->lock);
    free(a);
}
