/*
 * vh_functions: functions as a service. A function is deployed under a name; instances of it (VMs) come up when there
 * is something to do for them and go when there is not. Who calls it does not see which.
 *
 *     vh_function_spec spec = VH_FUNCTION_SPEC_INIT;
 *     spec.name = "hello";
 *     spec.image = "oci:build/functions/hello";
 *     spec.port = 50051;
 *     vh_functions_deploy(functions, &spec, NULL, &err);
 *     vh_functions_invoke(functions, "hello", request, NULL, &response, NULL, &err);
 *
 * Each function has one address (vh_function_info.address): a connection to it waits for an instance and is then
 * relayed. vh_functions_invoke() calls an instance without that detour.
 *
 * An instance comes up by restoring the revision's snapshot, or by booting where there is none or where it does not
 * restore; a snapshot is made of a booted instance, beside the requests it serves. A changed function is a new
 * revision: the old one's instances finish what they have.
 *
 * Functions, their addresses and revisions are kept below the state directory and are there again after a restart.
 *
 * vh_host_functions() (<vhive/host.h>) makes one.
 *
 * Threads: everything may be called from all threads at once. Calls block within their bounds (vh_call).
 */
#ifndef VHIVE_FN_H
#define VHIVE_FN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vhive/attr.h>
#include <vhive/env.h>
#include <vhive/error.h>
#include <vhive/exec.h>
#include <vhive/invoke.h>
#include <vhive/phases.h>
#include <vhive/snapshot.h>
#include <vhive/vm.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Longest name of a function: a DNS label. */
#define VH_FUNCTION_NAME 64
/** Room for an address: "tcp:[v6]:port" or "unix:/path". */
#define VH_FUNCTION_ADDRESS 128

typedef struct vh_functions vh_functions;

/** What a function is. Strings are borrowed by calls that take one. Zero means the default where one is named. */
typedef struct vh_function_spec {
    size_t size;            /**< sizeof(vh_function_spec) */
    const char *name;       /**< [a-z0-9] and inner '-', at most 63 bytes */
    const char *image;      /**< image reference */
    const char *const *env; /**< NULL-terminated "KEY=VALUE" list; NULL: none */
    const char *address;    /**< "tcp:HOST:PORT", "tcp:HOST" (port assigned), "unix:/PATH"; NULL: "tcp:127.0.0.1" */
    uint16_t port;          /**< the function's TCP port; 0: the image's exposed port */
    uint32_t memory_mib;    /**< 0: configured default */
    uint32_t cpus;          /**< 0: configured default */
    vh_engine engine;
    uint32_t min, max;      /**< instances that are always up, and at most; max 0: 8 */
    uint32_t concurrency;   /**< connections or calls that an instance has at once; 0: 100 */
    uint32_t keep_alive_ms; /**< how long an instance without any stays; 0: 30000 */
    uint32_t retire;        /**< an instance ends after so many connections or calls; 0: never */
} vh_function_spec;

#define VH_FUNCTION_SPEC_INIT { .size = sizeof(vh_function_spec) }

/** State of an instance. */
typedef enum vh_instance_state {
    VH_INSTANCE_STARTING = 0,
    VH_INSTANCE_READY,    /**< it serves, or waits for something to serve */
    VH_INSTANCE_DRAINING, /**< it finishes what it has, then ends: an old revision, or one to be retired */
    VH_INSTANCE_PAUSED,   /**< by hand: vh_functions_vm_pause() */
    VH_INSTANCE_STOPPING,
} vh_instance_state;

/** "starting", "ready", "draining", "paused", "stopping". */
VH_API const char *vh_instance_state_name(vh_instance_state state);

/** One instance, in a listing. Plain data. */
typedef struct vh_instance_info {
    size_t size;         /**< sizeof(vh_instance_info) of the library */
    char vm[24];         /**< id of its VM; "" while there is none yet */
    char function[VH_FUNCTION_NAME];
    uint32_t revision;
    vh_instance_state state;
    char engine[8];      /**< engine that brought it up */
    char snapshot[32];   /**< id of the snapshot it came from; "" after a boot */
    char address[16];    /**< of the VM; "" while there is none */
    uint16_t port;
    uint32_t active;     /**< connections and calls it has */
    uint64_t served;     /**< connections and calls it had */
    int64_t started_ns;  /**< CLOCK_REALTIME, when its start was begun */
    uint64_t start_us;   /**< how long its start took; 0 while it goes on */
    uint32_t memory_mib;
} vh_instance_info;

