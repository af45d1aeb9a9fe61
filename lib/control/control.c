#include "control_priv.h"

#include <errno.h>

#include "auto.h"
#include "clock.h"
#include "health.h"

typedef struct row {
    const char *path;
    const ProtobufCMessageDescriptor *request;
    vh__control_run *run;
    bool watch; /* has no end of its own */
} row;

#define CONTROL(name) "/vhive.control.v1.Control/" name
#define TYPE(name)    &vhive__control__v1__##name##__descriptor

static const row rows[] = {
    { CONTROL("Version"), TYPE(version_request), vh__control_version, false },
    { CONTROL("ConfigDump"), TYPE(config_dump_request), vh__control_config_dump, false },
    { CONTROL("Deploy"), TYPE(deploy_request), vh__control_deploy, false },
    { CONTROL("Scale"), TYPE(scale_request), vh__control_scale, false },
    { CONTROL("Remove"), TYPE(remove_request), vh__control_remove, false },
    { CONTROL("ListFunctions"), TYPE(list_functions_request), vh__control_list_functions, false },
    { CONTROL("ListInstances"), TYPE(list_instances_request), vh__control_list_instances, false },
    { CONTROL("Invoke"), TYPE(invoke_request), vh__control_invoke, false },
    { CONTROL("Events"), TYPE(events_request), vh__control_events, true },
    { CONTROL("Logs"), TYPE(logs_request), vh__control_logs, true },
    { CONTROL("Exec"), TYPE(exec_input), vh__control_exec, false },
    { CONTROL("PauseInstance"), TYPE(instance_request), vh__control_pause, false },
    { CONTROL("ResumeInstance"), TYPE(instance_request), vh__control_resume, false },
    { CONTROL("KillInstance"), TYPE(instance_request), vh__control_kill, false },
    { CONTROL("SnapshotInstance"), TYPE(instance_request), vh__control_snapshot_instance, false },
    { CONTROL("PullImage"), TYPE(pull_image_request), vh__control_pull_image, false },
    { CONTROL("ListImages"), TYPE(list_images_request), vh__control_list_images, false },
    { CONTROL("RemoveImage"), TYPE(remove_image_request), vh__control_remove_image, false },
    { CONTROL("CreateSnapshot"), TYPE(create_snapshot_request), vh__control_create_snapshot, false },
    { CONTROL("ListSnapshots"), TYPE(list_snapshots_request), vh__control_list_snapshots, false },
    { CONTROL("VerifySnapshot"), TYPE(snapshot_request), vh__control_verify_snapshot, false },
    { CONTROL("RemoveSnapshot"), TYPE(snapshot_request), vh__control_remove_snapshot, false },
};

#define ROWS VH_ARRAY_LEN(rows)

/* A row and the object it is served with: what a handler gets as its argument. */
struct bound {
    const vh__control *control;
    const row *row;
};

struct vh__control {
    vh__control_options o;
    int64_t started_ns;
    struct bound bound[ROWS];
    vh__rpc_health *health;
    vh__rpc_method methods[ROWS + VH_RPC_HEALTH_METHODS];
};

/* Reads the first message and runs the row. */
static int answer_call(const struct bound *b, vh__rpc_stream *stream, vh_error *err)
{
    vh__control_call call = { b->control, &b->control->o, stream, *vh__rpc_stream_call(stream) };
    vh_auto_buf vh__buf bytes = { 0 };
    ProtobufCMessage *request;
    int rc = vh__rpc_stream_recv(stream, &bytes, NULL, err);

    if (rc == 0)
        return vh_error_set(err, VH_EINVALID, "%s: the request is missing", b->row->path);
    if (rc > 0)
        rc = vh__proto_unpack(b->row->request, bytes.data, bytes.len, &request, err);
    if (rc)
        return rc;
    rc = b->row->run(&call, request, err);
    vh__proto_free(request);
    return rc;
}

static vh__grpc_status serve(vh__rpc_stream *stream, vh__rpc_answer *answer, void *arg)
{
    vh_error err = { 0 };
    int rc = answer_call(arg, stream, &err);

    if (rc == 0)
        return VH_GRPC_OK;
    vh__buf_puts(&answer->message, err.msg);
    vh_ignore(vh__proto_details(rc, &answer->details, NULL)); /* without them the status has to do */
    return vh__proto_status(rc);
}

/* Whoever can be asked serves: there is no state between being up and being down. */
static int add_health(vh__control *c, vh_error *err)
{
    int rc = vh__rpc_health_new(&c->health, err);

    if (rc)
        return rc;
    vh__rpc_health_methods(c->health, c->methods + ROWS);
    rc = vh__rpc_health_set(c->health, "", true, err);
    return rc ? rc : vh__rpc_health_set(c->health, "vhive.control.v1.Control", true, err);
}

int vh__control_new(const vh__control_options *o, vh__control **control, vh_error *err)
{
    vh__control *c = calloc(1, sizeof(*c));
    int rc;

    if (!c)
        return vh_error_set(err, -ENOMEM, "control API");
    c->o = *o;
    c->started_ns = vh__clock_real_ns();
    for (size_t i = 0; i < ROWS; i++) {
        c->bound[i] = (struct bound){ c, &rows[i] };
        c->methods[i] = (vh__rpc_method){ .path = rows[i].path, .stream = serve, .arg = &c->bound[i],
                                           .watch = rows[i].watch };
    }
    rc = add_health(c, err);
    if (rc) {
        vh__control_free(c);
        return rc;
    }
    *control = c;
    return 0;
}

void vh__control_free(vh__control *control)
{
    if (!control)
        return;
    vh__rpc_health_free(control->health);
    free(control);
}

const vh__rpc_method *vh__control_methods(const vh__control *control, size_t *n)
{
    *n = VH_ARRAY_LEN(control->methods);
    return control->methods;
}

int64_t vh__control_started_ns(const vh__control *control)
{
    return control->started_ns;
}

int vh__control_send(vh__control_call *call, ProtobufCMessage *message, vh_error *err)
{
    vh_auto_buf vh__buf bytes = { 0 };
    int rc = vh__proto_pack(message, &bytes, err);

    return rc ? rc : vh__rpc_stream_send(call->stream, bytes.data, bytes.len, err);
}

bool vh__control_list_add(vh__control_listing *l, ProtobufCMessage *one)
{
    l->rc = vh__proto_pack(one, &l->bytes, l->err);
    return l->rc == 0;
}

int vh__control_list_send(vh__control_call *call, vh__control_listing *l, int rc)
{
    rc = rc ? rc : l->rc;
    if (rc == 0)
        rc = vh__rpc_stream_send(call->stream, l->bytes.data, l->bytes.len, l->err);
    vh__buf_fini(&l->bytes);
    return rc;
}

const char *vh__control_or_null(const char *text)
{
    return *text ? text : NULL;
}
