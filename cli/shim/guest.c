/* The guest's side of the story: what the agent says, and what is said to it. */
#include "shim_priv.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"

static void take_output(struct shim *s, const vh__agent_msg *m)
{
    struct output *o = &s->out[m->stream == VH_AGENT_STDERR];

    vh__ring_put(&s->said, m->output.data, m->output.len);
    if (o->fd < 0)
        return;
    vh__buf_append(&o->pending, m->output.data, m->output.len);
    if (o->pending.oom) {
        vh__buf_fini(&o->pending); /* output is lost rather than the VM */
        vh__fd_close(&o->fd);
    }
}

void guest_message(struct shim *s, const vh__agent_msg *m)
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
    case VH_AGENT_ERROR: {
        char text[320];

        snprintf(g->error, sizeof(g->error), "%.32s: %s", m->error.stage,
                 vh__agent_printable(m->error.text, text, sizeof(text)));
        break;
    }
    case VH_AGENT_PONG:
        g->pongs++;
        g->clock_off_ns = vh__clock_real_ns() - m->pong.realtime_ns;
        break;
    case VH_AGENT_QUIESCED:
        g->quiesced = true;
        break;
    default: /* STARTED and LOG: nothing depends on them; others do not pass the decoder */
        break;
    }
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

int guest_send(struct shim *s, const vh__wait *w, const void *frame, size_t n, vh_error *err)
{
    const char *p = frame;

    if (s->vmm->agent_fd < 0)
        return vh_error_set(err, VH_EVMM, "agent channel is closed");
    while (n > 0) {
        ssize_t put = send(s->vmm->agent_fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        int rc;

        if (put < 0 && errno != EAGAIN && errno != EINTR)
            return vh__vmm_explain(s->vmm, vh_error_set(err, -errno, "agent channel"), err);
        if (put > 0) {
            p += put;
            n -= (size_t)put;
            continue;
        }
        rc = vh__wait_fd(w, s->vmm->agent_fd, POLLOUT, "agent channel", err);
        if (rc)
            return rc;
    }
    return 0;
}
