/* Which way a function comes up, and when a snapshot is made of it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "clock.h"
#include "log.h"
#include "reap.h"
#include "vm_priv.h"

/* Boots and saves. Another process may have been quicker: its snapshot is as good. */
static int make_snapshot(vh_vm *vm, bool again, const vh__wait *w, vh_error *err)
{
    int rc;

    vm->saving = true;
    rc = vh__vm_boot(vm, w, err);
    vm->saving = false;
    if (rc)
        return rc;
    rc = vh__vm_save(vm, again, w, vm->snapshot_id, err);
    vh__vm_release(vm);
    return rc == VH_EEXISTS ? 0 : rc;
}

static int label(const vh_vm *vm, const char *id, vh_error *err)
{
    return vm->label ? vh_snapshots_label(vm->vms->o.snapshots, id, vm->label, err) : 0;
}

/* The engine that restores. Auto is reap where page faults can be served. */
static vh_engine choose_engine(const vh_vm *vm)
{
    vh_auto_fd int device = -1;
    vh_error why = { 0 };

    if (vm->o.engine != VH_ENGINE_AUTO)
        return vm->o.engine;
    if (vh__uffd_device_open(&device, &why) == 0)
        return VH_ENGINE_REAP;
    vh__log(vm->vms->o.env, VH_LOG_WARN, "vm", vm->id, "engine file is used, since reap cannot be: %s", why.msg);
    return VH_ENGINE_FILE;
}

/* The id of the snapshot of |vm|'s key, whether there is one or not: the key's first digits. */
static void name_snapshot(const vh_vm *vm, char id[VH_SNAPSHOT_ID])
{
    snprintf(id, VH_SNAPSHOT_ID, "%.20s", vm->spec.key + strlen("sha256:"));
}

/* Whether it is the snapshot that fails, rather than the image (VH_EGUEST), this machine, or the caller's patience. */
static bool is_spoiled(const vh_vm *vm, int rc, const vh__wait *w)
{
    if (!vm->spec.identity)
        return false;
    if (rc == VH_ECORRUPT || rc == VH_EUNSUPPORTED)
        return true;
    return vm->loading &&
           (rc == VH_EVMM || rc == VH_EPROTOCOL || (rc == VH_ETIMEDOUT && vh__wait_left_ms(w) > 0));
}

/* Sets the snapshot aside, so that the next run makes another. */
static int boot_instead(vh_vm *vm, const vh_error *spoiled, const vh__wait *w, vh_error *err)
{
    char id[VH_SNAPSHOT_ID];
    vh_error why = { 0 };

    name_snapshot(vm, id);
    if (vh__snapshot_quarantine(vm->vms->o.snapshots, id, spoiled->msg, &why))
        vh__log(vm->vms->o.env, VH_LOG_WARN, "vm", vm->id, "snapshot %s does not restore (%s) and stays: %s", id,
                spoiled->msg, why.msg);
    vh__log(vm->vms->o.env, VH_LOG_WARN, "vm", vm->id, "booting %s instead of restoring it", vm->image);
    vm->snapshot_id[0] = '\0';
    vh__vm_count_quarantine(vm);
    return vh__vm_boot(vm, w, err);
}

/* Restores the snapshot of |vm|'s key. Without one it is made first, unless the caller does that later. */
static int restore(vh_vm *vm, const vh__wait *w, vh_error *err)
{
    vh_engine wanted = choose_engine(vm);
    vh_error why = { 0 };
    int rc;

    vm->engine = wanted;
    rc = vh__vm_restore(vm, w, &why);
    if (rc == VH_ENOTFOUND && vm->spec.identity && !vm->snapshot_id[0]) {
        if (vm->o.boot_unsaved)
            return vh__vm_boot(vm, w, err);
        vh__log(vm->vms->o.env, VH_LOG_INFO, "vm", vm->id,
                "no snapshot of %s yet: booting it, saving one, then restoring that", vm->image);
        rc = make_snapshot(vm, false, w, err);
        if (rc)
            return rc;
        vm->engine = wanted;
        rc = vh__vm_restore(vm, w, &why); /* it may be another run's, which was quicker */
    }
    if (rc && vm->o.engine == VH_ENGINE_AUTO && is_spoiled(vm, rc, w))
        return boot_instead(vm, &why, w, err);
    if (rc && err)
        *err = why;
    return rc ? rc : label(vm, vm->snapshot_id, err);
}

/* Which setting a run ran out of, when it was the whole's. */
static int name_deadline(const vh_vms *vms, const vh_call *call, const vh__wait *w, int rc, vh_error *err)
{
    if (rc != VH_ETIMEDOUT || vh__wait_left_ms(w) > 0 || (call && call->timeout_ms))
        return rc;
    return vh_error_wrap(err, rc, "%u ms for the whole start (timeout.boot)", vms->o.boot_ms);
}

