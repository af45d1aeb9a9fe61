#include "channel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

#define PORTS "/sys/class/virtio-ports"

/* Name of the port's device ("vport0p1") into |dev|. */
static bool find_port(char *dev, size_t n)
{
    DIR *dir = opendir(PORTS);
    char path[320], name[64];
    bool found = false;
    struct dirent *e;

    while (dir && !found && (e = readdir(dir))) {
        snprintf(path, sizeof(path), PORTS "/%s/name", e->d_name);
        if (e->d_name[0] == '.' || file_get(path, name, sizeof(name)) < 0)
            continue;
        name[strcspn(name, "\n")] = '\0';
        found = strcmp(name, VH_AGENT_PORT) == 0;
        snprintf(dev, n, "/dev/%s", e->d_name);
    }
    if (dir)
        closedir(dir);
    return found;
}

int channel_open(struct channel *c, int ms, struct fault *f)
{
    int64_t deadline = now_ns() + ms * NS_PER_MS;
    char dev[300];

    while (!find_port(dev, sizeof(dev))) {
        if (now_ns() > deadline)
            return fault_set(f, "channel", "no virtio-serial port named %s", VH_AGENT_PORT);
        nanosleep(&(struct timespec){ .tv_nsec = 2 * NS_PER_MS }, NULL); /* its name comes after the device */
    }
    if (!wait_for_path(dev, ms))
        return fault_set(f, "channel", "no device %s", dev);
    c->fd = open(dev, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (c->fd < 0)
        return fault_set(f, "channel", "open %s: %m", dev);
    vh__agent_decoder_init(&c->in, VH_AGENT_FROM_HOST);
    return 0;
}

/*
 * The host is gone, and with it what it had sent or received of an unfinished frame. Its successor starts with a fresh
 * decoder, so both directions begin at the border of a frame again.
 */
static void disconnect(struct channel *c)
{
    c->connected = c->readable = c->writable = false;
    c->sent = 0;
    vh__agent_decoder_init(&c->in, VH_AGENT_FROM_HOST);
}

void channel_event(struct channel *c, uint32_t events)
{
    if (events & EPOLLHUP) {
        disconnect(c);
        return;
    }
    c->connected = true;
    c->readable |= (events & EPOLLIN) != 0;
    c->writable |= (events & EPOLLOUT) != 0;
}

size_t channel_room(const struct channel *c)
{
    return sizeof(c->out) - (c->end - c->start);
}

bool channel_send(struct channel *c, const vh__agent_msg *m)
{
    size_t n;

    if (c->start > 0) {
        memmove(c->out, c->out + c->start, c->end - c->start);
        c->end -= c->start;
        c->start = 0;
    }
    n = vh__agent_encode(m, c->out + c->end, sizeof(c->out) - c->end);
    c->end += n;
    return n > 0;
}

/* Forgets the frames that were sent whole. */
static void drop_sent(struct channel *c)
{
    while (c->start < c->end) {
        size_t frame = VH_AGENT_HEADER + vh__agent_get32(c->out + c->start + 8);

        if (c->sent < frame)
            return;
        c->start += frame;
        c->sent -= frame;
    }
}

bool channel_flush(struct channel *c)
{
    ssize_t n;

    if (!c->connected || !c->writable || channel_idle(c))
        return false;
    n = write(c->fd, c->out + c->start + c->sent, c->end - c->start - c->sent);
    if (n < 0 && errno != EINTR) {
        c->writable = false; /* EAGAIN; anything else ends in POLLHUP */
        return false;
    }
    if (n > 0) {
        c->sent += (size_t)n;
        c->moved_ns = now_ns();
    }
    drop_sent(c);
    return !channel_idle(c);
}

bool channel_idle(const struct channel *c)
{
    return c->start == c->end;
}

int channel_receive(struct channel *c, vh__agent_msg *m, struct fault *f)
{
    for (;;) {
        int rc = vh__agent_decoder_next(&c->in, m);
        size_t room;
        void *to;
        ssize_t got;

        if (rc < 0)
            return fault_set(f, "channel", "the host sent %s", c->in.error);
        if (rc > 0 || !c->connected || !c->readable)
            return rc;
        to = vh__agent_decoder_space(&c->in, &room);
        got = read(c->fd, to, room);
        if (got > 0)
            vh__agent_decoder_fed(&c->in, (size_t)got);
        else if (got == 0 || errno != EINTR)
            c->readable = false; /* nothing now, or no host: its return is an event */
    }
}
