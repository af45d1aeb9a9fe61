/* The library's own VMs. */
#include <stdio.h>
#include <string.h>

#include "fn.h"
#include "vm.h"

static void facts(vh_vm *vm, vh_instance_info *info, vh_phases *phases)
{
    snprintf(info->vm, sizeof(info->vm), "%s", vh_vm_id(vm));
    snprintf(info->address, sizeof(info->address), "%s", vh_vm_address(vm));
    snprintf(info->engine, sizeof(info->engine), "%s", vh_engine_name(vh_vm_engine(vm)));
    snprintf(info->snapshot, sizeof(info->snapshot), "%s", vh_vm_snapshot_id(vm));
    info->port = vh_vm_port(vm);
    *phases = *vh_vm_phases(vm);
}

/* Its message is there already: nothing is waited for. */
static bool ended(vh_vm *vm, vh_vm_exit *exit)
{
    vh_call call = { .size = sizeof(call), .timeout_ms = 1 };
    vh_error err = { 0 };
    int rc = vh_vm_wait(vm, &call, exit, &err);

    if (rc && rc != VH_ETIMEDOUT)
        snprintf(exit->reason, sizeof(exit->reason), "%s", err.msg);
    return rc != VH_ETIMEDOUT;
}

const vh__functions_vms vh__functions_real_vms = {
    .run = vh_vm_run,
    .facts = facts,
    .save = vh_vm_snapshot,
    .pause = vh_vm_pause,
    .resume = vh_vm_resume,
    .tend = vh_vm_record_end,
    .event_fd = vh__vm_event_fd,
    .ended = ended,
    .stop = vh_vm_stop,
    .kill = vh_vm_kill,
    .free = vh_vm_free,
};
