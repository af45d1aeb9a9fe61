/* Images and snapshots. */
#include "client_priv.h"

#include <string.h>

#include "auto.h"

static int follow_pull(vh__client_call *c, const vh__wait *w, vh_image_info *info, vh_error *err)
{
    bool pulled = false;
    ProtobufCMessage *m;
    int rc;

    while ((rc = vh__client_next(c, NULL, VH_PB_TYPE(pull_image_reply), &m, err)) > 0) {
        const VH_PB(PullImageReply) *reply = (VH_PB(PullImageReply) *)m;

        if (reply->what_case == VHIVE__CONTROL__V1__PULL_IMAGE_REPLY__WHAT_PROGRESS)
            vh__client_progress(w, reply->progress);
        if (reply->what_case == VHIVE__CONTROL__V1__PULL_IMAGE_REPLY__WHAT_IMAGE)
            pulled = vh__proto_to_image(reply->image, info, err) == 0;
        vh__proto_free(m);
    }
    return rc || pulled ? rc : vh_error_set(err, VH_EPROTOCOL, "PullImage: vhived ends the call without an answer");
}

int vh_client_image_pull(vh_client *client, const char *ref, const vh_call *call, vh_image_info *info, vh_error *err)
{
    VH_PB(PullImageRequest) request = VHIVE__CONTROL__V1__PULL_IMAGE_REQUEST__INIT;
    vh__wait w = vh__client_bounds(call, 0);
    vh_auto_free char *absolute = NULL;
    vh__client_call c;
    int rc = vh__client_reference(ref, NULL, &absolute, err);

    request.ref = absolute;
    if (rc == 0)
        rc = vh__client_open(client, "PullImage", &request.base, true, &w, &c, err);
    if (rc)
        return rc;
    rc = follow_pull(&c, &w, info, err);
    vh__client_close(&c);
    return rc;
}

int vh_client_images(vh_client *client, const char *name, const vh_call *call, vh_images_list_fn each, void *arg,
                     vh_error *err)
{
    VH_PB(ListImagesRequest) request = VHIVE__CONTROL__V1__LIST_IMAGES_REQUEST__INIT;
    vh__wait w = vh__client_bounds(call, VH_CLIENT_LIST_MS);
    vh_auto_free char *absolute = NULL;
    const VH_PB(ListImagesReply) *list;
    ProtobufCMessage *answer = NULL;
    vh_image_info info;
    int rc = vh__client_reference(name ? name : "", NULL, &absolute, err);

    request.name = absolute;
    if (rc == 0)
        rc = vh__client_ask(client, "ListImages", &request.base, VH_PB_TYPE(list_images_reply), &w, &answer, err);
    list = (const VH_PB(ListImagesReply) *)answer;
    for (size_t i = 0; rc == 0 && i < list->n_images; i++) {
        rc = vh__proto_to_image(list->images[i], &info, err);
        rc = rc ? vh_error_wrap(err, VH_EPROTOCOL, "answer of vhived") : each(&info, arg);
    }
    vh__proto_free(answer);
    return rc;
}

int vh_client_image_remove(vh_client *client, const char *name, const vh_call *call, vh_error *err)
{
    VH_PB(RemoveImageRequest) request = VHIVE__CONTROL__V1__REMOVE_IMAGE_REQUEST__INIT;
    vh__wait w = vh__client_bounds(call, VH_CLIENT_LIST_MS);
    vh_auto_free char *absolute = NULL;
    int rc = vh__client_reference(name, NULL, &absolute, err);

    request.name = absolute;
    return rc ? rc : vh__client_order(client, "RemoveImage", &request.base, VH_PB_TYPE(remove_image_reply), &w, err);
}

