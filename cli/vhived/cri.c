/* kubelet's runtime endpoint. */
#include "auto.h"
#include "vhived.h"

int vhived_cri_start(vhived *d, vh_error *err)
{
    const vh_config *config = d->cli->config;
    vhived_socket *s = &d->sockets[VHIVED_CRI];

    if (s->fd < 0)
        return 0;
    return vh__cri_new(&(vh__cri_options){ .env = d->env,
                                           .listen_fd = vh_steal_fd(&s->fd),
                                           .containerd = vh_config_str(config, "cri.containerd_sock"),
                                           .max_message = vh_config_u64(config, "cri.max_message"),
                                           .end = d->cli->cancel },
                       &d->cri, err);
}

void vhived_cri_stop(vhived *d)
{
    vh__cri_free(d->cri);
    d->cri = NULL;
}
