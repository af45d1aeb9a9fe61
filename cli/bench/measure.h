/* One run: a VM is started, called and ended, and what it took is noted. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <vhive/vm.h>

#include "engines.h"
#include "functions.h"
#include "result.h"

/** CLOCK_MONOTONIC in ns, which the library's stamps are in. */
int64_t bench_now_ns(void);

/**
 * Runs |f| by |engine| and fills |run|: its time goes from before vh_vm_run() to the last byte of the answer, or is that
 * of a second request to the instance (engine->running). What fails is noted in |run| and is no error of this call.
 * |host| (NULL: not wanted) gets what the VM was run by. Returns 0, or VH_ECANCELED: |run| says nothing.
 */
VH_MUST_CHECK int bench_measure(vh_vms *vms, const bench_engine *engine, const bench_function *f, vh_cancel *cancel,
                                bench_run *run, bench_host *host, vh_error *err);

#endif
