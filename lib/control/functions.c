#include "control_priv.h"

#include "auto.h"

static bool add_function(const vh_function_info *info, void *listing)
{
    VH_PB(ListFunctionsReply) reply = VHIVE__CONTROL__V1__LIST_FUNCTIONS_REPLY__INIT;
    VH_PB(FunctionSpec) spec;
    VH_PB(Function) function, *one = &function;

    vh__proto_from_function(info, &spec, &function);
    reply.n_functions = 1;
    reply.functions = &one;
    return vh__control_list_add(listing, &reply.base);
}

int vh__control_list_functions(vh__control_call *call, const void *request, vh_error *err)
{
    const VH_PB(ListFunctionsRequest) *q = request;
    vh__control_listing l = { .err = err };

    return vh__control_list_send(call, &l, vh_functions_list(call->o->functions, vh__control_or_null(q->name),
                                                             add_function, &l, err));
}

/* Sends what the function |name| is now, as the message that |wrap| makes. */
static int send_function(vh__control_call *call, const char *name,
                         int (*wrap)(vh__control_call *call, VH_PB(Function) *function, vh_error *err), vh_error *err)
{
    vh__control_listing l = { .err = err };
    ProtobufCMessage *m = NULL;
    int rc = vh_functions_list(call->o->functions, name, add_function, &l, err);

    rc = rc ? rc : l.rc;
    if (rc == 0)
        rc = vh__proto_unpack(&vhive__control__v1__list_functions_reply__descriptor, l.bytes.data, l.bytes.len, &m,
                              err);
    if (rc == 0)
        rc = wrap(call, ((VH_PB(ListFunctionsReply) *)m)->functions[0], err);
    vh__proto_free(m);
    vh__buf_fini(&l.bytes);
    return rc;
}

static int tell_progress(vh__control_call *call, VH_PB(Progress) *progress, vh_error *err)
{
    VH_PB(DeployReply) reply = VHIVE__CONTROL__V1__DEPLOY_REPLY__INIT;

    reply.what_case = VHIVE__CONTROL__V1__DEPLOY_REPLY__WHAT_PROGRESS;
    reply.progress = progress;
    return vh__control_send(call, &reply.base, err);
}

static int tell_deployed(vh__control_call *call, VH_PB(Function) *function, vh_error *err)
{
    VH_PB(DeployReply) reply = VHIVE__CONTROL__V1__DEPLOY_REPLY__INIT;

    reply.what_case = VHIVE__CONTROL__V1__DEPLOY_REPLY__WHAT_FUNCTION;
    reply.function = function;
    return vh__control_send(call, &reply.base, err);
}

struct deployment {
    vh_function_spec spec;
    bool must_exist;
};

static int deploy(vh__control_call *call, const vh_call *bounds, void *arg, vh_error *err)
{
    const struct deployment *d = arg;

    return d->must_exist ? vh_functions_update(call->o->functions, &d->spec, bounds, err)
                         : vh_functions_deploy(call->o->functions, &d->spec, bounds, err);
}

int vh__control_deploy(vh__control_call *call, const void *request, vh_error *err)
{
    const VH_PB(DeployRequest) *q = request;
    struct deployment d = { .must_exist = q->must_exist };
    vh_auto_free const char **env = NULL;
    int rc = vh__proto_to_spec(q->spec, &d.spec, &env, err);

    if (rc == 0)
        rc = vh__control_with_progress(call, deploy, &d, tell_progress, err);
    return rc ? rc : send_function(call, d.spec.name, tell_deployed, err);
}

static int tell_function(vh__control_call *call, VH_PB(Function) *function, vh_error *err)
{
    return vh__control_send(call, &function->base, err);
}

int vh__control_scale(vh__control_call *call, const void *request, vh_error *err)
{
    const VH_PB(ScaleRequest) *q = request;
    int rc = vh_functions_scale(call->o->functions, q->name, q->min, q->max, err);

    return rc ? rc : send_function(call, q->name, tell_function, err);
}

int vh__control_remove(vh__control_call *call, const void *request, vh_error *err)
{
    VH_PB(RemoveReply) reply = VHIVE__CONTROL__V1__REMOVE_REPLY__INIT;
    const VH_PB(RemoveRequest) *q = request;
    int rc = vh_functions_remove(call->o->functions, q->name, &call->bounds, err);

    return rc ? rc : vh__control_send(call, &reply.base, err);
}