/** One function, in a listing. |spec| and its strings are borrowed for the call that hands it out. */
typedef struct vh_function_info {
    size_t size;              /**< sizeof(vh_function_info) of the library */
    vh_function_spec spec;    /**< as deployed, defaults filled in; |spec.address| as it was asked for */
    const char *address;      /**< as it is: "tcp:127.0.0.1:31001" */
    const char *image_digest; /**< of the current revision */
    const char *snapshot;     /**< id of the current revision's snapshot; "": none yet */
    uint32_t revision;        /**< of what is deployed: 1, 2, ... */
    int64_t deployed_ns;      /**< CLOCK_REALTIME, of this revision */
    uint32_t instances;       /**< not yet gone */
    uint32_t ready;           /**< of them, those that serve */
    uint32_t waiting;         /**< connections and calls that wait for an instance */
    uint32_t active;          /**< those that have one */
    uint64_t served;          /**< connections and calls that got one, since this process began; FuncPool's "served" */
    uint64_t started;         /**< instances that came up; FuncPool's "started" */
    uint64_t failed;          /**< starts that failed */
    const char *last_error;   /**< of the last start that failed; "": none, or one came up since */
} vh_function_info;

/** Takes one function. Returning false ends the listing. */
typedef bool (*vh_function_fn)(const vh_function_info *info, void *arg);
/** Takes one instance. Returning false ends the listing. */
typedef bool (*vh_instance_fn)(const vh_instance_info *info, void *arg);

/**
 * Deploys a function: its image is pulled and converted, its address taken, and |min| instances are started beside. A
 * name that is deployed already gets a new revision, if anything but min, max, concurrency, keep-alive or retire
 * differs; the image behind a tag is looked up anew.
 * Returns once connections are accepted. Default deadline: timeout.pull.
 * VH_EINVALID (which member, why), VH_EIMAGE and what else a pull returns, -EADDRINUSE, VH_ELIMIT (min instances pass
 * the machine's budget).
 */
VH_API VH_MUST_CHECK int vh_functions_deploy(vh_functions *f, const vh_function_spec *spec, const vh_call *call,
                                             vh_error *err);

/** As vh_functions_deploy(), but VH_ENOTFOUND unless |spec->name| is deployed. */
VH_API VH_MUST_CHECK int vh_functions_update(vh_functions *f, const vh_function_spec *spec, const vh_call *call,
                                             vh_error *err);

/** Sets how many instances there are at least and at most. VH_ENOTFOUND, VH_EINVALID, VH_ELIMIT. */
VH_API VH_MUST_CHECK int vh_functions_scale(vh_functions *f, const char *name, uint32_t min, uint32_t max,
                                            vh_error *err);

/**
 * Removes a function: its address closes at once, calls under way get the configured stop time, instances end. Its
 * image and snapshots stay (vh_snapshots_remove()). Default deadline: twice the stop time, and 5 s. VH_ENOTFOUND.
 */
VH_API VH_MUST_CHECK int vh_functions_remove(vh_functions *f, const char *name, const vh_call *call, vh_error *err);

/** Calls |each| for every function in the order of their names, or for |name| alone. VH_ENOTFOUND for a |name|. */
VH_API VH_MUST_CHECK int vh_functions_list(vh_functions *f, const char *name, vh_function_fn each, void *arg,
                                           vh_error *err);
/** Calls |each| for every instance, or for those of the function |name|, oldest first. VH_ENOTFOUND for a |name|. */
VH_API VH_MUST_CHECK int vh_functions_instances(vh_functions *f, const char *name, vh_instance_fn each, void *arg,
                                                vh_error *err);

/** Where the time of one vh_functions_invoke() went. */
typedef struct vh_invoke_timing {
    size_t size;      /**< in: sizeof(vh_invoke_timing) */
    bool cold;        /**< an instance was started for this call */
    char vm[24];      /**< the instance's VM; all of this is written once there is one, also if the call fails then */
    vh_phases phases; /**< wait for an instance, if |cold| with the phases of its start and "grant", connect, request */
} vh_invoke_timing;

#define VH_INVOKE_TIMING_INIT { .size = sizeof(vh_invoke_timing) }

