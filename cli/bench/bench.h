/* vhive-bench: rows of its table, one file per command. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "cli.h"

extern const cli_command bench_cmd_clones, bench_cmd_cold_start, bench_cmd_micro;

#endif
