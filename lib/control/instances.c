#include "control_priv.h"

#include "auto.h"

static bool add_instance(const vh_instance_info *info, void *listing)
{
    VH_PB(ListInstancesReply) reply = VHIVE__CONTROL__V1__LIST_INSTANCES_REPLY__INIT;
    VH_PB(Instance) instance, *one = &instance;

    vh__proto_from_instance(info, &instance);
    reply.n_instances = 1;
    reply.instances = &one;
    return vh__control_list_add(listing, &reply.base);
}

int vh__control_list_instances(vh__control_call *call, const void *request, vh_error *err)
{
    const VH_PB(ListInstancesRequest) *q = request;
    vh__control_listing l = { .err = err };

    return vh__control_list_send(call, &l, vh_functions_instances(call->o->functions, vh__control_or_null(q->function),
                                                                  add_instance, &l, err));
}

/* No beginning at all would be that of the only VM, which nobody has named. */
static int check_vm(const VH_PB(InstanceRequest) *q, vh_error *err)
{
    return *q->vm ? 0 : vh_error_set(err, VH_EINVALID, "vm: is missing");
}

/* Does |act| to the instance of the request. */
static int act_on(vh__control_call *call, const VH_PB(InstanceRequest) *q,
                  int (*act)(vh_functions *f, const char *vm, const vh_call *call, vh_error *err), vh_error *err)
{
    VH_PB(InstanceReply) reply = VHIVE__CONTROL__V1__INSTANCE_REPLY__INIT;
    int rc = check_vm(q, err);

    if (rc == 0)
        rc = act(call->o->functions, q->vm, &call->bounds, err);
    return rc ? rc : vh__control_send(call, &reply.base, err);
}

int vh__control_pause(vh__control_call *call, const void *request, vh_error *err)
{
    return act_on(call, request, vh_functions_vm_pause, err);
}

int vh__control_resume(vh__control_call *call, const void *request, vh_error *err)
{
    return act_on(call, request, vh_functions_vm_resume, err);
}

int vh__control_kill(vh__control_call *call, const void *request, vh_error *err)
{
    return act_on(call, request, vh_functions_vm_kill, err);
}

int vh__control_snapshot_instance(vh__control_call *call, const void *request, vh_error *err)
{
    VH_PB(SnapshotReply) reply = VHIVE__CONTROL__V1__SNAPSHOT_REPLY__INIT;
    const VH_PB(InstanceRequest) *q = request;
    char id[VH_SNAPSHOT_ID];
    int rc = check_vm(q, err);

    if (rc == 0)
        rc = vh_functions_vm_snapshot(call->o->functions, q->vm, &call->bounds, id, err);
    reply.id = id;
    return rc ? rc : vh__control_send(call, &reply.base, err);
}