/**
 * Calls the function |name|: takes an instance, starting one if need be, and calls it as vh_invoke() does. |timing|
 * may be NULL. Default deadline: timeout.boot and timeout.invoke. VH_ENOTFOUND, VH_ELIMIT (the machine's budget or the
 * queue is exhausted), what a start returns, and what vh_invoke() returns.
 */
VH_API VH_MUST_CHECK int vh_functions_invoke(vh_functions *f, const char *name, const vh_invoke_request *request,
                                             const vh_call *call, vh_invoke_response *response,
                                             vh_invoke_timing *timing, vh_error *err);

/** What happened. */
typedef struct vh_event {
    int64_t time_ns;      /**< CLOCK_REALTIME */
    uint64_t sequence;    /**< grows by one from event to event */
    const char *type;     /**< function.deployed, function.removed; instance.starting, .ready, .failed, .died, .ended,
                               .killed, .paused, .resumed; snapshot.saved, snapshot.failed; events.lost */
    const char *function; /**< "" for an event of the machine */
    const char *vm;       /**< "" where there is none */
    const char *message;  /**< for people; "" where |type| says it all */
} vh_event;

/** Takes one event, borrowed for the call. Returning false ends the watch. */
typedef bool (*vh_event_fn)(const vh_event *event, void *arg);

/**
 * Hands the events after |since| (0: from now on, 1: all that are kept) of the function |name| (NULL: all) to |each| as
 * they come, on the caller's thread. The last 1024 are kept; a watcher that falls behind is told by an event
 * "events.lost", and so is one whose |since| is of a process before this one, with sequence 1: what is kept follows.
 * Ends when |each| returns false (0), or with the call's bounds. Default: no deadline.
 */
VH_API VH_MUST_CHECK int vh_functions_events(vh_functions *f, const char *name, uint64_t since, const vh_call *call,
                                             vh_event_fn each, void *arg, vh_error *err);

/** A piece of a function's output, borrowed for the call. */
typedef struct vh_log_piece {
    int64_t time_ns; /**< CLOCK_REALTIME, when it came */
    const char *vm;
    vh_stream stream;
    const void *bytes;
    size_t n;
} vh_log_piece;

/** Takes a piece of output. Returning false ends the reading. */
typedef bool (*vh_log_piece_fn)(const vh_log_piece *piece, void *arg);

/**
 * Hands the kept output of the function |name| to |each|, oldest first: the last |tail| lines (UINT32_MAX: all that is
 * kept, 1 MiB for a function), and then, if |follow|, what comes. Returns 0 at the end of the kept, or when |each|
 * returned false. Default: no deadline. VH_ENOTFOUND.
 */
VH_API VH_MUST_CHECK int vh_functions_logs(vh_functions *f, const char *name, uint32_t tail, bool follow,
                                           const vh_call *call, vh_log_piece_fn each, void *arg, vh_error *err);

/**
 * Starts a process in an instance of the function |name|, starting one if there is none; the instance is kept while the
 * process runs. Then as vh_exec_start(). VH_ENOTFOUND and what a start returns.
 */
VH_API VH_MUST_CHECK int vh_functions_exec(vh_functions *f, const char *name, const vh_exec_options *opts,
                                           const vh_call *call, vh_exec **exec, vh_error *err);

/**
 * On the instance whose VM is |vm| (its id, or the beginning of exactly one): freeze it, let it go on, kill it, or save
 * a snapshot of it as its revision's (|id|, VH_SNAPSHOT_ID bytes, gets the snapshot's id). A frozen instance gets
 * nothing new. VH_ENOTFOUND, VH_ESTATE.
 */
VH_API VH_MUST_CHECK int vh_functions_vm_pause(vh_functions *f, const char *vm, const vh_call *call, vh_error *err);
VH_API VH_MUST_CHECK int vh_functions_vm_resume(vh_functions *f, const char *vm, const vh_call *call, vh_error *err);
VH_API VH_MUST_CHECK int vh_functions_vm_kill(vh_functions *f, const char *vm, const vh_call *call, vh_error *err);
VH_API VH_MUST_CHECK int vh_functions_vm_snapshot(vh_functions *f, const char *vm, const vh_call *call, char *id,
                                                  vh_error *err);

#ifdef __cplusplus
}
#endif
#endif
