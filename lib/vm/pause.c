/* Freezing a VM's processors and letting them go on. */
#include "vm_priv.h"

#define PAUSE_MS 10000

static int simple_call(vh_vm *vm, const char *op, const vh_call *call, vh_error *err)
{
    vh__wait w = vh__wait_from(call, PAUSE_MS);

    return vh__client_call(&vm->client, &w, vh__client_request(op), NULL, 0, NULL, NULL, err);
}

int vh_vm_pause(vh_vm *vm, const vh_call *call, vh_error *err)
{
    return simple_call(vm, "pause", call, err);
}

int vh_vm_resume(vh_vm *vm, const vh_call *call, vh_error *err)
{
    return simple_call(vm, "unpause", call, err);
}
