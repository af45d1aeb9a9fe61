/*
 * vh_vms: functions in microVMs. A run starts a VM for an image, either by booting it or by restoring a snapshot,
 * waits until the function is ready, and owns it until it is stopped.
 *
 *     vh_run_options o = VH_RUN_OPTIONS_INIT;
 *     o.image = "oci:build/functions/hello";
 *     o.engine = VH_ENGINE_REAP;
 *     vh_vm *vm;
 *     if (vh_vm_run(vms, &o, NULL, &vm, &err) == 0) {
 *         ... connect to vh_vm_address(vm), port vh_vm_port(vm) ...
 *         vh_vm_stop(vm, NULL, NULL);
 *         vh_vm_free(vm);
 *     }
 *
 * Threads: a vh_vms may be used by all threads; one vh_vm by one thread at a time, except vh_vm_kill().
 * A VM made here dies with the process that made it: its shim sees the socket close.
 */
#ifndef VHIVE_VM_H
#define VHIVE_VM_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <vhive/attr.h>
#include <vhive/env.h>
#include <vhive/error.h>
#include <vhive/phases.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vh_vms vh_vms;
typedef struct vh_vm vh_vm;

/** How a VM comes up. */
typedef enum vh_engine {
    VH_ENGINE_AUTO = 0, /**< reap, or file where page faults cannot be served; boots when a snapshot does not restore */
    VH_ENGINE_BOOT,     /**< boots, whatever snapshots there are */
    VH_ENGINE_FILE,     /**< restores; the VMM maps the memory file */
    VH_ENGINE_UFFD,     /**< restores; each page is installed when it is first touched */
    VH_ENGINE_REAP,     /**< restores; records the touched pages the first time, installs them ahead from then on */
} vh_engine;

/** Name of an engine: "auto", "boot", "file", "uffd", "reap". */
VH_API const char *vh_engine_name(vh_engine engine);
/** Engine of a name; VH_EINVALID naming the choices. */
VH_API VH_MUST_CHECK int vh_engine_parse(const char *name, vh_engine *engine, vh_error *err);

/** Which of the function's output streams a piece is from. */
typedef enum vh_stream { VH_STREAM_STDOUT = 1, VH_STREAM_STDERR = 2 } vh_stream;

/**
 * Output of the function. Called on a thread of the VM's, one call at a time, never after vh_vm_free() returned. While
 * it blocks, the function's output waits, and in the end the function.
 */
typedef void (*vh_output_fn)(vh_stream stream, const void *bytes, size_t n, void *arg);

typedef struct vh_run_options {
    size_t size;            /**< sizeof(vh_run_options) */
    const char *image;      /**< image reference, required */
    const char *const *env; /**< NULL-terminated "KEY=VALUE" list added to the image's environment; NULL: none */
    uint16_t port;          /**< the function's TCP port; 0: the image's exposed port */
    uint32_t memory_mib;    /**< guest memory; 0: the configured default (256) */
    uint32_t cpus;          /**< virtual CPUs; 0: the configured default (1) */
    vh_engine engine;
    const char *accel;      /**< "auto", "kvm" or "tcg"; NULL: configured */
    const char *label;      /**< names the snapshot that is saved or restored; NULL: none */
    vh_output_fn output;    /**< NULL: output is kept only for error messages (its last 8 KiB) */
    void *output_arg;
    const char *const *restore_env; /**< NULL-terminated "KEY=VALUE" list that is no part of the snapshot's key, so that
                                         every run of one snapshot may have its own; NULL: none. The function finds it,
                                         with |env| and the image's, in /run/vhive/env (docs/functions.md) */
    bool boot_unsaved; /**< a restoring engine without a snapshot boots and returns that VM, whose engine is then boot,
                            instead of saving one first; vh_vm_snapshot() may save it later */
    const char *image_digest; /**< exactly this stored image ("sha256:..."), which |image| is only a name of; NULL: what
                                   |image| leads to now */
} vh_run_options;

#define VH_RUN_OPTIONS_INIT { .size = sizeof(vh_run_options) }

