#include "client_exec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim_priv.h"

/* Credit is told in portions, and whenever nothing is left to be handed on. */
#define CREDIT_MIN (VH_AGENT_EXEC_WINDOW / 4)
/* More than this on its way to the agent, and no input is read, no resize or signal taken: the guest is slow. */
#define TO_AGENT_MAX (4 * VH_AGENT_FRAME_MAX)

void client_exec_init(struct client_exec *x)
{
    *x = (struct client_exec){ .in_fd = -1, .out = { { .fd = -1 }, { .fd = -1 } } };
}

void client_exec_fini(struct client_exec *x)
{
    vh__fd_close(&x->in_fd);
    output_close(&x->out[0]);
    output_close(&x->out[1]);
    client_exec_init(x);
}

bool client_exec_is_over(const struct client_exec *x)
{
    return x->id != 0 && x->exited && !x->out[0].pending.len && !x->out[1].pending.len;
}

/* The only message in the payload of |m|, and only if it is one that clients may send. The caller frees |*d|. */
static int decode(const vh__shim_message *m, vh__agent_decoder **d, vh__agent_msg *msg, vh_error *err)
{
    size_t room;
    void *to;

    *d = malloc(sizeof(**d));
    if (!*d)
        return vh_error_set(err, -ENOMEM, "exec");
    vh__agent_decoder_init(*d, VH_AGENT_FROM_HOST);
    to = vh__agent_decoder_space(*d, &room);
    if (m->payload_len == 0 || m->payload_len > room)
        return vh_error_set(err, VH_EPROTOCOL, "exec: a payload of %zu bytes", m->payload_len);
    memcpy(to, m->payload, m->payload_len);
    vh__agent_decoder_fed(*d, m->payload_len);
    if (vh__agent_decoder_next(*d, msg) != 1 || (*d)->start != (*d)->end)
        return vh_error_set(err, VH_EPROTOCOL, "exec: a payload that is no single message");
    return 0;
}

/* A pipe of the client's, of which waiting for room must never block. */
static int take_pipe(vh__shim_message *m, const char *name, int *to, vh_error *err)
{
    vh_auto_fd int fd = vh__shim_take_fd(m, name);
    struct stat st;
    int rc;

    if (fd < 0 || fstat(fd, &st) < 0 || (!S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode)))
        return vh_error_set(err, VH_EPROTOCOL, "exec: %s is no pipe", name);
    rc = vh__fd_nonblock(fd, err);
    if (rc == 0)
        *to = vh_steal_fd(&fd);
    return rc;
}

int client_exec_begin(struct shim *s, struct client_exec *x, uint16_t id, vh__shim_message *m, vh_error *err)
{
    vh_auto_free vh__agent_decoder *d = NULL;
    vh__agent_msg msg;
    int rc = decode(m, &d, &msg, err);

    if (rc == 0 && msg.type != VH_AGENT_EXEC)
        rc = vh_error_set(err, VH_EPROTOCOL, "exec: the payload is %s", vh__agent_type_name(msg.type));
    if (rc == 0)
        rc = take_pipe(m, "stdin", &x->in_fd, err);
    if (rc == 0)
        rc = take_pipe(m, "stdout", &x->out[0].fd, err);
    if (rc == 0)
        rc = take_pipe(m, "stderr", &x->out[1].fd, err);
    if (rc == 0) {
        msg.stream = id;
        rc = guest_queue(s, &msg, err);
    }
    if (rc) {
        client_exec_fini(x);
        return rc;
    }
    x->id = id;
    x->in_room = x->out_room[0] = x->out_room[1] = VH_AGENT_EXEC_WINDOW;
    return 0;
}

int client_exec_tell(struct shim *s, struct client_exec *x, const vh__shim_message *m, vh_error *err)
{
    vh_auto_free vh__agent_decoder *d = NULL;
    vh__agent_msg msg;
    int rc = decode(m, &d, &msg, err);

    if (rc)
        return rc;
    if (msg.type != VH_AGENT_EXEC_RESIZE && msg.type != VH_AGENT_EXEC_SIGNAL)
        return vh_error_set(err, VH_EPROTOCOL, "exec: the payload is %s", vh__agent_type_name(msg.type));
    if (x->id == 0 || x->exited)
        return 0; /* it has just ended */
    if (s->to_agent.len >= TO_AGENT_MAX)
        return vh_error_set(err, VH_ELIMIT, "exec: more resizes or signals than the guest takes");
    msg.stream = x->id;
    return guest_queue(s, &msg, err);
}

