#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "auto.h"
#include "clock.h"
#include "interrupt.h"
#include "vhived.h"
#include "wait.h"

static void take_hangup(vhived *d)
{
    struct signalfd_siginfo info;

    if (read(d->hangup_fd, &info, sizeof(info)) == sizeof(info))
        vhived_reload(d);
}

/* Milliseconds until the watchdog is to be fed again, for poll(2). */
static int feed_watchdog(const vhived *d)
{
    if (!d->notify.watchdog_ns)
        return -1;
    vhived_notify_send(&d->notify, "WATCHDOG=1");
    return (int)VH_MIN(d->notify.watchdog_ns / VH_NS_PER_MS, 60000);
}

int vhived_watch(vhived *d, vh_error *err)
{
    struct pollfd fds[] = { { .fd = vh__cancel_fd(d->cli->cancel), .events = POLLIN },
                            { .fd = d->hangup_fd, .events = POLLIN } };

    while (!vh_cancel_triggered(d->cli->cancel)) {
        if (poll(fds, VH_ARRAY_LEN(fds), feed_watchdog(d)) < 0 && errno != EINTR)
            return vh_error_set(err, -errno, "poll");
        take_hangup(d);
    }
    return cli_interrupt_received() ? 0 : vh_error_set(err, VH_ESTATE, "a server ended by itself; see above");
}
