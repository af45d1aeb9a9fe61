/* What a VM's shim tells of it to whoever asks. */
#include <unistd.h>

#include "clock.h"
#include "vm_priv.h"

cJSON *vh__vm_with_facts(const vh_vm *vm, cJSON *request)
{
    cJSON *f = cJSON_AddObjectToObject(request, "facts");

    if (cJSON_AddStringToObject(f, "dir", vm->dir) && cJSON_AddStringToObject(f, "image", vm->image) &&
        cJSON_AddStringToObject(f, "address", vm->address) && cJSON_AddNumberToObject(f, "port", vm->spec.port) &&
        cJSON_AddStringToObject(f, "engine", vh_engine_name(vm->engine)) &&
        cJSON_AddStringToObject(f, "snapshot", vm->snapshot_id) && cJSON_AddNumberToObject(f, "pid", getpid()) &&
        cJSON_AddNumberToObject(f, "started_us", (double)(vh__clock_real_ns() / 1000)))
        return request;
    cJSON_Delete(request);
    return NULL;
}
