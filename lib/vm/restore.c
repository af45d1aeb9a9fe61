/*
 * Restoring a snapshot. Network and shim, which every restore needs, are made while image and snapshot are looked at;
 * the read of the working set starts as soon as both are known; the VMM is spawned beside it, and loads while the
 * working set is installed.
 *
 * With the engines uffd and reap a VMM is spawned without memory and disk, and is bound to the snapshot afterwards; so
 * a shell, which somebody has spawned ahead, can take the place of network, shim and VMM.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "auto.h"
#include "log.h"
#include "vm_priv.h"

static bool not_reap(const void *ctx)
{
    const vh_vm *vm = ctx;

    return vm->engine != VH_ENGINE_REAP;
}

static bool not_replaying(const void *ctx)
{
    const vh_vm *vm = ctx;

    return !vm->replay;
}

static bool serves_faults(const vh_vm *vm)
{
    return vm->engine != VH_ENGINE_FILE;
}

static bool is_shell(const void *ctx)
{
    const vh_vm *vm = ctx;

    return vm->shell;
}

static bool bound_by_spawn(const void *ctx)
{
    return !serves_faults(ctx);
}

static int step_machine(void *ctx, const vh__wait *w, vh_error *err)
{
    vh_vm *vm = ctx;
    int rc = vh__spec_machine(vm, w, err);

    if (rc == 0 && serves_faults(vm))
        vh__shell_take(vm);
    return rc;
}

static void undo_machine(void *ctx)
{
    vh_vm *vm = ctx;

    if (vm->shell)
        vh__vm_release(vm);
    vm->shell_lost = vm->shell;
    vm->shell = false;
}

static int step_open(void *ctx, const vh__wait *w, vh_error *err)
{
    vh_vm *vm = ctx;
    int rc;

    /* from here on it is a restore; what came before may have converted an image or fetched a kernel */
    vm->restore_wait = vh__wait_within(w, vm->vms->o.restore_ms);
    rc = vh__snapshot_open(vm->vms->o.snapshots, vm->spec.key, &vm->snap, err);
    if (rc == 0)
        snprintf(vm->snapshot_id, sizeof(vm->snapshot_id), "%s", vh__snapshot_id(vm->snap));
    return rc;
}

static void undo_open(void *ctx)
{
    vh_vm *vm = ctx;

    vh__snapshot_close(vm->snap);
    vm->snap = NULL;
    vm->replay = vm->recording = false;
}

static cJSON *fetch_request(const vh_vm *vm)
{
    cJSON *j = vh__client_request("fetch");

    if (cJSON_AddStringToObject(j, "snapshot", vh__snapshot_ws_owner(vm->snap)) &&
        cJSON_AddNumberToObject(j, "memory_bytes", (double)vh__snapshot_memory_bytes(vm->snap)))
        return j;
    cJSON_Delete(j);
    return NULL;
}

static void record(vh_vm *vm)
{
    vm->replay = false;
    vm->recording = vh__snapshot_ws_lock(vm->snap, NULL) == 0; /* else another run is at it */
}

static void warn_of_ws(const vh_vm *vm, const char *why)
{
    vh__log(vm->vms->o.env, VH_LOG_WARN, "vm", vm->id, "the working set of snapshot %s is ignored and recorded anew: %s",
            vh__snapshot_id(vm->snap), why);
}

/* Without a working set, or with one that cannot be read, this run records one. */
static int step_fetch(void *ctx, const vh__wait *w, vh_error *err)
{
    vh_vm *vm = ctx;
    vh__shim_fd fd = { "dir", vh__snapshot_dir_fd(vm->snap) };
    vh_error why = { 0 };
    int rc = 0;

    if (vh__snapshot_has_ws(vm->snap)) {
        rc = vh__client_call(&vm->client, w, fetch_request(vm), &fd, 1, NULL, NULL, &why);
        vm->replay = rc == 0;
        if (rc && rc != -ENOENT)
            warn_of_ws(vm, why.msg);
    }
    if (vm->client.sock < 0 || rc == VH_ECANCELED || rc == VH_ETIMEDOUT) {
        if (err)
            *err = why;
        return rc;
    }
    if (!vm->replay)
        record(vm);
    return 0;
}

static int step_spawn(void *ctx, const vh__wait *w, vh_error *err)
{
    return vh__vm_spawn(ctx, w, serves_faults(ctx) ? VH_VMM_MEMORY_UFFD : VH_VMM_MEMORY_PRIVATE, err);
}

/* A shell has what takes time behind it: one that is not bound by then hangs. */
#define SHELL_BIND_MS 3000

static int step_bind(void *ctx, const vh__wait *w, vh_error *err)
{
    vh_vm *vm = ctx;
    vh__wait soon = vm->shell ? vh__wait_within(w, SHELL_BIND_MS) : *w;
    const char *path = vh_image_rootfs_path(vm->spec.image);
    vh_auto_fd int rootfs = open(path, O_RDONLY | O_CLOEXEC);
    vh__shim_bind b = { .snapshot = vh__snapshot_ws_owner(vm->snap), .record = vm->recording, .replay = vm->replay };
    int rc = rootfs < 0 ? vh_error_set(err, -errno, "open %s", path) : vh__output_start(&vm->output, err);
    vh__shim_fd fds[] = { { "memory", vh__snapshot_memory_fd(vm->snap) },
                          { "rootfs", rootfs },
                          { "stdout", vm->output.write_fd[0] },
                          { "stderr", vm->output.write_fd[1] } };

    if (rc == 0)
        rc = vh__client_call(&vm->client, &soon, vh__shim_bind_encode(&b), fds, VH_ARRAY_LEN(fds), NULL, NULL, err);
    if (rc == 0)
        vh__output_given(&vm->output);
    return rc;
}

