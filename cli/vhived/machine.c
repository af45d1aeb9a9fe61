/* Functions, and what they need of the machine. */
#include "vhived.h"

static void set_functions(vhived *d, vh_functions *functions)
{
    pthread_mutex_lock(&d->functions_lock);
    d->functions = functions;
    pthread_mutex_unlock(&d->functions_lock);
}

int vhived_machine_start(vhived *d, vh_error *err)
{
    vh_functions *functions;
    vh_env_options o;
    int rc;

    if (d->sockets[VHIVED_CONTROL].fd < 0)
        return 0;
    vhived_env_options(d, &o);
    rc = vh_host_new(d->cli->config, &o, &d->host, err);
    if (rc == 0)
        rc = vh_host_functions(d->host, &functions, err);
    if (rc) {
        vhived_machine_stop(d);
        return vh_error_wrap(err, rc, "functions");
    }
    set_functions(d, functions);
    return 0;
}

void vhived_machine_stop(vhived *d)
{
    set_functions(d, NULL);
    vh_host_free(d->host);
    d->host = NULL;
}
