/* Where it was measured. */
#ifndef BENCH_STAMP_H
#define BENCH_STAMP_H

#include <vhive/config.h>

#include "result.h"

/** Fills what can be known before the first run: CPU, kernel, machine of the VMs, date, load. */
void bench_stamp(bench_host *host, const vh_config *config);

#endif
