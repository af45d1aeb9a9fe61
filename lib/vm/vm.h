/*
 * vm: lifecycle of microVMs, on the mechanisms below it. The public face is <vhive/vm.h>; this is what the
 * composition root needs to make one.
 */
#ifndef VH_VM_VM_H
#define VH_VM_VM_H

#include <vhive/vm.h>
#include <vhive/exec.h>
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

/** Path of vhive-shim on the heap. VH_EMISSING with the remedy. */
VH_MUST_CHECK int vh__vm_shim_path(const vh_env *env, char **path, vh_error *err);
/**
 * Runs a probe guest under KVM in a process of its own: |*real| says whether it ran as on hardware, |*known| whether it
 * came to an end, so that the answer may be kept. An error only where the probe could not be started.
 */
VH_MUST_CHECK int vh__vm_kvm_probe(const vh_env *env, bool *real, bool *known, vh_error *err);

/** What a snapshot that is made now would be made with. Plain data. */
typedef struct vh__vm_present {
    char vmm_version[32];
    vh__guest_files files;
} vh__vm_present;

/**
 * Fills |*now| without making anything; |qemu| is a name or path, |cache_dir| as in vh__vmm_version(). VH_EMISSING: no
 * QEMU; VH_ENOTFOUND: no kernel or initramfs has been prepared yet; and their other errors.
 */
VH_MUST_CHECK int vh__vm_present_get(vh__guest *guest, const char *qemu, const char *cache_dir, const vh__wait *w,
                                     vh__vm_present *now, vh_error *err);
/**
 * What of |info| is not as it would be |now|: "guest kernel", "agent or kernel modules", "QEMU 7.1", ... A snapshot of
 * which it is not NULL is restored by no run. |text| (64 bytes) is where it may be put. NULL: nothing, or not known.
 */
const char *vh__vm_stale(const vh_snapshot_info *info, const vh__vm_present *now, char text[64]);

/** Descriptor that is readable when the running |vm| has something to say, mostly that it ended; borrowed. */
int vh__vm_event_fd(const vh_vm *vm);

/** Has vh_exec_free() call |freed|(|arg|) at its end. Once for an |exec|. */
void vh__exec_on_free(vh_exec *exec, void (*freed)(void *arg), void *arg);

/** Removes what VMs of dead processes left in the run directory. */
VH_MUST_CHECK int vh__vms_reap(vh_vms *vms, vh_error *err);

#endif