static int follow_creation(vh__client_call *c, const vh__wait *w, char *id, vh_error *err)
{
    bool created = false;
    ProtobufCMessage *m;
    int rc;

    while ((rc = vh__client_next(c, NULL, VH_PB_TYPE(create_snapshot_reply), &m, err)) > 0) {
        const VH_PB(CreateSnapshotReply) *reply = (VH_PB(CreateSnapshotReply) *)m;

        if (reply->what_case == VHIVE__CONTROL__V1__CREATE_SNAPSHOT_REPLY__WHAT_PROGRESS)
            vh__client_progress(w, reply->progress);
        if (reply->what_case == VHIVE__CONTROL__V1__CREATE_SNAPSHOT_REPLY__WHAT_ID)
            created = vh__proto_copy("id", reply->id, id, VH_SNAPSHOT_ID, err) == 0;
        vh__proto_free(m);
    }
    return rc || created ? rc
                         : vh_error_set(err, VH_EPROTOCOL, "CreateSnapshot: vhived ends the call without an answer");
}

int vh_client_snapshot_create(vh_client *client, const vh_run_options *opts, bool again, const vh_call *call, char *id,
                              vh_error *err)
{
    VH_PB(CreateSnapshotRequest) request = VHIVE__CONTROL__V1__CREATE_SNAPSHOT_REQUEST__INIT;
    vh_function_spec spec = VH_FUNCTION_SPEC_INIT;
    VH_PB(FunctionSpec) message;
    vh__wait w = vh__client_bounds(call, 0);
    vh_auto_free char *image = NULL;
    vh__client_call c;
    int rc = vh__client_reference(opts->image, NULL, &image, err);

    if (rc)
        return rc;
    spec.image = image;
    spec.env = opts->env;
    spec.port = opts->port;
    spec.memory_mib = opts->memory_mib;
    spec.cpus = opts->cpus;
    vh__proto_from_spec(&spec, &message);
    request.spec = &message;
    request.label = (char *)(opts->label ? opts->label : ""); /* protobuf-c has no const, here and below */
    request.again = again;
    rc = vh__client_open(client, "CreateSnapshot", &request.base, true, &w, &c, err);
    if (rc)
        return rc;
    rc = follow_creation(&c, &w, id, err);
    vh__client_close(&c);
    return rc;
}

int vh_client_snapshots(vh_client *client, const char *ref, const vh_call *call, vh_snapshot_fn each, void *arg,
                        vh_error *err)
{
    VH_PB(ListSnapshotsRequest) request = VHIVE__CONTROL__V1__LIST_SNAPSHOTS_REQUEST__INIT;
    vh__wait w = vh__client_bounds(call, VH_CLIENT_LIST_MS);
    const VH_PB(ListSnapshotsReply) *list;
    ProtobufCMessage *answer = NULL;
    vh_snapshot_info info;
    bool more = true;
    int rc;

    request.name = (char *)(ref ? ref : "");
    rc = vh__client_ask(client, "ListSnapshots", &request.base, VH_PB_TYPE(list_snapshots_reply), &w, &answer, err);
    list = (const VH_PB(ListSnapshotsReply) *)answer;
    for (size_t i = 0; rc == 0 && more && i < list->n_snapshots; i++) {
        rc = vh__proto_to_snapshot(list->snapshots[i], &info, err);
        if (rc)
            rc = vh_error_wrap(err, VH_EPROTOCOL, "answer of vhived");
        else
            more = each(&info, arg);
    }
    vh__proto_free(answer);
    return rc;
}

static int act_on(vh_client *client, const char *method, const char *ref, const vh_call *call, vh_error *err)
{
    VH_PB(SnapshotRequest) request = VHIVE__CONTROL__V1__SNAPSHOT_REQUEST__INIT;
    vh__wait w = vh__client_bounds(call, 0);

    request.name = (char *)ref;
    return vh__client_order(client, method, &request.base, VH_PB_TYPE(snapshot_reply), &w, err);
}

int vh_client_snapshot_verify(vh_client *client, const char *ref, const vh_call *call, vh_error *err)
{
    return act_on(client, "VerifySnapshot", ref, call, err);
}

int vh_client_snapshot_remove(vh_client *client, const char *ref, const vh_call *call, vh_error *err)
{
    return act_on(client, "RemoveSnapshot", ref, call, err);
}
