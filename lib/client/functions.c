#include "client_priv.h"

#include <errno.h>
#include <string.h>

#include "auto.h"
#include "clock.h"

/* Follows a deployment to its end, which is a function. */
static int follow(vh__client_call *c, const vh__wait *w, vh_error *err)
{
    bool deployed = false;
    ProtobufCMessage *m;
    int rc;

    while ((rc = vh__client_next(c, NULL, VH_PB_TYPE(deploy_reply), &m, err)) > 0) {
        const VH_PB(DeployReply) *reply = (VH_PB(DeployReply) *)m;

        if (reply->what_case == VHIVE__CONTROL__V1__DEPLOY_REPLY__WHAT_PROGRESS)
            vh__client_progress(w, reply->progress);
        deployed = deployed || reply->what_case == VHIVE__CONTROL__V1__DEPLOY_REPLY__WHAT_FUNCTION;
        vh__proto_free(m);
    }
    return rc || deployed ? rc : vh_error_set(err, VH_EPROTOCOL, "Deploy: vhived ends the call without an answer");
}

static int deploy(vh_client *client, const vh_function_spec *spec, bool must_exist, const vh_call *call, vh_error *err)
{
    VH_PB(DeployRequest) request = VHIVE__CONTROL__V1__DEPLOY_REQUEST__INIT;
    VH_PB(FunctionSpec) message;
    vh_auto_free char *image = NULL;
    vh_function_spec own = VH_FUNCTION_SPEC_INIT;
    vh__wait w = vh__client_bounds(call, 0);
    vh__client_call c;
    int rc;

    memcpy(&own, spec, VH_MIN(spec->size, sizeof(own)));
    rc = vh__client_reference(own.image ? own.image : "", NULL, &image, err);
    if (rc)
        return rc;
    own.image = image;
    vh__proto_from_spec(&own, &message);
    request.spec = &message;
    request.must_exist = must_exist;
    rc = vh__client_open(client, "Deploy", &request.base, true, &w, &c, err);
    if (rc)
        return rc;
    rc = follow(&c, &w, err);
    vh__client_close(&c);
    return rc;
}

int vh_client_deploy(vh_client *client, const vh_function_spec *spec, const vh_call *call, vh_error *err)
{
    return deploy(client, spec, false, call, err);
}

int vh_client_update(vh_client *client, const vh_function_spec *spec, const vh_call *call, vh_error *err)
{
    return deploy(client, spec, true, call, err);
}

int vh_client_scale(vh_client *client, const char *name, uint32_t min, uint32_t max, const vh_call *call,
                    vh_error *err)
{
    VH_PB(ScaleRequest) request = VHIVE__CONTROL__V1__SCALE_REQUEST__INIT;
    vh__wait w = vh__client_bounds(call, 0);

    request.name = (char *)name; /* protobuf-c has no const, here and below */
    request.min = min;
    request.max = max;
    return vh__client_order(client, "Scale", &request.base, VH_PB_TYPE(function), &w, err);
}

int vh_client_remove(vh_client *client, const char *name, const vh_call *call, vh_error *err)
{
    VH_PB(RemoveRequest) request = VHIVE__CONTROL__V1__REMOVE_REQUEST__INIT;
    vh__wait w = vh__client_bounds(call, 0);

    request.name = (char *)name;
    return vh__client_order(client, "Remove", &request.base, VH_PB_TYPE(remove_reply), &w, err);
}

/* What the daemon says must be what it may say; else it is none. */
static int bad_entry(int rc, vh_error *err)
{
    return rc == VH_EINVALID ? vh_error_wrap(err, VH_EPROTOCOL, "answer of vhived") : rc;
}

int vh_client_functions(vh_client *client, const char *name, const vh_call *call, vh_function_fn each, void *arg,
                        vh_error *err)
{
    VH_PB(ListFunctionsRequest) request = VHIVE__CONTROL__V1__LIST_FUNCTIONS_REQUEST__INIT;
    vh__wait w = vh__client_bounds(call, VH_CLIENT_LIST_MS);
    const VH_PB(ListFunctionsReply) *list;
    ProtobufCMessage *answer = NULL;
    bool more = true;
    int rc;

    request.name = (char *)(name ? name : "");
    rc = vh__client_ask(client, "ListFunctions", &request.base, VH_PB_TYPE(list_functions_reply), &w, &answer, err);
    list = (const VH_PB(ListFunctionsReply) *)answer;
    for (size_t i = 0; rc == 0 && more && i < list->n_functions; i++) {
        vh_auto_free const char **env = NULL;
        vh_function_info info;

        rc = bad_entry(vh__proto_to_function(list->functions[i], &info, &env, err), err);
        more = rc == 0 && each(&info, arg);
    }
    vh__proto_free(answer);
    return rc;
}

int vh_client_instances(vh_client *client, const char *name, const vh_call *call, vh_instance_fn each, void *arg,
                        vh_error *err)
{
    VH_PB(ListInstancesRequest) request = VHIVE__CONTROL__V1__LIST_INSTANCES_REQUEST__INIT;
    vh__wait w = vh__client_bounds(call, VH_CLIENT_LIST_MS);
    const VH_PB(ListInstancesReply) *list;
    ProtobufCMessage *answer = NULL;
    bool more = true;
    int rc;

    request.function = (char *)(name ? name : "");
    rc = vh__client_ask(client, "ListInstances", &request.base, VH_PB_TYPE(list_instances_reply), &w, &answer, err);
    list = (const VH_PB(ListInstancesReply) *)answer;
    for (size_t i = 0; rc == 0 && more && i < list->n_instances; i++) {
        vh_instance_info info;

        rc = bad_entry(vh__proto_to_instance(list->instances[i], &info, err), err);
        more = rc == 0 && each(&info, arg);
    }
    vh__proto_free(answer);
    return rc;
}

