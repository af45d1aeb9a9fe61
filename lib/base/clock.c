#include "clock.h"

#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec t;

    (void)clock_gettime(id, &t); /* cannot fail for these two clocks and a valid pointer */
    return (int64_t)t.tv_sec * VH_NS_PER_S + t.tv_nsec;
}

int64_t vh__clock_mono_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t vh__clock_real_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}
