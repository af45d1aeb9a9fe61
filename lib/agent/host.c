#include "agent_host.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "clock.h"

vh__agent_list vh__agent_list_of(const char *const *v)
{
    vh__agent_list l = { .v = v };

    while (v && v[l.n])
        l.n++;
    return l;
}

int vh__agent_append(vh__buf *out, const vh__agent_msg *m, vh_error *err)
{
    void *to = vh__buf_reserve(out, VH_AGENT_FRAME_MAX);
    size_t n;

    if (!to)
        return vh__buf_check(out, "message to the guest", err);
    n = vh__agent_encode(m, to, VH_AGENT_FRAME_MAX);
    if (n == 0)
        return vh_error_set(err, VH_ELIMIT,
                            "%s message to the guest: more than %u bytes or too many strings (shorten the "
                            "function's arguments or environment)",
                            vh__agent_type_name(m->type), VH_AGENT_FRAME_MAX);
    out->len += n;
    out->data[out->len] = '\0';
    return 0;
}

int vh__agent_read(vh__agent_decoder *d, int fd, vh_error *err)
{
    size_t room;
    void *to = vh__agent_decoder_space(d, &room);
    ssize_t got = read(fd, to, room);

    if (got == 0)
        return vh_error_set(err, -EPIPE, "agent channel: closed by the other end");
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got < 0)
        return vh_error_set(err, -errno, "agent channel: read");
    vh__agent_decoder_fed(d, (size_t)got);
    return 0;
}

int vh__agent_next(vh__agent_decoder *d, vh__agent_msg *m, bool *got, vh_error *err)
{
    int rc = vh__agent_decoder_next(d, m);

    if (rc < 0)
        return vh_error_set(err, VH_EPROTOCOL, "agent channel: the guest sent %s", d->error);
    *got = rc > 0;
    return 0;
}

int vh__agent_receive(vh__agent_decoder *d, int fd, const vh__wait *w, vh__agent_msg *m, vh_error *err)
{
    bool got = false;
    int rc;

    while ((rc = vh__agent_next(d, m, &got, err)) == 0 && !got) {
        rc = vh__wait_fd(w, fd, POLLIN, "guest agent", err);
        if (rc == 0)
            rc = vh__agent_read(d, fd, err);
        if (rc)
            break;
    }
    return rc;
}

int vh__agent_send(int fd, const vh__agent_msg *m, const vh__wait *w, vh_error *err)
{
    vh_auto_buf vh__buf frame = { 0 };
    int rc = vh__agent_append(&frame, m, err);

    while (rc == 0 && frame.len) {
        ssize_t sent = write(fd, frame.data, frame.len);

        if (sent >= 0)
            vh__buf_consume(&frame, (size_t)sent);
        else if (errno == EAGAIN)
            rc = vh__wait_fd(w, fd, POLLOUT, "guest agent", err);
        else if (errno != EINTR)
            rc = vh_error_set(err, -errno, "agent channel: write %s", vh__agent_type_name(m->type));
    }
    return rc;
}

int vh__agent_fresh(uint8_t seed[VH_AGENT_SEED], int64_t *realtime_ns, vh_error *err)
{
    ssize_t got;

    do
        got = getrandom(seed, VH_AGENT_SEED, 0);
    while (got < 0 && errno == EINTR);
    if (got != VH_AGENT_SEED)
        return vh_error_set(err, got < 0 ? -errno : -EIO, "random bytes for the guest");
    *realtime_ns = vh__clock_real_ns();
    return 0;
}

const char *vh__agent_printable(const char *text, char *buf, size_t n)
{
    size_t i = 0;

    for (; i + 1 < n && text[i]; i++)
        buf[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    buf[i] = '\0';
    return buf;
}
