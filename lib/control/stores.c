/* Images and snapshots of the machine. */
#include "control_priv.h"

#include <string.h>

#include "auto.h"

static bool add_image(const vh_image_info *info, vh__control_listing *l)
{
    VH_PB(ListImagesReply) reply = VHIVE__CONTROL__V1__LIST_IMAGES_REPLY__INIT;
    VH_PB(Image) image, *one = &image;

    vh__proto_from_image(info, &image);
    reply.n_images = 1;
    reply.images = &one;
    return vh__control_list_add(l, &reply.base);
}

static int add_each_image(const vh_image_info *info, void *listing)
{
    return add_image(info, listing) ? 0 : ((vh__control_listing *)listing)->rc;
}

int vh__control_list_images(vh__control_call *call, const void *request, vh_error *err)
{
    const VH_PB(ListImagesRequest) *q = request;
    vh__control_listing l = { .err = err };
    vh_image_info info = { 0 };
    int rc;

    if (!*q->name)
        return vh__control_list_send(call, &l, vh_images_list(call->o->images, add_each_image, &l, err));
    rc = vh_images_inspect(call->o->images, q->name, &info, err);
    if (rc == 0)
        (void)add_image(&info, &l); /* tells by |l| */
    return vh__control_list_send(call, &l, rc);
}

struct pull {
    const char *ref;
    vh_image_info info;
};

static int pull(vh__control_call *call, const vh_call *bounds, void *arg, vh_error *err)
{
    struct pull *p = arg;
    vh_call own = *bounds;
    vh_image *image;
    int rc;

    if (!own.timeout_ms)
        own.timeout_ms = (uint32_t)vh_config_u64(call->o->config, "timeout.pull");
    rc = vh_image_open(call->o->images, p->ref, &own, &image, err);
    if (rc)
        return rc;
    p->info = *vh_image_info_get(image);
    vh_image_close(image);
    return 0;
}

static int tell_pull(vh__control_call *call, VH_PB(Progress) *progress, vh_error *err)
{
    VH_PB(PullImageReply) reply = VHIVE__CONTROL__V1__PULL_IMAGE_REPLY__INIT;

    reply.what_case = VHIVE__CONTROL__V1__PULL_IMAGE_REPLY__WHAT_PROGRESS;
    reply.progress = progress;
    return vh__control_send(call, &reply.base, err);
}

int vh__control_pull_image(vh__control_call *call, const void *request, vh_error *err)
{
    const VH_PB(PullImageRequest) *q = request;
    VH_PB(PullImageReply) reply = VHIVE__CONTROL__V1__PULL_IMAGE_REPLY__INIT;
    VH_PB(Image) image;
    struct pull p = { .ref = q->ref };
    int rc = vh__control_with_progress(call, pull, &p, tell_pull, err);

    if (rc)
        return rc;
    vh__proto_from_image(&p.info, &image);
    reply.what_case = VHIVE__CONTROL__V1__PULL_IMAGE_REPLY__WHAT_IMAGE;
    reply.image = &image;
    return vh__control_send(call, &reply.base, err);
}

int vh__control_remove_image(vh__control_call *call, const void *request, vh_error *err)
{
    VH_PB(RemoveImageReply) reply = VHIVE__CONTROL__V1__REMOVE_IMAGE_REPLY__INIT;
    const VH_PB(RemoveImageRequest) *q = request;
    int rc = vh_images_remove(call->o->images, q->name, err);

    return rc ? rc : vh__control_send(call, &reply.base, err);
}

static bool add_snapshot(const vh_snapshot_info *info, bool whole, vh__control_listing *l)
{
    VH_PB(ListSnapshotsReply) reply = VHIVE__CONTROL__V1__LIST_SNAPSHOTS_REPLY__INIT;
    char *labels[VH_SNAPSHOT_LABELS_MAX];
    VH_PB(Snapshot) snapshot, *one = &snapshot;

    vh__proto_from_snapshot(info, labels, &snapshot);
    if (!whole) /* it is most of what there is to say, and nobody reads it in a list */
        snapshot.identity = (char *)"";
    reply.n_snapshots = 1;
    reply.snapshots = &one;
    return vh__control_list_add(l, &reply.base);
}

