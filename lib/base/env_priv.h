#ifndef VH_BASE_ENV_PRIV_H
#define VH_BASE_ENV_PRIV_H

#include <vhive/env.h>

struct vh_env {
    char *state_dir, *run_dir, *libexec_dir;
    vh_log_fn log;
    void *log_arg;
    _Atomic vh_log_level log_level; /* the one thing that changes */
    vh_progress_fn progress;
    void *progress_arg;
    vh_metrics_fn metrics;
    void *metrics_arg;
    vh_trace_fn trace;
    void *trace_arg;
};

#endif