/* Does |method| to the instance |vm|. */
static int act_on(vh_client *client, const char *method, const char *vm, const vh_call *call, vh_error *err)
{
    VH_PB(InstanceRequest) request = VHIVE__CONTROL__V1__INSTANCE_REQUEST__INIT;
    vh__wait w = vh__client_bounds(call, 0);

    request.vm = (char *)vm;
    return vh__client_order(client, method, &request.base, VH_PB_TYPE(instance_reply), &w, err);
}

int vh_client_vm_pause(vh_client *client, const char *vm, const vh_call *call, vh_error *err)
{
    return act_on(client, "PauseInstance", vm, call, err);
}

int vh_client_vm_resume(vh_client *client, const char *vm, const vh_call *call, vh_error *err)
{
    return act_on(client, "ResumeInstance", vm, call, err);
}

int vh_client_vm_kill(vh_client *client, const char *vm, const vh_call *call, vh_error *err)
{
    return act_on(client, "KillInstance", vm, call, err);
}

int vh_client_vm_snapshot(vh_client *client, const char *vm, const vh_call *call, char *id, vh_error *err)
{
    VH_PB(InstanceRequest) request = VHIVE__CONTROL__V1__INSTANCE_REQUEST__INIT;
    vh__wait w = vh__client_bounds(call, 0);
    ProtobufCMessage *answer = NULL;
    int rc;

    request.vm = (char *)vm;
    rc = vh__client_ask(client, "SnapshotInstance", &request.base, VH_PB_TYPE(snapshot_reply), &w, &answer, err);
    if (rc == 0)
        rc = bad_entry(vh__proto_copy("id", ((VH_PB(SnapshotReply) *)answer)->id, id, VH_SNAPSHOT_ID, err), err);
    vh__proto_free(answer);
    return rc;
}

static int take_timing(const VH_PB(InvokeReply) *reply, int64_t begin_ns, vh_invoke_timing *timing, vh_error *err)
{
    vh_invoke_timing t = { .size = timing->size, .cold = reply->cold };
    int rc = vh__proto_copy("vm", reply->vm, t.vm, sizeof(t.vm), err);

    t.phases.begin_ns = begin_ns;
    for (size_t i = 0; i < VH_MIN(reply->n_phases, VH_PHASES_MAX); i++) {
        const VH_PB(Phase) *p = reply->phases[i];
        int64_t start_ns = begin_ns + p->start_us * 1000;

        vh_phases_add(&t.phases, p->id, start_ns, start_ns + p->us * 1000, p->critical);
    }
    t.phases.end_ns = begin_ns + reply->total_us * 1000;
    if (rc == 0)
        memcpy(timing, &t, VH_MIN(timing->size, sizeof(t)));
    return rc;
}

static int take_answer(const VH_PB(InvokeReply) *reply, vh_invoke_response *out, vh_error *err)
{
    char *body = malloc(reply->body.len + 1);

    if (!body)
        return vh_error_set(err, -ENOMEM, "answer of a function");
    memcpy(body, reply->body.data ? reply->body.data : (const uint8_t *)"", reply->body.len);
    body[reply->body.len] = '\0';
    out->ok = reply->ok;
    out->grpc = reply->grpc;
    out->status = reply->status;
    (void)snprintf(out->content_type, sizeof(out->content_type), "%s", reply->content_type);
    out->body = body;
    out->body_len = reply->body.len;
    if (out->ok)
        return 0;
    return vh_error_set(err, VH_EREMOTE, "%s", *reply->error ? reply->error : "the function answered with an error");
}

int vh_client_invoke(vh_client *client, const char *name, const char *spec, const void *data, size_t n,
                     const vh_call *call, vh_invoke_response *response, vh_invoke_timing *timing, vh_error *err)
{
    VH_PB(InvokeRequest) request = VHIVE__CONTROL__V1__INVOKE_REQUEST__INIT;
    vh__wait w = vh__client_bounds(call, 0);
    vh_invoke_response r = { .size = response->size, .begin_ns = vh__clock_mono_ns() };
    ProtobufCMessage *answer = NULL;
    int rc, taken;

    if (response->size < sizeof(*response))
        return vh_error_set(err, VH_EINVALID, "vh_invoke_response: size %zu, want %zu", response->size,
                            sizeof(*response));
    request.function = (char *)name;
    request.spec = (char *)(spec ? spec : "");
    request.data.data = (uint8_t *)data;
    request.data.len = data ? n : 0;
    rc = vh__client_ask(client, "Invoke", &request.base, VH_PB_TYPE(invoke_reply), &w, &answer, err);
    if (rc)
        return rc;
    r.last_byte_ns = vh__clock_mono_ns();
    taken = timing ? take_timing((VH_PB(InvokeReply) *)answer, r.begin_ns, timing, err) : 0;
    rc = taken ? bad_entry(taken, err) : take_answer((VH_PB(InvokeReply) *)answer, &r, err);
    vh__proto_free(answer);
    if (rc == 0 || rc == VH_EREMOTE) {
        vh_invoke_response_fini(response); /* of a call before */
        *response = r;
    }
    return rc;
}