static bool add_each_snapshot(const vh_snapshot_info *info, void *listing)
{
    return add_snapshot(info, false, listing);
}

int vh__control_list_snapshots(vh__control_call *call, const void *request, vh_error *err)
{
    const VH_PB(ListSnapshotsRequest) *q = request;
    vh__control_listing l = { .err = err };
    vh_snapshot_info info = VH_SNAPSHOT_INFO_INIT;
    int rc;

    if (!*q->name)
        return vh__control_list_send(call, &l, vh_snapshots_list(call->o->snapshots, add_each_snapshot, &l, err));
    rc = vh_snapshots_inspect(call->o->snapshots, q->name, &info, err);
    if (rc == 0)
        (void)add_snapshot(&info, true, &l); /* tells by |l| */
    return vh__control_list_send(call, &l, rc);
}

struct creation {
    vh_run_options options;
    bool again;
    char id[72]; /* what vh_vm_snapshot_create() asks for */
};

static int create(vh__control_call *call, const vh_call *bounds, void *arg, vh_error *err)
{
    struct creation *c = arg;

    return vh_vm_snapshot_create(call->o->vms, &c->options, c->again, bounds, c->id, err);
}

static int tell_creation(vh__control_call *call, VH_PB(Progress) *progress, vh_error *err)
{
    VH_PB(CreateSnapshotReply) reply = VHIVE__CONTROL__V1__CREATE_SNAPSHOT_REPLY__INIT;

    reply.what_case = VHIVE__CONTROL__V1__CREATE_SNAPSHOT_REPLY__WHAT_PROGRESS;
    reply.progress = progress;
    return vh__control_send(call, &reply.base, err);
}

int vh__control_create_snapshot(vh__control_call *call, const void *request, vh_error *err)
{
    const VH_PB(CreateSnapshotRequest) *q = request;
    VH_PB(CreateSnapshotReply) reply = VHIVE__CONTROL__V1__CREATE_SNAPSHOT_REPLY__INIT;
    struct creation c = { .options = VH_RUN_OPTIONS_INIT, .again = q->again };
    vh_auto_free const char **env = NULL;
    vh_function_spec spec;
    int rc = vh__proto_to_spec(q->spec, &spec, &env, err);

    if (rc)
        return rc;
    c.options.image = spec.image;
    c.options.env = spec.env;
    c.options.port = spec.port;
    c.options.memory_mib = spec.memory_mib;
    c.options.cpus = spec.cpus;
    c.options.label = vh__control_or_null(q->label);
    rc = vh__control_with_progress(call, create, &c, tell_creation, err);
    reply.what_case = VHIVE__CONTROL__V1__CREATE_SNAPSHOT_REPLY__WHAT_ID;
    reply.id = c.id;
    return rc ? rc : vh__control_send(call, &reply.base, err);
}

/* The answer of what is done to one snapshot. */
static int send_done(vh__control_call *call, const VH_PB(SnapshotRequest) *q, int rc, vh_error *err)
{
    VH_PB(SnapshotReply) reply = VHIVE__CONTROL__V1__SNAPSHOT_REPLY__INIT;

    reply.id = q->name;
    return rc ? rc : vh__control_send(call, &reply.base, err);
}

int vh__control_verify_snapshot(vh__control_call *call, const void *request, vh_error *err)
{
    const VH_PB(SnapshotRequest) *q = request;

    return send_done(call, q, vh_snapshots_verify(call->o->snapshots, q->name, &call->bounds, err), err);
}

int vh__control_remove_snapshot(vh__control_call *call, const void *request, vh_error *err)
{
    const VH_PB(SnapshotRequest) *q = request;

    return send_done(call, q, vh_snapshots_remove(call->o->snapshots, q->name, err), err);
}
