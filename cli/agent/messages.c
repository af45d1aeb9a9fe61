#include "agent_priv.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>

#include "mounts.h"
#include "net.h"
#include "settle.h"

void messages_fault(struct agent *a, const struct fault *f)
{
    vh__agent_msg m = { .type = VH_AGENT_ERROR, .error = { .stage = f->stage, .text = f->text } };

    say("%s: %s", f->stage, f->text);
    (void)channel_send(&a->ch, &m); /* without room the console line has to do */
}

/* The guest's part of START: everything but the function. */
static int set_up(struct agent *a, const vh__agent_start *s, struct fault *f)
{
    a->stop_signal = s->stop_signal ? s->stop_signal : SIGTERM;
    if (clone_refresh(&a->clone, s->realtime_ns, s->seed, f) < 0 || net_configure(s, f) < 0 ||
        mounts_enter_root(s->tmpfs_bytes, f) < 0 || net_write_files(s, f) < 0)
        return -1;
    return clone_prepare(&a->clone, &s->env, &s->late_env, f);
}

static int start(struct agent *a, const vh__agent_start *s, struct fault *f)
{
    vh__agent_msg m = { .type = VH_AGENT_STARTED };

    if (s->port > 65535)
        return fault_set(f, "start", "port %u is above 65535", s->port);
    if (set_up(a, s, f) < 0 || function_start(&a->fn, s, f) < 0)
        return -1;
    for (int i = 0; i < 2; i++)
        if (agent_watch(a, a->fn.streams[i].fd, EPOLLIN | EPOLLET, EVENT_STDOUT + (unsigned)i) < 0)
            return fault_set(f, "start", "watch its output: %m");
    m.started.pid = (uint32_t)a->fn.pid;
    (void)channel_send(&a->ch, &m); /* there is room: little was sent so far */
    probe_init(&a->probe, s->guest_ip, (uint16_t)s->port);
    a->probing = s->port != 0;
    if (!a->probing)
        (void)channel_send(&a->ch, &(vh__agent_msg){ .type = VH_AGENT_READY }); /* as above */
    return 0;
}

static void handle_start(struct agent *a, const vh__agent_start *s)
{
    struct fault f;

    if (a->started) {
        (void)fault_set(&f, "start", "START came twice");
        messages_fault(a, &f);
        return;
    }
    a->started = true;
    if (start(a, s, &f) < 0) {
        messages_fault(a, &f);
        agent_leave(a, &(vh__agent_exited){ .code = (uint32_t)f.code });
    }
}

static void pong(struct agent *a)
{
    vh__agent_msg m = { .type = VH_AGENT_PONG };

    m.pong.generation = a->generation;
    m.pong.realtime_ns = clone_realtime_ns();
    (void)channel_send(&a->ch, &m); /* messages are taken only while there is room to answer */
}

/* Starts |path|; a hook that cannot be started has failed. */
static void run_hook(struct agent *a, const char *path)
{
    struct fault f;

    if (hook_start(&a->hook, path, &a->fn, a->generation, a->epoll_fd, EVENT_HOOK, &f) < 0)
        messages_fault(a, &f);
}

static void handle_restored(struct agent *a, const vh__agent_restored *r)
{
    struct fault f;

    a->generation = r->generation;
    a->quiesced = false;
    if (clone_refresh(&a->clone, r->realtime_ns, r->seed, &f) < 0 ||
        clone_publish(&a->clone, r->generation, &a->fn.env, &r->env, &f) < 0) {
        messages_fault(a, &f); /* one that is its twin's double must not serve */
        agent_leave(a, &(vh__agent_exited){ .code = (uint32_t)f.code });
    } else if (a->has_post_restore) {
        run_hook(a, HOOK_POST_RESTORE);
    } else {
        pong(a);
    }
}