/**
 * Starts a function and returns once it is ready to be connected to. Restoring engines without a snapshot boot, save
 * one and then restore it, saying so in the log (but see |boot_unsaved|). With engine auto a snapshot that turns out to
 * be damaged, or whose guest does not come back, is set aside ("bad-ID" in listings) and the function booted; a named
 * engine fails instead.
 * Strings are copied. On success the caller owns |*vm|.
 * Default deadline: the configured boot deadline.
 * Errors: VH_EIMAGE, VH_EMISSING (a program, device or privilege is missing), VH_EGUEST (the function ended or did
 * not open its port: its last lines are in the message), VH_EVMM, VH_ECORRUPT, VH_ETIMEDOUT, VH_ECANCELED. On error
 * nothing is left behind.
 */
VH_API VH_MUST_CHECK int vh_vm_run(vh_vms *vms, const vh_run_options *opts, const vh_call *call, vh_vm **vm,
                                   vh_error *err);

/**
 * Boots the function, waits for readiness, saves a snapshot and stops it. |id| (at least 72 bytes) gets its id.
 * A snapshot of the same key that exists already is kept, and its id returned; |again| replaces it, once the new one is
 * whole, unless it is in use (VH_ESTATE).
 */
VH_API VH_MUST_CHECK int vh_vm_snapshot_create(vh_vms *vms, const vh_run_options *opts, bool again,
                                               const vh_call *call, char *id, vh_error *err);

/**
 * Shells: VMMs that were started ahead and wait, each with its network and shim, to be bound to a snapshot. A restore by
 * uffd or reap whose machine is the same takes one if there is one; the start of the VMM, a third of a cold start
 * under TCG, then lies before the request. They are not replaced by themselves: fill up again when there is time.
 */
typedef struct vh_shells_options {
    size_t size;         /**< sizeof(vh_shells_options) */
    uint32_t count;      /**< how many of this machine shall wait; each takes an address and some 40 MiB */
    uint32_t memory_mib; /**< as in vh_run_options, like the next two */
    uint32_t cpus;
    const char *accel;
} vh_shells_options;

#define VH_SHELLS_OPTIONS_INIT { .size = sizeof(vh_shells_options) }

/**
 * Makes as many shells as lack to |opts->count|, and returns when they wait. Default deadline: that of a restore.
 * Errors as vh_vm_run(); those that were made stay.
 */
VH_API VH_MUST_CHECK int vh_vms_shells_fill(vh_vms *vms, const vh_shells_options *opts, const vh_call *call,
                                            vh_error *err);
/** Ends all shells that wait; freeing the host does so too. */
VH_API void vh_vms_shells_end(vh_vms *vms);

/** Ids and addresses; borrowed, valid for the life of |vm|. */
VH_API const char *vh_vm_id(const vh_vm *vm);
VH_API const char *vh_vm_address(const vh_vm *vm); /**< IPv4 address, reachable from the host */
VH_API uint16_t vh_vm_port(const vh_vm *vm);
/** Engine that brought it up (never AUTO), and the id of the snapshot it came from ("" after a boot). */
VH_API vh_engine vh_vm_engine(const vh_vm *vm);
VH_API const char *vh_vm_snapshot_id(const vh_vm *vm);
/** What runs it: the VMM's name ("qemu") and version, and the accelerator ("tcg", "kvm"). */
VH_API const char *vh_vm_vmm(const vh_vm *vm);
VH_API const char *vh_vm_vmm_version(const vh_vm *vm);
VH_API const char *vh_vm_accel(const vh_vm *vm);
/** Phases of its start, from vh_vm_run()'s entry to its return; the caller may add its own (connect, request). */
VH_API vh_phases *vh_vm_phases(vh_vm *vm);

/** Figures of a running VM. */
typedef struct vh_vm_stats {
    size_t size;              /**< in: sizeof(vh_vm_stats) */
    uint64_t faults;          /**< pages served on demand */
    uint64_t residual_faults; /**< of them, after the working set was installed: pages it lacked */
    uint64_t ws_pages;        /**< pages of the recorded working set, 0 without one */
    uint64_t installed_pages; /**< pages installed ahead, zero pages included */
    uint64_t bytes_read;      /**< bytes the VMM and the fault engine read from storage (/proc/PID/io) */
    uint64_t vmm_pss_kib;     /**< proportional set size of the VMM */
    bool recording;           /**< this run records the working set */
    uint32_t boot_retries;    /**< boots that were begun anew because the guest hung early; 0 or 1 */
} vh_vm_stats;

