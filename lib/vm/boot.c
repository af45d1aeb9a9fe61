/* Booting a VM. */
#include <errno.h>

#include "auto.h"
#include "log.h"
#include "vm_priv.h"

static int step_spawn(void *ctx, const vh__wait *w, vh_error *err)
{
    return vh__vm_spawn(ctx, w, VH_VMM_MEMORY_SHARED, err);
}

static int await_hello(vh_vm *vm, const vh__wait *w, vh_error *err)
{
    vh__wait soon = vh__wait_within(w, vm->vms->o.hello_ms);

    return vh__client_call(&vm->client, &soon, vh__client_request("hello"), NULL, 0, NULL, NULL, err);
}

/* Rarely a guest hangs in early boot (timer calibration under TCG): it gets one more chance. */
static int step_hello(void *ctx, const vh__wait *w, vh_error *err)
{
    vh_vm *vm = ctx;
    vh_error first = { 0 };
    int rc;

    vh__progress(vm->vms->o.env, w, "guest-boot", vm->image, 0, 0);
    rc = await_hello(vm, w, &first);

    if (rc == VH_ETIMEDOUT && vh__wait_left_ms(w) > 0 && vm->client.sock >= 0) {
        vh__log(vm->vms->o.env, VH_LOG_WARN, "vm", vm->id, "booting again: %s", first.msg);
        vm->boot_retries++;
        rc = step_spawn(vm, w, err);
        if (rc == 0)
            rc = await_hello(vm, w, err);
    } else if (err) {
        *err = first;
    }
    if (rc == VH_ETIMEDOUT && vh__wait_left_ms(w) > 0)
        return vh_error_wrap(err, rc, "%u ms (timeout.hello)", vm->vms->o.hello_ms);
    return rc;
}

static int step_function(void *ctx, const vh__wait *w, vh_error *err)
{
    vh_vm *vm = ctx;
    vh__wait soon = vh__wait_within(w, vm->vms->o.ready_ms);
    vh_auto_buf vh__buf frame = { 0 };
    int rc = vh__message_start(vm, &frame, err);

    vh__progress(vm->vms->o.env, w, "function-start", vm->image, 0, 0);
    if (rc == 0)
        rc = vh__client_call(&vm->client, &soon, vh__vm_with_facts(vm, vh__client_request("start")), NULL, 0, &frame,
                             NULL, err);
    if (rc == VH_ETIMEDOUT && vh__wait_left_ms(w) > 0)
        return vh_error_wrap(err, rc, "port %u, %u ms (timeout.ready)", vm->spec.port, vm->vms->o.ready_ms);
    return rc;
}

/* A restore that found no snapshot has resolved already. */
static bool is_resolved(const void *ctx)
{
    const vh_vm *vm = ctx;

    return vm->spec.identity != NULL;
}

static const vh__step boot_steps[] = {
    { .id = "net-lease", .run = vh__step_net, .undo = vh__undo_net, .background = true },
    { .id = "shim-spawn", .run = vh__step_shim, .undo = vh__undo_shim, .background = true },
    { .id = "resolve", .run = vh__step_resolve, .skip = is_resolved },
    { .id = "vmm-spawn", .run = step_spawn, .after = { "net-lease", "shim-spawn" } },
    { .id = "guest-boot", .run = step_hello },
    { .id = "function-start", .run = step_function },
};

int vh__vm_boot(vh_vm *vm, const vh__wait *w, vh_error *err)
{
    vm->engine = VH_ENGINE_BOOT;
    return vh__flow_run(boot_steps, VH_ARRAY_LEN(boot_steps), vm, w, &vm->phases, err);
}