/* What was borrowed is the caller's again. */
static void give_back(vh_vm *vm)
{
    vm->own_env = vm->o.restore_env && vm->o.restore_env[0];
    vm->o.image = vm->o.accel = vm->o.label = NULL;
    vm->o.env = vm->o.restore_env = NULL;
}

int vh_vm_run(vh_vms *vms, const vh_run_options *opts, const vh_call *call, vh_vm **vm, vh_error *err)
{
    vh__wait w = vh__wait_from(call, vms->o.boot_ms);
    vh_vm *n;
    int rc = vh__vm_new(vms, opts, &n, err);

    if (rc)
        return rc;
    n->phases.begin_ns = vh__clock_mono_ns();
    rc = n->o.engine == VH_ENGINE_BOOT ? vh__vm_boot(n, &w, err) : restore(n, &w, err);
    n->phases.end_ns = vh__clock_mono_ns();
    vh__vm_count_start(n, rc);
    if (rc) {
        vh_vm_free(n);
        return name_deadline(vms, call, &w, rc, err);
    }
    give_back(n);
    vh__log(vms->o.env, VH_LOG_INFO, "vm", n->id, "%s is ready at %s:%u, engine %s", n->image, vh_vm_address(n),
            n->spec.port, vh_engine_name(n->engine));
    *vm = n;
    return 0;
}

/* Sees whether there is a snapshot of |vm|'s key. |id| is its id, if there is one, and what it would be, else. */
static int find_snapshot(const vh_vm *vm, char id[VH_SNAPSHOT_ID], vh_error *err)
{
    vh__snapshot *snap;
    int rc = vh__snapshot_open(vm->vms->o.snapshots, vm->spec.key, &snap, err);

    name_snapshot(vm, id); /* of a damaged one too */
    if (rc == 0)
        vh__snapshot_close(snap);
    return rc;
}

/* VH_ENOTFOUND: one has to be made, whether there is none or it is wanted |again|. 0: there is one, which stays. */
static int look_for_snapshot(const vh_vm *vm, bool again, char id[VH_SNAPSHOT_ID], vh_error *err)
{
    int rc = find_snapshot(vm, id, err);

    return again && (rc == 0 || rc == VH_ECORRUPT) ? VH_ENOTFOUND : rc;
}

static int create_snapshot(vh_vm *vm, bool again, const vh__wait *w, char id[VH_SNAPSHOT_ID], vh_error *err)
{
    int rc = vh__step_resolve(vm, w, err);

    if (rc)
        return rc;
    rc = look_for_snapshot(vm, again, id, err);
    if (rc == VH_ENOTFOUND) {
        rc = make_snapshot(vm, again, w, err);
        if (rc == 0)
            rc = find_snapshot(vm, id, err); /* it may be another process's, which was quicker */
    }
    return rc ? rc : label(vm, id, err);
}

int vh_vm_snapshot_create(vh_vms *vms, const vh_run_options *opts, bool again, const vh_call *call, char *id,
                          vh_error *err)
{
    vh__wait w = vh__wait_from(call, vms->o.boot_ms);
    char made[VH_SNAPSHOT_ID];
    vh_vm *vm;
    int rc = vh__vm_new(vms, opts, &vm, err);

    if (rc)
        return rc;
    rc = create_snapshot(vm, again, &w, made, err);
    if (rc == 0)
        strcpy(id, made); /* the header asks for 72 bytes */
    vh_vm_free(vm);
    return name_deadline(vms, call, &w, rc, err);
}

/* Whether |vm| is one that can be saved. */
static int check_saveable(const vh_vm *vm, vh_error *err)
{
    if (vm->engine != VH_ENGINE_BOOT)
        return vh_error_set(err, VH_ESTATE,
                            "VM %s: it came from snapshot %s, and the memory of a restored VM cannot be saved again; "
                            "save one that was booted",
                            vm->id, vm->snapshot_id);
    if (vm->own_env)
        return vh_error_set(err, VH_ESTATE,
                            "VM %s: it was given an environment of its own (restore_env), which every clone would have; "
                            "save one without",
                            vm->id);
    return 0;
}

int vh_vm_snapshot(vh_vm *vm, bool again, const vh_call *call, char *id, vh_error *err)
{
    vh__wait w = vh__wait_from(call, vm->vms->o.boot_ms);
    char made[VH_SNAPSHOT_ID];
    int rc = check_saveable(vm, err);

    if (rc)
        return rc;
    rc = look_for_snapshot(vm, again, made, err);
    if (rc == VH_ENOTFOUND) {
        rc = vh__vm_save_running(vm, again, &w, made, err);
        if (rc == VH_EEXISTS)
            rc = find_snapshot(vm, made, err); /* another VM was quicker */
    }
    if (rc == 0)
        rc = label(vm, made, err);
    if (rc == 0)
        strcpy(id, made);
    return rc;
}
