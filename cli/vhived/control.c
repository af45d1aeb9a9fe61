/* The control socket. */
#include "auto.h"
#include "vhived.h"

/* gRPC's health protocol: {status: SERVING}. */
static vh__grpc_status answer_health(const vh__rpc_request *request, vh__rpc_answer *answer, void *arg)
{
    (void)request;
    (void)arg;
    vh__buf_append(&answer->body, "\x08\x01", 2);
    return VH_GRPC_OK;
}

static const vh__rpc_method methods[] = { { "/grpc.health.v1.Health/Check", .handler = answer_health } };

static int run(void *server, vh_error *err)
{
    return vh__rpc_server_run(server, err);
}

int vhived_control_start(vhived *d, vh_error *err)
{
    vhived_socket *s = &d->sockets[VHIVED_CONTROL];
    vh__rpc_server_options o = { .methods = methods, .nmethods = VH_ARRAY_LEN(methods) };
    int rc;

    if (s->fd < 0)
        return 0;
    o.listen_fd = vh_steal_fd(&s->fd);
    rc = vh__rpc_server_new(&o, &d->control_rpc, err);
    if (rc)
        return rc;
    d->control_server = (vhived_server){ .name = "control API", .run = run, .server = d->control_rpc,
                                         .end = d->cli->cancel };
    rc = vhived_server_start(&d->control_server, err);
    if (rc)
        vhived_control_stop(d);
    return rc;
}

void vhived_control_stop(vhived *d)
{
    vh_error err = { 0 };

    if (!d->control_rpc)
        return;
    vh__rpc_server_stop(d->control_rpc);
    if (vhived_server_join(&d->control_server, &err))
        vh__log(d->env, VH_LOG_ERROR, "vhived", NULL, "%s", err.msg);
    vh__rpc_server_free(d->control_rpc);
    d->control_rpc = NULL;
}
