/* The control socket. */
#include "auto.h"
#include "vhived.h"

static int run(void *server, vh_error *err)
{
    return vh__rpc_server_run(server, err);
}

static int make_api(vhived *d, vh_error *err)
{
    return vh__control_new(&(vh__control_options){ .env = d->env,
                                                   .config = d->cli->config,
                                                   .functions = d->functions,
                                                   .images = vh_host_images(d->host),
                                                   .snapshots = vh_host_snapshots(d->host),
                                                   .vms = vh_host_vms(d->host) },
                           &d->control, err);
}

int vhived_control_start(vhived *d, vh_error *err)
{
    vhived_socket *s = &d->sockets[VHIVED_CONTROL];
    vh__rpc_server_options o = { 0 };
    int rc;

    if (s->fd < 0)
        return 0;
    rc = make_api(d, err);
    if (rc)
        return rc;
    o.methods = vh__control_methods(d->control, &o.nmethods);
    o.listen_fd = vh_steal_fd(&s->fd);
    rc = vh__rpc_server_new(&o, &d->control_rpc, err);
    if (rc) {
        vhived_control_stop(d);
        return rc;
    }
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

    if (d->control_rpc) {
        vh__rpc_server_stop(d->control_rpc);
        if (vhived_server_join(&d->control_server, &err))
            vh__log(d->env, VH_LOG_ERROR, "vhived", NULL, "%s", err.msg);
        vh__rpc_server_free(d->control_rpc);
        d->control_rpc = NULL;
    }
    vh__control_free(d->control);
    d->control = NULL;
}
