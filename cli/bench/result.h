/* What was measured, as plain data: the host, each run, and what they amount to. */
#ifndef BENCH_RESULT_H
#define BENCH_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <vhive/error.h>
#include <vhive/phases.h>
#include <vhive/vm.h>

#include "stats.h"

/** Where and with what it was measured. "" and 0: not known. */
typedef struct bench_host {
    char cpu[128], kernel[160];
    unsigned cores;
    char vmm[32], vmm_version[64], accel[16];
    unsigned memory_mib, vcpus; /* of a VM */
    double disk_sequential_mb_s, disk_random_4k_mb_s; /* 10^6 bytes, O_DIRECT, one request at a time */
    const char *drop;           /* what was made cold before each run */
    char date[40];              /* when it began */
    double load;                /* load average of the last minute, then */
} bench_host;

/** One run. Texts are borrowed. */
typedef struct bench_run {
    const char *function, *engine;
    unsigned iteration; /* from 1 */
    bool ok;
    bool recorded;      /* the working set was recorded in it, so it says nothing of replay */
    char error[VH_ERROR_MSG]; /* why it is not ok */
    vh_phases phases;   /* from the request to the last byte of its answer */
    bool figured;       /* stats are known */
    vh_vm_stats stats;
} bench_run;

/** Runs in the order they were made, and in which order functions and engines are listed. */
typedef struct bench_result {
    bench_host host;
    const char *const *functions;
    size_t nfunctions;
    const char *const *engines;
    size_t nengines;
    bench_run *runs; /* owned */
    size_t nruns, room;
} bench_result;

void bench_result_fini(bench_result *r);
/** Room for the next run, zeroed; it counts once |nruns| is raised. NULL: out of memory. */
bench_run *bench_result_next(bench_result *r);

/** Microseconds of the whole run. */
double bench_run_us(const bench_run *run);

/** All runs of one function by one engine that are ok. Times in microseconds. */
typedef struct bench_summary {
    const char *function, *engine;
    size_t n;
    double p50, p90, p99, mean;
    bench_interval p50_interval;
    bool compared; /* there is the engine file to compare with */
    double ratio;
    bench_interval ratio_interval;
    double faults, residual_faults, bytes_read, vmm_pss_kib; /* medians */
} bench_summary;

/** Sums up |function| by |engine|. 0 or -ENOMEM. */
VH_MUST_CHECK int bench_summarise(const bench_result *r, const char *function, const char *engine, bench_summary *out,
                                  vh_error *err);

typedef enum bench_format { BENCH_TABLE = 0, BENCH_CSV, BENCH_JSON } bench_format;

/** Writes |r|: a row per function and engine, a line per run, or everything. 0 or -ENOMEM. */
VH_MUST_CHECK int bench_result_write(const bench_result *r, FILE *out, bench_format format, vh_error *err);

#endif
