/* Where it was measured. */
#ifndef BENCH_STAMP_H
#define BENCH_STAMP_H

#include <vhive/env.h>

#include "cli.h"
#include "result.h"

/**
 * Fills what can be known before the first run: CPU, kernel, machine of the VMs, rates of the state directory's disk,
 * date, load. What cannot be found out stays unknown. Returns 0 or VH_ECANCELED.
 */
VH_MUST_CHECK int bench_stamp(cli *c, vh_env *env, bench_host *host, vh_error *err);

#endif
