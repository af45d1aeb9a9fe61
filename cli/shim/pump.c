#include "shim_priv.h"

#include <errno.h>
#include <poll.h>

/* Above it the agent is not read until somebody took the function's output; the guest then blocks the function. */
#define PENDING_MAX (1024U * 1024)

enum { P_CONTROL, P_CANCEL, P_VMM, P_AGENT, P_CONSOLE, P_STDERR, P_PAGER, P_OUT, P_CLIENTS = P_OUT + 2,
       P_COUNT = P_CLIENTS + CLIENTS_POLL };

static bool output_full(const struct shim *s)
{
    return s->out[0].pending.len > PENDING_MAX || s->out[1].pending.len > PENDING_MAX;
}

static void poll_set(const struct shim *s, const vh__wait *w, bool requests, struct pollfd p[P_COUNT])
{
    for (int i = 0; i < P_CLIENTS; i++)
        p[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
    p[P_CONTROL].fd = s->control;
    p[P_CONTROL].events = requests ? POLLIN : 0; /* a hang-up is told either way */
    p[P_CANCEL].fd = vh__cancel_fd(w->cancel);
    if (s->vmm) {
        p[P_VMM].fd = s->vmm->process.pidfd;
        p[P_AGENT].fd = s->vmm->agent_fd;
        p[P_AGENT].events = (short)((output_full(s) ? 0 : POLLIN) | (s->to_agent.len ? POLLOUT : 0));
        p[P_CONSOLE].fd = s->vmm->console_fd;
        p[P_STDERR].fd = s->vmm->stderr_fd;
    }
    if (s->pager)
        p[P_PAGER].fd = vh__pager_event_fd(s->pager);
    for (int i = 0; i < 2; i++) {
        p[P_OUT + i].fd = s->out[i].pending.len ? s->out[i].fd : -1;
        p[P_OUT + i].events = POLLOUT;
    }
    clients_poll_set(s, p + P_CLIENTS);
}

/* Reads what the agent has sent. A guest that breaks the protocol is not spoken to any more. */
static int read_agent(struct shim *s, vh_error *err)
{
    vh__agent_msg m;
    bool got = true;
    int rc = vh__agent_read(s->agent, s->vmm->agent_fd, err);

    if (rc == -EPIPE) {
        vh__fd_close(&s->vmm->agent_fd); /* the VMM closes it as it ends: its pidfd tells */
        return 0;
    }
    while (rc == 0 && got) {
        rc = vh__agent_next(s->agent, &m, &got, err);
        if (rc == 0 && got)
            rc = guest_message(s, &m, err);
    }
    return rc;
}

/* Deals with whatever is ready. */
static int dispatch(struct shim *s, const struct pollfd p[P_COUNT], vh_error *err)
{
    int rc = 0;

    if (p[P_CONSOLE].revents || p[P_STDERR].revents)
        vh__vmm_drain(s->vmm);
    if (p[P_AGENT].revents & ~POLLOUT)
        rc = read_agent(s, err);
    if (rc == 0 && (p[P_AGENT].revents & POLLOUT) && s->vmm->agent_fd >= 0)
        rc = guest_flush(s, err);
    for (int i = 0; i < 2; i++)
        if (p[P_OUT + i].revents)
            output_write(&s->out[i]);
    clients_dispatch(s, p + P_CLIENTS);
    if (rc == 0 && p[P_PAGER].revents)
        rc = vh__pager_check(s->pager, err);
    return rc;
}

/* The VMM is dead; what the guest said before may still be in the socket, whatever waits to be handed on. */
static int after_death(struct shim *s, shim_until until, vh_error *err)
{
    int rc = 0;

    while (rc == 0 && s->vmm->agent_fd >= 0)
        rc = read_agent(s, err);
    if (until && until(s))
        return 0;
    return s->guest.exited ? guest_exit_error(s, err) : vh__vmm_explain(s->vmm, VH_EVMM, err);
}

int shim_pump(struct shim *s, const vh__wait *w, shim_until until, const char *what, vh_error *err)
{
    for (;;) {
        struct pollfd p[P_COUNT];
        int rc;

        if (until && until(s))
            return 0;
        if (!until && s->guest.exited && !s->exit_told)
            return guest_exit_error(s, err); /* EXITED is the last that a guest has to say */
        if (s->vmm && s->vmm->ended)
            return after_death(s, until, err); /* a request has met it */
        rc = vh__wait_check(w, what, err);
        if (rc)
            return rc;
        poll_set(s, w, !until, p);
        if (poll(p, P_COUNT, vh__wait_left_ms(w)) < 0 && errno != EINTR)
            return vh_error_set(err, -errno, "%s: poll", what);
        rc = dispatch(s, p, err);
        if (rc)
            return rc;
        if (p[P_CONTROL].revents & POLLIN)
            return 0;
        if (p[P_CONTROL].revents)
            return vh_error_set(err, -EPIPE, "%s: the library is gone", what);
        if (p[P_VMM].revents)
            return after_death(s, until, err);
    }
}

static bool output_flushed(const struct shim *s)
{
    return (s->out[0].fd < 0 || !s->out[0].pending.len) && (s->out[1].fd < 0 || !s->out[1].pending.len);
}

void shim_flush_output(struct shim *s)
{
    while (!output_flushed(s)) {
        struct pollfd p[3] = { [2] = { .fd = vh__cancel_fd(s->gone), .events = POLLIN } };

        for (int i = 0; i < 2; i++)
            p[i] = (struct pollfd){ .fd = s->out[i].pending.len ? s->out[i].fd : -1, .events = POLLOUT };
        if (poll(p, 3, -1) > 0) {
            for (int i = 0; i < 2; i++)
                if (p[i].revents)
                    output_write(&s->out[i]);
            if (p[2].revents)
                return;
        }
    }
}
