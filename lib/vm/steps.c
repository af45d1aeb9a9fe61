/* Steps that booting and restoring share. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "auto.h"
#include "path.h"
#include "vm_priv.h"

int vh__step_resolve(void *ctx, const vh__wait *w, vh_error *err)
{
    vh_vm *vm = ctx;

    return vm->spec.identity ? 0 : vh__spec_resolve(vm, w, err); /* known from an earlier flow of this run */
}

int vh__step_net(void *ctx, const vh__wait *w, vh_error *err)
{
    vh_vm *vm = ctx;
    int rc = vh__net_acquire(vm->vms->o.net, w, &vm->lease, err);

    if (rc == 0)
        snprintf(vm->address, sizeof(vm->address), "%s", vh__net_lease_info(vm->lease)->address);
    return rc;
}

void vh__undo_net(void *ctx)
{
    vh_vm *vm = ctx;

    vh__net_release(vm->lease);
    vm->lease = NULL;
}

/* The directory is the VM's only once its journal entry is. */
static int make_dir(vh_vm *vm, vh_error *err)
{
    vh_auto_free char *parent = vh__path_join(vh_env_run_dir(vm->vms->o.env), "vms");
    vh_auto_free char *dir = parent ? vh__path_join(parent, vm->id) : NULL;
    int rc;

    if (!dir)
        return vh_error_set(err, -ENOMEM, "directory of the VM");
    rc = vh__path_mkdirs(parent, 0711, err);
    if (rc == 0)
        rc = vh__journal_begin(vm->vms->journal, vm->id, &vm->entry, err);
    if (rc == 0)
        rc = vh__journal_note(vm->entry, "dir", vm->id, err);
    if (rc == 0 && mkdir(dir, 0711) < 0)
        rc = vh_error_set(err, -errno, "make directory %s", dir);
    if (rc == 0)
        vm->dir = vh_steal_ptr(dir);
    return rc;
}

int vh__step_shim(void *ctx, const vh__wait *w, vh_error *err)
{
    vh_vm *vm = ctx;
    int rc;

    (void)w;
    rc = make_dir(vm, err);
    if (rc == 0)
        rc = vh__client_start(&vm->client, vm->vms->o.env, err);
    if (rc)
        vh__undo_shim(ctx);
    return rc;
}

void vh__undo_shim(void *ctx)
{
    vh_vm *vm = ctx;

    vh__client_kill(&vm->client);
    vh__output_stop(&vm->output);
    if (vm->dir && vh__path_remove(vm->dir, NULL))
        vh__journal_abandon(vm->entry); /* the next reaper tries again */
    else
        vh__journal_end(vm->entry);
    vm->entry = NULL;
    free(vm->dir);
    vm->dir = NULL;
}

/* What every spawn is told. */
static vh__vmm_config config_of(const vh_vm *vm, vh__vmm_memory memory, const char *preload)
{
    return (vh__vmm_config){ .binary = vm->spec.qemu,
                             .accel = vm->spec.accel,
                             .run_dir = vm->dir,
                             .guest_mac = VH_NET_GUEST_MAC,
                             .preload = preload,
                             .memory_mib = vm->spec.memory_mib,
                             .cpus = vm->spec.cpus,
                             .uid = vm->vms->o.uid_base + vh__net_lease_info(vm->lease)->id,
                             .memory = memory };
}

static int check_preload(const char *path, vh_error *err)
{
    if (!path)
        return vh_error_set(err, -ENOMEM, "path of the preload library");
    return access(path, R_OK) < 0 ? vh_error_set(err, VH_EMISSING,
                                                 "%s: %s; install libvhive's programs or set libexec_dir", path,
                                                 strerror(errno))
                                  : 0;
}

/* Sends |c| with the descriptors that belong to it; |memory| and the output are -1 when they come later. */
static int send_spawn(vh_vm *vm, const vh__wait *w, const vh__vmm_config *c, int memory, vh_error *err)
{
    const vh__net_info *net = vh__net_lease_info(vm->lease);
    vh__shim_fd fds[] = { { "tap", net->tap_fd },
                          { "netns", net->netns_fd },
                          { "lease", net->lock_fd },
                          { "journal", vh__journal_fd(vm->entry) },
                          { "memory", memory },
                          { "stdout", vm->output.write_fd[0] },
                          { "stderr", vm->output.write_fd[1] } };
    int rc = vh__client_call(&vm->client, w, vh__shim_spawn_encode(c), fds, VH_ARRAY_LEN(fds), NULL, NULL, err);

    if (rc == 0)
        vh__output_given(&vm->output);
    return rc;
}

static int spawn_boot(vh_vm *vm, const vh__wait *w, vh_error *err)
{
    char cmdline[VH_GUEST_CMDLINE];
    vh__vmm_config c = config_of(vm, VH_VMM_MEMORY_SHARED, NULL);

    c.rootfs = vh_image_rootfs_path(vm->spec.image);
    c.kernel = vm->spec.files.kernel;
    c.initramfs = vm->spec.files.initramfs;
    c.cmdline = vh__guest_cmdline(
        &(vh__guest_boot){ .tsc_khz = vh__guest_tsc_khz(vm->vms->o.guest), .console = "ttyS0" }, cmdline,
        sizeof(cmdline));
    return send_spawn(vm, w, &c, -1, err);
}

static int spawn_restore(vh_vm *vm, const vh__wait *w, vh__vmm_memory memory, vh_error *err)
{
    bool file = memory == VH_VMM_MEMORY_PRIVATE;
    vh_auto_free char *preload =
        vh__path_join(vh_env_libexec_dir(vm->vms->o.env), file ? "readonly-preload.so" : "uffd-preload.so");
    vh__vmm_config c = config_of(vm, memory, preload);
    int rc = check_preload(preload, err);

    if (rc)
        return rc;
    c.rootfs = file ? vh_image_rootfs_path(vm->spec.image) : NULL;
    return send_spawn(vm, w, &c, file ? vh__snapshot_memory_fd(vm->snap) : -1, err);
}

int vh__vm_spawn(vh_vm *vm, const vh__wait *w, vh__vmm_memory memory, vh_error *err)
{
    int rc = memory == VH_VMM_MEMORY_UFFD ? 0 : vh__output_start(&vm->output, err);

    if (rc)
        return rc;
    return memory == VH_VMM_MEMORY_SHARED ? spawn_boot(vm, w, err) : spawn_restore(vm, w, memory, err);
}
