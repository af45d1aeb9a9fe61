/* modules: proto */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "error.pb-c.h"
#include "health.pb-c.h"
#include "proto.h"

#define TYPE(name) &vhive__control__v1__##name##__descriptor

static const ProtobufCMessageDescriptor *const types[] = {
    TYPE(deploy_request),         TYPE(scale_request),          TYPE(remove_request),
    TYPE(list_functions_request), TYPE(list_instances_request), TYPE(invoke_request),
    TYPE(events_request),         TYPE(logs_request),           TYPE(exec_input),
    TYPE(instance_request),       TYPE(pull_image_request),     TYPE(list_images_request),
    TYPE(remove_image_request),   TYPE(create_snapshot_request), TYPE(list_snapshots_request),
    TYPE(snapshot_request),       TYPE(list_functions_reply),   TYPE(list_instances_reply),
    TYPE(list_images_reply),      TYPE(list_snapshots_reply),   TYPE(invoke_reply),
    TYPE(deploy_reply),           TYPE(exec_output),            TYPE(event),
    TYPE(log_piece),              &grpc__health__v1__health_check_request__descriptor,
};

/*
 * What was read can be written, and what comes of that be read without harm. It need not be the same: members that are
 * unknown may have had a form that only others write.
 */
static void write_again(ProtobufCMessage *m)
{
    vh__buf bytes = { 0 };
    ProtobufCMessage *again = NULL;

    if (vh__proto_pack(m, &bytes, NULL))
        __builtin_trap();
    if (vh__proto_unpack(m->descriptor, bytes.data, bytes.len, &again, NULL) == 0)
        vh__proto_free(again);
    vh__buf_fini(&bytes);
}

static void convert_spec(const VH_PB(FunctionSpec) *m)
{
    vh_function_spec spec;
    VH_PB(FunctionSpec) back;
    const char **env = NULL;

    if (vh__proto_to_spec(m, &spec, &env, NULL) == 0) {
        vh__proto_from_spec(&spec, &back);
        if (back.n_env != m->n_env || back.port != m->port || strcmp(back.name, m->name) != 0)
            __builtin_trap();
    }
    free(env);
}

static void convert_functions(const VH_PB(ListFunctionsReply) *list)
{
    for (size_t i = 0; i < list->n_functions; i++) {
        vh_function_info info;
        const char **env = NULL;

        (void)!vh__proto_to_function(list->functions[i], &info, &env, NULL); /* either way is fine */
        free(env);
    }
}

static void convert_stored(const ProtobufCMessage *m)
{
    const VH_PB(ListImagesReply) *images = (const VH_PB(ListImagesReply) *)m;
    const VH_PB(ListSnapshotsReply) *snapshots = (const VH_PB(ListSnapshotsReply) *)m;
    static vh_snapshot_info snapshot;
    vh_image_info image;

    for (size_t i = 0; m->descriptor == TYPE(list_images_reply) && i < images->n_images; i++)
        (void)!vh__proto_to_image(images->images[i], &image, NULL);
    for (size_t i = 0; m->descriptor == TYPE(list_snapshots_reply) && i < snapshots->n_snapshots; i++)
        (void)!vh__proto_to_snapshot(snapshots->snapshots[i], &snapshot, NULL);
}

static void convert(const ProtobufCMessage *m)
{
    const VH_PB(ListInstancesReply) *instances = (const VH_PB(ListInstancesReply) *)m;
    vh_instance_info instance;

    if (m->descriptor == TYPE(deploy_request))
        convert_spec(((const VH_PB(DeployRequest) *)m)->spec);
    if (m->descriptor == TYPE(list_functions_reply))
        convert_functions((const VH_PB(ListFunctionsReply) *)m);
    for (size_t i = 0; m->descriptor == TYPE(list_instances_reply) && i < instances->n_instances; i++)
        (void)!vh__proto_to_instance(instances->instances[i], &instance, NULL);
    convert_stored(m);
}

/* The first byte says what the rest shall be a message of; beyond the types it is the details of an error. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    ProtobufCMessage *m = NULL;
    size_t type;

    if (n == 0)
        return 0;
    type = bytes[0] % (sizeof(types) / sizeof(types[0]) + 1);
    if (type == sizeof(types) / sizeof(types[0])) {
        vh__buf details = { .data = (char *)bytes + 1, .len = n - 1 };

        if (vh__proto_error(VH_GRPC_ABORTED, &details) >= 0)
            __builtin_trap();
        return 0;
    }
    if (vh__proto_unpack(types[type], bytes + 1, n - 1, &m, NULL))
        return 0;
    convert(m);
    write_again(m);
    vh__proto_free(m);
    return 0;
}
