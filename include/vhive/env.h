/*
 * vh_env: what every object of the library is made from. It carries the log sink, the directories and the clock;
 * there are no globals beside it. vh_cancel and vh_call bound a blocking call.
 *
 *     vh_env_options o = VH_ENV_OPTIONS_INIT;
 *     o.log = my_sink;
 *     vh_env *env;
 *     if (vh_env_new(&o, &env, &err)) ...
 *
 * Threads: a vh_env may be used by all threads; it must outlive every object made from it.
 */
#ifndef VHIVE_ENV_H
#define VHIVE_ENV_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <vhive/attr.h>
#include <vhive/error.h>
#include <vhive/phases.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum vh_log_level { VH_LOG_ERROR = 0, VH_LOG_WARN = 1, VH_LOG_INFO = 2, VH_LOG_DEBUG = 3 } vh_log_level;

/** One log record. All pointers are borrowed for the call; |vm| and |trace| may be NULL. */
typedef struct vh_log_record {
    vh_log_level level;
    const char *module;  /**< name of the module under lib/ that speaks */
    const char *vm;      /**< id of the VM it is about */
    const char *trace;   /**< trace id of the request it is about */
    const char *message; /**< one line, no newline at its end */
    int64_t time_ns;     /**< CLOCK_REALTIME */
} vh_log_record;

/** Log sink. Called from any thread, possibly from several at once; must not call back into the library. */
typedef void (*vh_log_fn)(const vh_log_record *record, void *arg);

/** Name of a level: "error", "warn", "info", "debug". */
VH_API const char *vh_log_level_name(vh_log_level level);

/** Progress of a long call: |what| is a stable word ("convert", "boot"), |total| 0 while unknown. */
typedef struct vh_progress {
    const char *what;
    const char *detail; /**< text for people, may be NULL */
    uint64_t done, total; /**< bytes */
} vh_progress;

/** Progress sink. Called on the thread of the blocking call or on a helper thread of it, never after it returned. */
typedef void (*vh_progress_fn)(const vh_progress *progress, void *arg);

/**
 * Metrics sink: adds |amount| to the counter or histogram (ns) |name|, or sets the gauge to it; |values| are those of its
 * labels, in order (docs/metrics.md has them all). Borrowed for the call, which comes from any thread, also several at
 * once, and must not call back into the library.
 */
typedef void (*vh_metrics_fn)(const char *name, const char *const *values, int64_t amount, void *arg);

/** A flow that has ended, as traces tell of it. Texts are "" where nothing is known. */
typedef struct vh_trace_record {
    const char *name; /**< stable: "cold-start" */
    const char *vm, *image, *engine, *outcome;
    const vh_phases *phases;
} vh_trace_record;

/** Trace sink. As vh_metrics_fn. */
typedef void (*vh_trace_fn)(const vh_trace_record *record, void *arg);

typedef struct vh_env vh_env;

typedef struct vh_env_options {
    size_t size;           /**< sizeof(vh_env_options): growth keeps older callers valid */
    const char *state_dir; /**< images, snapshots, kernels; default /var/lib/vhive */
    const char *run_dir;   /**< sockets, VM directories; default /run/vhive */
    const char *libexec_dir; /**< shim, agent, preload library; default: libexec/vhive beside the folder that holds
                                  the library or program (bin/, lib/), else /usr/libexec/vhive */
    vh_log_fn log;         /**< NULL: nothing is logged */
    void *log_arg;
    vh_log_level log_level; /**< records above it are not made */
    vh_progress_fn progress; /**< NULL: none */
    void *progress_arg;
    vh_metrics_fn metrics; /**< NULL: nothing is counted */
    void *metrics_arg;
    vh_trace_fn trace; /**< NULL: nothing is traced */
    void *trace_arg;
} vh_env_options;

#define VH_ENV_OPTIONS_INIT { .size = sizeof(vh_env_options), .log_level = VH_LOG_INFO }

/**
 * Makes an environment. |opts| is copied (strings too); NULL means defaults. Creates no directory: that is left to
 * those who write there. On success the caller owns |*env| (vh_env_free()).
 * Returns 0, -ENOMEM, or VH_EINVALID for a directory that is not absolute, or a |run_dir| of more than 64 bytes, below
 * which the paths of sockets would pass the kernel's limit of 108.
 */
VH_API VH_MUST_CHECK int vh_env_new(const vh_env_options *opts, vh_env **env, vh_error *err);

/** Frees |env|; NULL is fine. */
VH_API void vh_env_free(vh_env *env);

/** Changes which records are made from now on. Any thread. */
VH_API void vh_env_set_log_level(vh_env *env, vh_log_level level);

/** The directories in force; borrowed, valid for the life of |env|. */
VH_API const char *vh_env_state_dir(const vh_env *env);
VH_API const char *vh_env_run_dir(const vh_env *env);
VH_API const char *vh_env_libexec_dir(const vh_env *env);

/** A token that ends blocking calls early. One token may be given to any number of calls. */
typedef struct vh_cancel vh_cancel;

/** Makes a token; the caller owns it (vh_cancel_free()). Returns 0, -ENOMEM or -errno of eventfd(2). */
VH_API VH_MUST_CHECK int vh_cancel_new(vh_cancel **cancel, vh_error *err);
VH_API void vh_cancel_free(vh_cancel *cancel);
/** Ends every call that holds |cancel|, now and later. Any thread; async-signal-safe. */
VH_API void vh_cancel_trigger(vh_cancel *cancel);
VH_API bool vh_cancel_triggered(const vh_cancel *cancel);

/** Bounds of one blocking call. NULL instead of one: the call's own default deadline, no cancel. */
typedef struct vh_call {
    size_t size;         /**< sizeof(vh_call) */
    uint32_t timeout_ms; /**< from now; 0: the call's default */
    vh_cancel *cancel;   /**< borrowed; NULL: none */
    vh_progress_fn progress; /**< gets this call's progress instead of the environment's sink; NULL: that one */
    void *progress_arg;
} vh_call;

#define VH_CALL_INIT { .size = sizeof(vh_call) }

#ifdef __cplusplus
}
#endif
#endif
