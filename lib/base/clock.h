/* Clocks: nanoseconds as int64_t, good for 292 years. */
#ifndef VH_BASE_CLOCK_H
#define VH_BASE_CLOCK_H

#include <stdint.h>

#define VH_NS_PER_MS 1000000LL
#define VH_NS_PER_S  1000000000LL

/** CLOCK_MONOTONIC: the same in every process of the machine, so shim and library can compare stamps. */
int64_t vh__clock_mono_ns(void);
/** CLOCK_REALTIME. */
int64_t vh__clock_real_ns(void);

#endif
