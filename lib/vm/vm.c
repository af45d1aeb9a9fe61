#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "auto.h"
#include "log.h"
#include "vm_priv.h"

/* What stopping takes beside the function's grace period: storing a working set, the last output, the VMM's end. */
#define MARGIN_MS 3000

/* What a VM is told apart by, and saved under, long after it was started. */
static int keep_names(vh_vm *vm, vh_error *err)
{
    vm->image = strdup(vm->o.image);
    vm->label = vm->o.label ? strdup(vm->o.label) : NULL;
    return vm->image && (vm->label || !vm->o.label) ? 0 : vh_error_set(err, -ENOMEM, "virtual machine");
}

int vh__vm_new(vh_vms *vms, const vh_run_options *o, vh_vm **vm, vh_error *err)
{
    vh_vm *n = calloc(1, sizeof(*n));
    unsigned nonce;
    int rc;

    if (!n)
        return vh_error_set(err, -ENOMEM, "virtual machine");
    n->vms = vms;
    vh__client_init(&n->client);
    n->o = (vh_run_options)VH_RUN_OPTIONS_INIT;
    memcpy(&n->o, o, VH_MIN(o->size, sizeof(n->o)));
    n->output = (struct output){ .fn = n->o.output, .arg = n->o.output_arg, .read_fd = { -1, -1 },
                                 .write_fd = { -1, -1 } };
    rc = n->o.image ? keep_names(n, err) : vh_error_set(err, VH_EINVALID, "run without an image");
    if (rc == 0 && getrandom(&nonce, sizeof(nonce), 0) != sizeof(nonce))
        rc = vh_error_set(err, -errno, "id of the VM");
    if (rc) {
        vh_vm_free(n);
        return rc;
    }
    snprintf(n->id, sizeof(n->id), "vm-%08x", nonce);
    *vm = n;
    return 0;
}

void vh__vm_release(vh_vm *vm)
{
    vh__undo_shim(vm);
    vh__undo_net(vm);
}

void vh_vm_free(vh_vm *vm)
{
    if (!vm)
        return;
    vh__vm_release(vm);
    vh__client_fini(&vm->client);
    vh__snapshot_close(vm->snap);
    vh__spec_fini(&vm->spec);
    free(vm->image);
    free(vm->label);
    free(vm);
}

const char *vh_vm_id(const vh_vm *vm)
{
    return vm->id;
}

const char *vh_vm_address(const vh_vm *vm)
{
    return vm->address;
}

uint16_t vh_vm_port(const vh_vm *vm)
{
    return vm->spec.port;
}

int vh__vm_event_fd(const vh_vm *vm)
{
    return vm->client.sock;
}

vh_engine vh_vm_engine(const vh_vm *vm)
{
    return vm->engine;
}

const char *vh_vm_snapshot_id(const vh_vm *vm)
{
    return vm->snapshot_id;
}

const char *vh_vm_vmm(const vh_vm *vm)
{
    (void)vm;
    return "qemu";
}

const char *vh_vm_vmm_version(const vh_vm *vm)
{
    return vm->spec.vmm_version;
}

const char *vh_vm_accel(const vh_vm *vm)
{
    return vm->spec.accel;
}

vh_phases *vh_vm_phases(vh_vm *vm)
{
    return &vm->phases;
}

int vh_vm_stats_get(vh_vm *vm, const vh_call *call, vh_vm_stats *stats, vh_error *err)
{
    vh__wait w = vh__wait_from(call, 5000);
    vh__shim_message a = { 0 };
    vh_vm_stats s;
    int rc = vh__client_call(&vm->client, &w, vh__client_request("stats"), NULL, 0, NULL, &a, err);

    if (rc)
        return rc;
    s = (vh_vm_stats){ .size = stats->size,
                       .faults = vh__json_u64_or(a.json, "faults", 0),
                       .residual_faults = vh__json_u64_or(a.json, "residual_faults", 0),
                       .ws_pages = vh__json_u64_or(a.json, "ws_pages", 0),
                       .installed_pages = vh__json_u64_or(a.json, "installed_pages", 0),
                       .bytes_read = vh__json_u64_or(a.json, "bytes_read", 0),
                       .vmm_pss_kib = vh__json_u64_or(a.json, "vmm_pss_kib", 0),
                       .recording = vm->recording,
                       .boot_retries = vm->boot_retries };
    memcpy(stats, &s, VH_MIN(stats->size, sizeof(s)));
    vh__shim_message_fini(&a);
    return 0;
}

/* A working set that lacks this share (one in ...) of what is asked for is recorded anew. */
#define RESIDUAL_SHARE 10