static int step_load(void *ctx, const vh__wait *w, vh_error *err)
{
    vh_vm *vm = ctx;
    vh__shim_fd fd = { "vmstate", vh__snapshot_vmstate_fd(vm->snap) };
    int rc;

    vm->loading = true;
    rc = vh__client_call(&vm->client, w, vh__client_request("load"), &fd, 1, NULL, NULL, err);
    return rc == VH_EVMM ? vh_error_wrap(err, rc,
                                         "snapshot %s does not load (vhive-ctl snapshot rm %s makes room for a new one)",
                                         vh__snapshot_id(vm->snap), vh__snapshot_id(vm->snap))
                         : rc;
}

/* What the shim did beside the steps. */
static void add_overlapped(vh_vm *vm, const vh__shim_message *m, const char *id, const char *start, const char *end)
{
    vh_phases_add(&vm->phases, id, (int64_t)vh__json_u64_or(m->json, start, 0), (int64_t)vh__json_u64_or(m->json, end, 0),
                  false);
}

static int step_install(void *ctx, const vh__wait *w, vh_error *err)
{
    vh_vm *vm = ctx;
    vh__shim_message answer = { 0 };
    const char *warning;
    int rc = vh__client_call(&vm->client, w, vh__client_request("installed"), NULL, 0, NULL, &answer, err);

    if (rc)
        return rc;
    warning = vh__json_str_or(answer.json, "warning", NULL);
    if (warning) {
        warn_of_ws(vm, warning);
        record(vm);
    } else {
        add_overlapped(vm, &answer, "ws-read", "fetch_start_ns", "fetch_end_ns");
        add_overlapped(vm, &answer, "ws-copy", "install_start_ns", "install_end_ns");
    }
    vh__shim_message_fini(&answer);
    return 0;
}

static int step_resume(void *ctx, const vh__wait *w, vh_error *err)
{
    vh_vm *vm = ctx;

    return vh__client_call(&vm->client, w, vh__client_request("resume"), NULL, 0, NULL, NULL, err);
}

static int step_agent(void *ctx, const vh__wait *w, vh_error *err)
{
    vh_vm *vm = ctx;
    vh_auto_buf vh__buf frame = { 0 };
    cJSON *req = vh__vm_with_facts(vm, vh__client_request("tell"));
    int rc = vh__message_restored(vm, &frame, err);

    if (rc || !cJSON_AddTrueToObject(req, "pong")) {
        cJSON_Delete(req);
        return rc ? rc : vh_error_set(err, -ENOMEM, "request to shim");
    }
    return vh__client_call(&vm->client, w, req, NULL, 0, &frame, NULL, err);
}

static const vh__step restore_steps[] = {
    { .id = "machine", .run = step_machine, .undo = undo_machine },
    { .id = "net-lease", .run = vh__step_net, .undo = vh__undo_net, .background = true, .skip = is_shell },
    { .id = "shim-spawn", .run = vh__step_shim, .undo = vh__undo_shim, .background = true, .skip = is_shell },
    { .id = "resolve", .run = vh__step_resolve },
    { .id = "snapshot-open", .run = step_open, .undo = undo_open },
    { .id = "ws-fetch", .run = step_fetch, .after = { "shim-spawn" }, .skip = not_reap },
    { .id = "vmm-spawn", .run = step_spawn, .after = { "net-lease", "shim-spawn" }, .skip = is_shell },
    { .id = "vmm-bind", .run = step_bind, .skip = bound_by_spawn },
    { .id = "vmm-load", .run = step_load },
    { .id = "ws-install", .run = step_install, .skip = not_replaying },
    { .id = "vmm-resume", .run = step_resume },
    { .id = "agent-ping", .run = step_agent },
};

static int restore_once(vh_vm *vm, const vh__wait *w, vh_error *err)
{
    vm->restore_wait = *w;
    vm->loading = vm->shell_lost = false;
    return vh__flow_run(restore_steps, VH_ARRAY_LEN(restore_steps), vm, &vm->restore_wait, &vm->phases, err);
}

/* Whether it failed by a shell that died or hung as it waited, for which the snapshot can do nothing. */
static bool was_bad_shell(const vh_vm *vm, int rc, const vh__wait *w)
{
    return vm->shell_lost && !vm->loading && (rc == VH_EVMM || (rc == VH_ETIMEDOUT && vh__wait_left_ms(w) > 0));
}

/* Ends: each time another shell is used up. */
int vh__vm_restore(vh_vm *vm, const vh__wait *w, vh_error *err)
{
    vh_error why = { 0 };
    int rc = restore_once(vm, w, &why);

    while (was_bad_shell(vm, rc, w)) {
        vh__log(vm->vms->o.env, VH_LOG_WARN, "vm", vm->id, "a waiting VMM was of no use; another is used: %s", why.msg);
        rc = restore_once(vm, w, &why);
    }
    if (rc && err)
        *err = why;
    return rc;
}
