/* The guest's side of the story: what the agent says, and what is said to it. */
#include "shim_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"

static void take_output(struct shim *s, const vh__agent_msg *m)
{
    struct output *o = &s->out[m->stream == VH_AGENT_STDERR];

    vh__ring_put(&s->said, m->output.data, m->output.len);
    output_put(o, m->output.data, m->output.len);
}

static void take_error(struct guest *g, const vh__agent_msg *m)
{
    char text[448];

    snprintf(g->error, sizeof(g->error), "%.32s: %s", m->error.stage,
             vh__agent_printable(m->error.text, text, sizeof(text)));
    g->hook_failed |= strcmp(m->error.stage, VH_AGENT_HOOK) == 0;
}

/* The way of PONG itself takes a millisecond or two: that is as well as it can be known. */
#define CLOCK_OFF_MIN_NS (2 * VH_NS_PER_MS)

/* Mends the guest's clock, once, by how far PONG shows it to be behind ours: it was told the time late, or not at all. */
static int take_pong(struct shim *s, const vh__agent_msg *m, vh_error *err)
{
    int64_t off;

    s->guest.pongs++;
    if (!s->guest.mend_clock || __builtin_sub_overflow(vh__clock_real_ns(), m->pong.realtime_ns, &off))
        return 0; /* no clock says that: there is nothing to mend */
    s->guest.mend_clock = false;
    if (off > -CLOCK_OFF_MIN_NS && off < CLOCK_OFF_MIN_NS)
        return 0;
    return guest_queue(s, &(vh__agent_msg){ .type = VH_AGENT_ADJUST, .adjust = { .delta_ns = off } }, err);
}

int guest_message(struct shim *s, const vh__agent_msg *m, vh_error *err)
{
    struct guest *g = &s->guest;

    switch (m->type) {
    case VH_AGENT_HELLO:
        g->hello = true;
        break;
    case VH_AGENT_READY:
        g->ready = true;
        break;
    case VH_AGENT_OUTPUT:
        take_output(s, m);
        break;
    case VH_AGENT_EXITED:
        g->exited = true;
        g->exit = m->exited;
        break;
    case VH_AGENT_ERROR:
        take_error(g, m);
        break;
    case VH_AGENT_PONG:
        return take_pong(s, m, err);
    case VH_AGENT_QUIESCED:
        g->quiesced = true;
        break;
    case VH_AGENT_EXEC_STDOUT:
    case VH_AGENT_EXEC_STDERR:
    case VH_AGENT_EXEC_TAKEN:
    case VH_AGENT_EXEC_EXITED:
        return clients_take(s, m, err);
    default: /* STARTED and LOG: nothing depends on them; others do not pass the decoder */
        break;
    }
    return 0;
}

int guest_hook_error(const struct shim *s, vh_error *err)
{
    return vh_error_set(err, VH_EGUEST, "the image's %s", s->guest.error);
}

int guest_exit_error(const struct shim *s, vh_error *err)
{
    const struct guest *g = &s->guest;
    char words[448], how[64];

    if (g->error[0])
        return vh_error_set(err, VH_EGUEST, "the guest could not run the function: %s", g->error);
    if (g->exit.signal)
        snprintf(how, sizeof(how), "was killed by signal %u%s", g->exit.signal, g->exit.oom ? " (out of memory)" : "");
    else
        snprintf(how, sizeof(how), "exited with code %u", g->exit.code);
    vh__ring_tail(&s->said, words, sizeof(words));
    return vh_error_set(err, VH_EGUEST, "the function %s; its last lines: %s", how, words[0] ? words : "(none)");
}

int guest_queue(struct shim *s, const vh__agent_msg *m, vh_error *err)
{
    return vh__agent_append(&s->to_agent, m, err);
}

int guest_flush(struct shim *s, vh_error *err)
{
    ssize_t put;

    if (s->vmm->agent_fd < 0)
        return vh_error_set(err, VH_EVMM, "agent channel is closed");
    put = send(s->vmm->agent_fd, s->to_agent.data, s->to_agent.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0 && errno != EAGAIN && errno != EINTR)
        return vh__vmm_explain(s->vmm, vh_error_set(err, -errno, "agent channel"), err);
    if (put > 0)
        vh__buf_consume(&s->to_agent, (size_t)put);
    return 0;
}

int guest_send(struct shim *s, const void *frame, size_t n, vh_error *err)
{
    int rc;

    vh__buf_append(&s->to_agent, frame, n);
    rc = vh__buf_check(&s->to_agent, "message to the guest", err);
    return rc ? rc : guest_flush(s, err);
}

int guest_tell(struct shim *s, const vh__agent_msg *m, vh_error *err)
{
    int rc = guest_queue(s, m, err);

    return rc ? rc : guest_flush(s, err);
}
