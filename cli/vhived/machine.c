/* What functions need of the machine. */
#include <errno.h>

#include "vhived.h"

int vhived_machine_start(vhived *d, vh_error *err)
{
    vh_env_options o;
    int rc;

    if (d->sockets[VHIVED_CONTROL].fd < 0)
        return 0;
    vhived_env_options(d, &o);
    rc = vh_host_new(d->cli->config, &o, &d->host, err);
    return rc ? vh_error_wrap(err, rc, "functions") : 0;
}

void vhived_machine_stop(vhived *d)
{
    vh_host_free(d->host);
    d->host = NULL;
}