/* A message that needs no answer; without memory for it the exec cannot go on, and its client sees it hang up. */
static void queue(struct shim *s, struct client_exec *x, vh__agent_msg *m)
{
    m->stream = x->id;
    if (s->vmm && guest_queue(s, m, NULL) && !x->exited)
        vh__fd_close(&x->in_fd);
}

/* The guest may send again what the client has taken. */
static void give_credit(struct shim *s, struct client_exec *x)
{
    vh__agent_msg m = { .type = VH_AGENT_EXEC_CREDIT };
    uint32_t owed[2];
    bool due = false;

    for (int i = 0; i < 2; i++) {
        owed[i] = VH_AGENT_EXEC_WINDOW - x->out_room[i] - (uint32_t)x->out[i].pending.len;
        due |= owed[i] >= CREDIT_MIN || (owed[i] && !x->out[i].pending.len);
    }
    if (!due || x->exited)
        return;
    m.exec_credit.out = owed[0];
    m.exec_credit.err = owed[1];
    x->out_room[0] += owed[0];
    x->out_room[1] += owed[1];
    queue(s, x, &m);
}

static int take_output(struct client_exec *x, int i, const vh__agent_bytes *b, vh_error *err)
{
    if (b->len > x->out_room[i] || x->exited)
        return vh_error_set(err, VH_EPROTOCOL, "agent channel: exec output beyond its window");
    x->out_room[i] -= b->len;
    output_put(&x->out[i], b->data, b->len);
    return 0;
}

static void take_exit(struct client_exec *x, const vh__agent_exec_exited *how)
{
    x->exited = true;
    x->how = (vh__agent_exec_exited){ .code = how->code & 0xff, .signal = how->signal & 0x7f };
    vh__agent_printable(how->text, x->text, sizeof(x->text));
    vh__fd_close(&x->in_fd);
}

int client_exec_take(struct shim *s, struct client_exec *x, const vh__agent_msg *m, vh_error *err)
{
    int rc = 0, i = m->type == VH_AGENT_EXEC_STDERR;

    switch (m->type) {
    case VH_AGENT_EXEC_STDOUT:
    case VH_AGENT_EXEC_STDERR:
        rc = take_output(x, i, &m->exec_data, err);
        if (rc == 0 && x->out[i].pending.len)
            output_write(&x->out[i]);
        break;
    case VH_AGENT_EXEC_TAKEN:
        if (m->exec_taken.bytes > VH_AGENT_EXEC_WINDOW - x->in_room)
            return vh_error_set(err, VH_EPROTOCOL, "agent channel: exec input taken that was not sent");
        x->in_room += m->exec_taken.bytes;
        break;
    default: /* EXITED; others do not pass the decoder or are not of execs */
        take_exit(x, &m->exec_exited);
        break;
    }
    if (rc == 0)
        give_credit(s, x);
    return rc;
}

void client_exec_poll_set(const struct shim *s, const struct client_exec *x, struct pollfd p[3])
{
    bool reads = x->in_room > 0 && s->to_agent.len < TO_AGENT_MAX && !s->saving;

    p[0] = (struct pollfd){ .fd = reads ? x->in_fd : -1, .events = POLLIN };
    for (int i = 0; i < 2; i++) /* without pending output a closed reader is seen all the same */
        p[1 + i] = (struct pollfd){ .fd = x->out[i].pending.len ? x->out[i].fd : -1, .events = POLLOUT };
}

static void read_input(struct shim *s, struct client_exec *x)
{
    char data[VH_AGENT_OUTPUT_MAX];
    vh__agent_msg m = { .type = VH_AGENT_EXEC_INPUT };
    ssize_t n = read(x->in_fd, data, VH_MIN(sizeof(data), x->in_room));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        n = 0; /* its end */
        vh__fd_close(&x->in_fd);
    }
    x->in_room -= (uint32_t)n;
    m.exec_data = (vh__agent_bytes){ .data = data, .len = (uint32_t)n };
    queue(s, x, &m);
}

void client_exec_dispatch(struct shim *s, struct client_exec *x, const struct pollfd p[3])
{
    if (x->id == 0)
        return;
    if (p[0].revents && x->in_fd >= 0)
        read_input(s, x);
    for (int i = 0; i < 2; i++)
        if (p[1 + i].revents && x->out[i].fd >= 0)
            output_write(&x->out[i]);
    give_credit(s, x);
}

void client_exec_abandon(struct shim *s, struct client_exec *x)
{
    if (x->id == 0)
        return;
    vh__fd_close(&x->in_fd);
    output_close(&x->out[0]);
    output_close(&x->out[1]);
    if (x->exited)
        client_exec_fini(x);
    else
        queue(s, x, &(vh__agent_msg){ .type = VH_AGENT_EXEC_CLOSE });
}
