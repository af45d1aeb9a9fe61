#include "wait.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "auto.h"
#include "clock.h"

struct vh_cancel {
    int fd; /* eventfd, never read: once readable it stays so */
};

int vh_cancel_new(vh_cancel **cancel, vh_error *err)
{
    vh_cancel *c = calloc(1, sizeof(*c));

    if (!c)
        return vh_error_set(err, -ENOMEM, "cancel token");
    c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->fd < 0) {
        int code = -errno;
        free(c);
        return vh_error_set(err, code, "cancel token: eventfd");
    }
    *cancel = c;
    return 0;
}

void vh_cancel_free(vh_cancel *cancel)
{
    if (!cancel)
        return;
    vh__fd_close(&cancel->fd);
    free(cancel);
}

void vh_cancel_trigger(vh_cancel *cancel)
{
    uint64_t one = 1;

    if (write(cancel->fd, &one, sizeof(one)) < 0) {
        /* EAGAIN only: the counter is at its maximum, so it has been triggered long ago */
    }
}

bool vh_cancel_triggered(const vh_cancel *cancel)
{
    struct pollfd p = { .fd = cancel->fd, .events = POLLIN };

    return poll(&p, 1, 0) == 1;
}

int vh__cancel_fd(const vh_cancel *cancel)
{
    return cancel ? cancel->fd : -1;
}

vh__wait vh__wait_from(const vh_call *call, uint32_t default_ms)
{
    vh_call c = VH_CALL_INIT;

    if (call) /* that of an older program is shorter */
        memcpy(&c, call, VH_MIN(call->size, sizeof(c)));
    return (vh__wait){ .deadline_ns = vh__clock_mono_ns() + (c.timeout_ms ? c.timeout_ms : default_ms) * VH_NS_PER_MS,
                       .cancel = c.cancel,
                       .progress = c.progress,
                       .progress_arg = c.progress_arg };
}

vh__wait vh__wait_within(const vh__wait *w, uint32_t ms)
{
    int64_t at = vh__clock_mono_ns() + ms * VH_NS_PER_MS;
    vh__wait within = *w;

    within.deadline_ns = VH_MIN(at, w->deadline_ns);
    return within;
}

vh_call vh__wait_call(const vh__wait *w)
{
    return (vh_call){ .size = sizeof(vh_call),
                      .timeout_ms = (uint32_t)VH_MAX(1, vh__wait_left_ms(w)),
                      .cancel = w->cancel,
                      .progress = w->progress,
                      .progress_arg = w->progress_arg };
}

int vh__wait_left_ms(const vh__wait *w)
{
    int64_t left = w->deadline_ns - vh__clock_mono_ns();

    if (left <= 0)
        return 0;
    left = (left + VH_NS_PER_MS - 1) / VH_NS_PER_MS;
    return (int)VH_MIN(left, 1000000000LL);
}

int vh__wait_check(const vh__wait *w, const char *what, vh_error *err)
{
    if (w->cancel && vh_cancel_triggered(w->cancel))
        return vh_error_set(err, VH_ECANCELED, "%s: cancelled", what);
    if (vh__wait_left_ms(w) == 0)
        return vh_error_set(err, VH_ETIMEDOUT, "%s: no answer within its deadline", what);
    return 0;
}

int vh__wait_fd(const vh__wait *w, int fd, short events, const char *what, vh_error *err)
{
    for (;;) {
        struct pollfd p[2] = { { .fd = fd, .events = events },
                               { .fd = vh__cancel_fd(w->cancel), .events = POLLIN } };
        int n = poll(p, 2, vh__wait_left_ms(w));

        if (n < 0 && errno != EINTR)
            return vh_error_set(err, -errno, "%s: poll", what);
        if (n > 0 && p[1].revents)
            return vh_error_set(err, VH_ECANCELED, "%s: cancelled", what);
        if (n > 0 && p[0].revents)
            return 0;
        if (vh__wait_left_ms(w) == 0)
            return vh_error_set(err, VH_ETIMEDOUT, "%s: no answer within its deadline", what);
    }
}

int vh__wait_sleep(const vh__wait *w, uint32_t ms, const char *what, vh_error *err)
{
    vh__wait nap = vh__wait_within(w, ms);
    int rc = vh__wait_fd(&nap, -1, 0, what, NULL);

    if (rc == VH_ECANCELED || nap.deadline_ns == w->deadline_ns)
        return vh__wait_check(w, what, err);
    return 0;
}
