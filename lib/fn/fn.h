/*
 * fn: functions as a service. The public face is <vhive/fn.h>; this is what the composition root needs to make one.
 *
 * The decisions are made by a core without threads or VMs (plan.h). Around it is one lock: whatever happens is told to
 * the core under it, and what the core wants done is handed to threads (starts, ends, snapshots), to those who wait, or
 * to the activator. Nothing blocks under the lock.
 */
#ifndef VH_FN_FN_H
#define VH_FN_FN_H

#include <vhive/fn.h>
#include <vhive/image.h>

/* What is done with VMs: by the library (vh__functions_real_vms), or by a test. |vms| is the options'. */
typedef struct vh__functions_vms {
    int (*run)(vh_vms *vms, const vh_run_options *o, const vh_call *call, vh_vm **vm, vh_error *err);
    void (*facts)(vh_vm *vm, vh_instance_info *info, vh_phases *phases); /* id, address, port, engine, snapshot */
    int (*save)(vh_vm *vm, bool again, const vh_call *call, char *id, vh_error *err); /* NULL: not possible */
    int (*pause)(vh_vm *vm, const vh_call *call, vh_error *err);
    int (*resume)(vh_vm *vm, const vh_call *call, vh_error *err);
    int (*tend)(vh_vm *vm, const vh_call *call, vh_error *err);
    int (*event_fd)(const vh_vm *vm); /* readable when |ended| is worth asking */
    bool (*ended)(vh_vm *vm, vh_vm_exit *exit); /* does not block */
    int (*stop)(vh_vm *vm, const vh_call *call, vh_error *err);
    void (*kill)(vh_vm *vm);
    void (*free)(vh_vm *vm);
} vh__functions_vms;

extern const vh__functions_vms vh__functions_real_vms;

/** The objects it works with, all borrowed for its life, and its settings, copied. */
typedef struct vh__functions_options {
    vh_env *env;
    vh_images *images;
    vh_vms *vms;
    const vh__functions_vms *ops; /* NULL: vh__functions_real_vms */
    uint64_t max_memory_mib;      /* of all instances together; 0: three quarters of the machine's */
    uint32_t max_instances;       /* 0: 256 */
    uint32_t starts;              /* under way at once; 0: two for each processor, at least 4 */
    uint32_t queue, queue_all;    /* connections and calls that wait, of one function and of all; 0: 1024, 8192 */
    uint32_t memory_mib, cpus;    /* of a function that names none */
    uint32_t boot_ms, invoke_ms, pull_ms, stop_ms;
    uint16_t port_first, port_last; /* of assigned addresses */
} vh__functions_options;

/**
 * Makes the object, with the functions that are kept below the state directory, and starts its threads. A file there
 * that is damaged is set aside ("NAME.json.bad") and told. On success the caller owns |*f| (vh__functions_free()).
 * VH_ESTATE: another process has those of this state directory; -ENOMEM, -errno of the directory.
 */
VH_MUST_CHECK int vh__functions_new(const vh__functions_options *o, vh_functions **f, vh_error *err);
/**
 * Ends all instances, giving calls the configured stop time, and frees |f|. No call may be under way but those that
 * wait for an instance, which fail; every vh_exec has been freed. NULL is fine.
 */
void vh__functions_free(vh_functions *f);

#endif