/* Names the place, and the remedy for a full disk. */
static int explain_record(const vh_vm *vm, int rc, vh_error *err)
{
    const char *remedy = rc == -ENOSPC || rc == -EDQUOT ? ", where no room is left (`vhive-ctl snapshot prune` or `rm` "
                                                          "make some; then the next restore records it)"
                                                        : "";

    return vh_error_wrap(err, rc, "store the working set in %s/snapshots/%s%s", vh_env_state_dir(vm->vms->o.env),
                         vm->snapshot_id, remedy);
}

/* First restore: stores what was touched. */
static int store_recording(vh_vm *vm, const vh__wait *w, vh_error *err)
{
    vh__shim_fd fd = { "dir", vh__snapshot_dir_fd(vm->snap) };
    vh__shim_message a = { 0 };
    int rc;

    vm->recording = false; /* taken once, however it ends */
    rc = vh__client_call(&vm->client, w, vh__client_request("record"), &fd, 1, NULL, &a, err);
    vh__snapshot_ws_unlock(vm->snap);
    if (rc)
        return explain_record(vm, rc, err);
    vh__log(vm->vms->o.env, VH_LOG_INFO, "vm", vm->id, "recorded the working set of snapshot %s: %llu pages, %llu runs",
            vm->snapshot_id, (unsigned long long)vh__json_u64_or(a.json, "pages", 0),
            (unsigned long long)vh__json_u64_or(a.json, "runs", 0));
    vh__shim_message_fini(&a);
    return 0;
}

/* Later ones: sees whether the working set is still that of what is asked of the function. */
static int check_replay(vh_vm *vm, const vh__wait *w, vh_error *err)
{
    vh__shim_message a = { 0 };
    uint64_t residual, pages;
    int rc;

    vm->replay = false; /* looked at once */
    rc = vh__client_call(&vm->client, w, vh__client_request("stats"), NULL, 0, NULL, &a, err);
    if (rc)
        return rc;
    residual = vh__json_u64_or(a.json, "residual_faults", 0);
    pages = vh__json_u64_or(a.json, "ws_pages", 0);
    vh__shim_message_fini(&a);
    if (residual * RESIDUAL_SHARE <= pages)
        return 0;
    vh__log(vm->vms->o.env, VH_LOG_INFO, "vm", vm->id,
            "the working set of snapshot %s, %llu pages, lacked %llu: the next restore records it anew",
            vm->snapshot_id, (unsigned long long)pages, (unsigned long long)residual);
    return vh__snapshot_ws_drop(vm->snap, err);
}

static int record_end(vh_vm *vm, const vh__wait *w, vh_error *err)
{
    if (vm->client.sock < 0 || vm->client.exit_seen)
        return 0;
    if (vm->recording)
        return store_recording(vm, w, err);
    return vm->replay ? check_replay(vm, w, err) : 0;
}

int vh_vm_record_end(vh_vm *vm, const vh_call *call, vh_error *err)
{
    vh__wait w = vh__wait_from(call, 10000);

    return record_end(vm, &w, err);
}

int vh_vm_wait(vh_vm *vm, const vh_call *call, vh_vm_exit *exit, vh_error *err)
{
    vh__wait w = vh__wait_from(call, UINT32_MAX);
    int rc = vh__client_wait_exit(&vm->client, &w, err);

    if (rc == 0)
        *exit = vm->client.exit;
    return rc;
}

static int stop_function(vh_vm *vm, const vh__wait *w, vh_error *err)
{
    uint32_t left = (uint32_t)vh__wait_left_ms(w);
    vh_auto_buf vh__buf frame = { 0 };
    int rc = vh__message_stop(left > MARGIN_MS ? left - MARGIN_MS : left / 2, &frame, err);

    if (rc == 0)
        rc = vh__client_call(&vm->client, w, vh__client_request("stop"), NULL, 0, &frame, NULL, err);
    return rc == VH_ESTATE ? 0 : rc; /* it ended by itself meanwhile */
}

int vh_vm_stop(vh_vm *vm, const vh_call *call, vh_error *err)
{
    vh__wait w = vh__wait_from(call, vm->vms->o.stop_ms + MARGIN_MS);
    vh_error why = { 0 };
    int rc = 0;

    if (record_end(vm, &w, &why))
        vh__log(vm->vms->o.env, VH_LOG_WARN, "vm", vm->id, "no working set was stored: %s", why.msg);
    if (vm->client.sock >= 0 && !vm->client.exit_seen) {
        vh__vm_count_pages(vm);
        rc = stop_function(vm, &w, err);
    }
    vh__vm_release(vm);
    return rc;
}

void vh_vm_kill(vh_vm *vm)
{
    vh__client_signal_kill(&vm->client);
}