/* No process of the host's shall be in a snapshot: clones would not know whose it is. */
static void fall_silent(struct agent *a)
{
    exec_kill_all(&a->execs, &a->ch);
    a->has_post_restore = hook_exists(HOOK_POST_RESTORE);
    hook_read_ahead(HOOK_POST_RESTORE);
    settle();
    if (function_is_over(&a->fn))
        return; /* its end is told instead: a snapshot of it would be of no use */
    agent_pump_output(a); /* else every clone would say it again */
    a->quiesced = true;
    (void)channel_send(&a->ch, &(vh__agent_msg){ .type = VH_AGENT_QUIESCED }); /* room: as for pong() */
}

static void handle_quiesce(struct agent *a)
{
    if (hook_exists(HOOK_PRE_SNAPSHOT))
        run_hook(a, HOOK_PRE_SNAPSHOT);
    else
        fall_silent(a);
}

void messages_hook_over(struct agent *a, const char *path, int rc, const struct fault *f)
{
    if (rc < 0)
        messages_fault(a, f);
    else if (strcmp(path, HOOK_POST_RESTORE) == 0)
        pong(a);
    else
        fall_silent(a);
}

static void handle_exec(struct agent *a, const vh__agent_msg *m)
{
    static const vh__agent_exec_exited none = { .code = VH_AGENT_EXIT_GUEST, .text = "the function does not run" };
    struct fault f;

    if (m->type == VH_AGENT_EXEC && (a->fn.pid == 0 || a->leaving || a->quiesced))
        (void)channel_send(&a->ch, &(vh__agent_msg){ .type = VH_AGENT_EXEC_EXITED, .stream = m->stream,
                                                     .exec_exited = none }); /* room: as for pong() */
    else if (!exec_handle(&a->execs, m, &a->fn, a->epoll_fd, EVENT_EXEC, &a->ch, &f))
        messages_fault(a, &f);
}

static void signal_function(struct agent *a, uint32_t number)
{
    struct fault f;

    if (a->fn.pid > 0 && !a->fn.ended && kill(a->fn.pid, (int)number) < 0) {
        (void)fault_set(&f, "signal", "send signal %u: %m", number);
        messages_fault(a, &f);
    }
}

static void handle_stop(struct agent *a, uint32_t number, uint32_t grace_ms)
{
    if (a->fn.pid == 0 || a->told) {
        a->off = true; /* nothing to stop, or the host has read that it is over */
        return;
    }
    signal_function(a, number ? number : a->stop_signal);
    a->kill_at_ns = now_ns() + grace_ms * NS_PER_MS;
}

static void handle(struct agent *a, const vh__agent_msg *m)
{
    struct fault f;

    switch (m->type) {
    case VH_AGENT_START:
        handle_start(a, &m->start);
        break;
    case VH_AGENT_QUIESCE:
        handle_quiesce(a);
        break;
    case VH_AGENT_RESUMED:
        hook_abort(&a->hook); /* the host has not waited for it: it must not end in silence */
        a->quiesced = false;
        break;
    case VH_AGENT_RESTORED:
        handle_restored(a, &m->restored);
        break;
    case VH_AGENT_SIGNAL:
        signal_function(a, m->signal.number);
        break;
    case VH_AGENT_STOP:
        handle_stop(a, m->stop.signal, m->stop.grace_ms);
        break;
    case VH_AGENT_PING:
        pong(a);
        break;
    case VH_AGENT_ADJUST:
        if (clone_adjust(m->adjust.delta_ns, &f) < 0)
            messages_fault(a, &f);
        break;
    default: /* the decoder lets only the host's types pass */
        handle_exec(a, m);
        break;
    }
}

bool messages_handle(struct agent *a)
{
    vh__agent_msg m;
    struct fault f;
    int rc;

    if (channel_room(&a->ch) < CHANNEL_RESERVE / 2)
        return false;
    rc = channel_receive(&a->ch, &m, &f);
    if (rc > 0)
        handle(a, &m);
    if (rc < 0 && !a->leaving) {
        /* a host that does not keep to the protocol cannot be served, and must not be waited for */
        messages_fault(a, &f);
        agent_leave(a, &(vh__agent_exited){ .code = VH_AGENT_EXIT_GUEST });
    }
    return rc > 0;
}
