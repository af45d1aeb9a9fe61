#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "auto.h"
#include "clock.h"
#include "interrupt.h"
#include "vhived.h"
#include "wait.h"

/* How often memory that a pull or a snapshot took, and nobody needs any more, goes back to the machine. */
#define TRIM_MS 30000

static void take_hangup(vhived *d)
{
    struct signalfd_siginfo info;

    if (read(d->hangup_fd, &info, sizeof(info)) == sizeof(info))
        vhived_reload(d);
}

static bool first_is_enough(const vh_function_info *function, void *arg)
{
    (void)function;
    (void)arg;
    return false;
}

/* Only if functions can be listed: where their lock is not given back, this thread starves with the watchdog. */
static void feed_watchdog(vhived *d)
{
    if (d->functions)
        vh_ignore(vh_functions_list(d->functions, NULL, first_is_enough, NULL, NULL)); /* fails for a name alone */
    vhived_notify_send(&d->notify, "WATCHDOG=1");
}

/* What is done when nothing happens. */
static void tick(vhived *d)
{
    if (d->notify.watchdog_ns)
        feed_watchdog(d);
    (void)malloc_trim(0); /* tells whether there was any */
}

int vhived_watch(vhived *d, vh_error *err)
{
    struct pollfd fds[] = { { .fd = vh__cancel_fd(d->cli->cancel), .events = POLLIN },
                            { .fd = d->hangup_fd, .events = POLLIN } };
    int64_t watchdog_ms = d->notify.watchdog_ns / VH_NS_PER_MS;
    int every_ms = watchdog_ms ? (int)VH_MIN(watchdog_ms, TRIM_MS) : TRIM_MS;

    while (!vh_cancel_triggered(d->cli->cancel)) {
        int n = poll(fds, VH_ARRAY_LEN(fds), every_ms);

        if (n < 0 && errno != EINTR)
            return vh_error_set(err, -errno, "poll");
        if (n == 0)
            tick(d);
        take_hangup(d);
    }
    return cli_interrupt_received() ? 0 : vh_error_set(err, VH_ESTATE, "a server ended by itself; see above");
}
