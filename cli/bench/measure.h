/* Runs: an instance is started, called and ended, and what it took is noted. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <vhive/host.h>

#include "cold.h"
#include "engines.h"
#include "functions.h"
#include "result.h"

/** What all runs have in common. Borrowed; may be used by several threads at once but for |stamp|. */
typedef struct bench_lab {
    vh_host *host;
    vh_cancel *cancel;
    bench_drop drop;    /* before each run */
    uint32_t answer_ms; /* most that an answer may take */
    bench_host *stamp;  /* gets what the VMs are run by; NULL: not wanted */
} bench_lab;

/**
 * Starts |f| by |engine| and calls it. The time of |run| goes from before vh_vm_run() to the last byte of the answer,
 * or is that of a second request to the instance (engine->running). On success the caller owns |*vm|, which runs, and
 * |*answer| (free(); NULL: not wanted). Errors of vh_vm_run() and vh_invoke(): nothing runs then.
 */
VH_MUST_CHECK int bench_start(const bench_lab *lab, const bench_engine *engine, const bench_function *f, bench_run *run,
                              vh_vm **vm, char **answer, vh_error *err);

/** Starts |count| VMMs that wait, if |engine| is one that wants them. Errors of vh_vms_shells_fill(). */
VH_MUST_CHECK int bench_shells_fill(const bench_lab *lab, const bench_engine *engine, size_t count, vh_error *err);

/** Reads the figures of |vm|, which was called, into |run|. Errors of vh_vm_stats_get() and vh_vm_record_end(). */
VH_MUST_CHECK int bench_figures(const bench_lab *lab, vh_vm *vm, bench_run *run, vh_error *err);

/**
 * One run that counts: cold as asked for, and none that recorded a working set. That it failed is noted in |run| and no
 * error of this call. Returns 0, VH_ECANCELED, or why nothing could be made cold: |run| says nothing then.
 */
VH_MUST_CHECK int bench_measure(const bench_lab *lab, const bench_engine *engine, const bench_function *f,
                                bench_run *run, vh_error *err);

/**
 * What comes before runs that count: snapshot, working set, and what a first run brings into caches. |f| gets the id of
 * its snapshot. A run that fails is an error here.
 */
VH_MUST_CHECK int bench_warm_up(const bench_lab *lab, const bench_engine *engine, bench_function *f, vh_error *err);

#endif
