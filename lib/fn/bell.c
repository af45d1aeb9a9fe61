#include "bell.h"

#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "auto.h"

/* Without a descriptor to wait for it is looked so often. */
#define LOOK_MS 20

void vh__bell_ring(struct bell *bell)
{
    uint64_t one = 1;

    if (bell->fd >= 0)
        vh_ignore(write(bell->fd, &one, sizeof(one)) < 0); /* it fails only if it has been rung often enough */
}

void vh__bells_ring(struct bell *bells)
{
    for (; bells; bells = bells->next)
        vh__bell_ring(bells);
}

static void leave(struct bell *bell, struct bell **bells)
{
    while (*bells != bell)
        bells = &(*bells)->next;
    *bells = bell->next;
}

/* With the lock given up. */
static int sleep_once(struct bell *bell, const vh__wait *w, const char *what, vh_error *err)
{
    uint64_t rung;
    int rc;

    if (bell->fd < 0)
        return vh__wait_sleep(w, LOOK_MS, what, err);
    rc = vh__wait_fd(w, bell->fd, POLLIN, what, err);
    if (rc == 0)
        vh_ignore(read(bell->fd, &rung, sizeof(rung)) < 0); /* non-blocking, and nobody else reads */
    return rc;
}

int vh__bell_wait(struct bell *bell, struct bell **bells, pthread_mutex_t *mutex, const vh__wait *w,
                  bool (*done)(void *arg), void *arg, const char *what, vh_error *err)
{
    int rc = 0;

    if (done(arg))
        return 0;
    bell->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); /* -1: what we wait for may free descriptors */
    if (bells) {
        bell->next = *bells;
        *bells = bell;
    }
    while (rc == 0 && !done(arg)) {
        pthread_mutex_unlock(mutex);
        rc = sleep_once(bell, w, what, err);
        pthread_mutex_lock(mutex);
    }
    if (bells)
        leave(bell, bells);
    vh__fd_close(&bell->fd);
    return done(arg) ? 0 : rc; /* what came with the last moment counts */
}
