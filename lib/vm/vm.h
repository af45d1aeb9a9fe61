/*
 * vm: lifecycle of microVMs, on the mechanisms below it. The public face is <vhive/vm.h>; this is what the
 * composition root needs to make one.
 */
#ifndef VH_VM_VM_H
#define VH_VM_VM_H

#include <vhive/vm.h>
#include <vhive/image.h>

#include "guest.h"
#include "journal.h"
#include "net.h"
#include "snapshot.h"

/** The objects it works with, all borrowed for its life, and its settings, copied. Times in ms. */
typedef struct vh__vms_options {
    vh_env *env;
    vh_images *images;
    vh_snapshots *snapshots;
    vh__guest *guest;
    vh__net *net;
    const char *qemu;  /* name or path */
    const char *accel; /* "auto", "kvm" or "tcg" */
    uint32_t uid_base; /* the VMM of lease N runs as user uid_base + N */
    uint32_t memory_mib, cpus;
    uint64_t tmpfs_bytes; /* writable layer of a function; 0: half of what the kernel leaves */
    uint32_t hello_ms, ready_ms, boot_ms, restore_ms, stop_ms;
} vh__vms_options;

/** Makes |*vms|; the caller owns it (vh__vms_free()). -ENOMEM, -errno of the journal's directory. */
VH_MUST_CHECK int vh__vms_new(const vh__vms_options *o, vh_vms **vms, vh_error *err);
void vh__vms_free(vh_vms *vms);

/** Removes what VMs of dead processes left in the run directory. */
VH_MUST_CHECK int vh__vms_reap(vh_vms *vms, vh_error *err);

#endif
