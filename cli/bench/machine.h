/* vh_micro as the commands use it. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <vhive/micro.h>

#include "cli.h"

/** Makes |*micro| for VMMs as the configuration has them. Errors of vh_micro_new(). */
VH_MUST_CHECK int bench_micro_new(const cli *c, vh_env *env, vh_micro **micro, vh_error *err);

#endif