/** Reads the figures of |vm|. VH_ESTATE when it has ended. Default deadline 5 s. */
VH_API VH_MUST_CHECK int vh_vm_stats_get(vh_vm *vm, const vh_call *call, vh_vm_stats *stats, vh_error *err);

/**
 * Ends the watch over what a restore with the reap engine touches; call it after the first response. The first such
 * restore stores the pages as the snapshot's working set. Later ones compare: when more than a tenth as many pages as
 * it has were missing from it, the working set is dropped, and the next restore records it anew.
 * A no-op without such a watch, and after its end; vh_vm_stop() does it otherwise. Default deadline 10 s.
 */
VH_API VH_MUST_CHECK int vh_vm_record_end(vh_vm *vm, const vh_call *call, vh_error *err);

/**
 * Freezes the virtual CPUs of |vm|: connections stay, nothing is answered, no time passes in the guest. One that is
 * paused already stays so. vh_vm_stop() lets it go on first; vh_vm_snapshot() and vh_exec_start() refuse it. Default
 * deadline 10 s. VH_ESTATE: it has ended.
 */
VH_API VH_MUST_CHECK int vh_vm_pause(vh_vm *vm, const vh_call *call, vh_error *err);

/**
 * Lets a paused |vm| go on, and returns when its CLOCK_REALTIME is right again; CLOCK_MONOTONIC does not know of the
 * pause. A no-op for one that runs. Default deadline 10 s. VH_ESTATE: it has ended; VH_EGUEST: the function has just
 * ended; VH_ETIMEDOUT, VH_ECANCELED: it runs, but its clock may be late.
 */
VH_API VH_MUST_CHECK int vh_vm_resume(vh_vm *vm, const vh_call *call, vh_error *err);

/**
 * Saves the running |vm| as the snapshot of what it was run for, and lets it go on serving; what vh_vm_run() restores
 * afterwards is a clone of what it is now. It is quiesced while it serves (the image's pre-snapshot hook runs, its
 * output is held back), then frozen for as long as copying its memory takes, a tenth of a second or more for each
 * 100 MiB in use, and told the time when it goes on. Connections survive that; in clones they are dead. |id| (at least
 * 72 bytes) gets the snapshot's id. One of the same key that exists already is kept, and its id returned; |again|
 * replaces it, once the new one is whole.
 *
 * Only a VM that was booted (vh_vm_engine()), without |restore_env|, can be saved. Whatever is returned, |vm| goes on,
 * if it can. Default deadline: the configured boot deadline.
 * VH_ESTATE: it cannot be saved, or is paused, or somebody's vh_exec runs in it, or has ended, or (|again|) the older
 * snapshot is in use; VH_EGUEST: the hook failed, or the function ended; VH_ECORRUPT: there is one, damaged (|again| or
 * vh_snapshots_remove() makes room); VH_EVMM, VH_ETIMEDOUT, VH_ECANCELED, -ENOSPC and the like.
 */
VH_API VH_MUST_CHECK int vh_vm_snapshot(vh_vm *vm, bool again, const vh_call *call, char *id, vh_error *err);

/** How a VM ended. */
typedef struct vh_vm_exit {
    bool ended;
    bool function;    /**< the function ended by itself; else the VM died */
    int code;         /**< the function's exit code, 128 + signal */
    char reason[VH_ERROR_MSG]; /**< for people */
} vh_vm_exit;

/** Blocks until |vm| ends by itself or the call's bounds are over. */
VH_API VH_MUST_CHECK int vh_vm_wait(vh_vm *vm, const vh_call *call, vh_vm_exit *exit, vh_error *err);

/**
 * Stops |vm|: asks the function to end (the image's stop signal), gives it the configured grace period, kills it
 * then, and releases everything. Afterwards only vh_vm_free() and the accessors may be called. Not from the output
 * callback, which it waits for. Default deadline: that grace period and 3 s; whatever is returned, the VM is gone.
 */
VH_API int vh_vm_stop(vh_vm *vm, const vh_call *call, vh_error *err);

/** Kills the VM at once, from any thread; the blocking call on it, if any, returns. */
VH_API void vh_vm_kill(vh_vm *vm);

/** Frees |vm|, killing it first if it runs. NULL is fine. */
VH_API void vh_vm_free(vh_vm *vm);

#ifdef __cplusplus
}
#endif
#endif
