/* Of the daemon itself: version, settings. */
#include "control_priv.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auto.h"
#include "wait.h"

int vh__control_version(vh__control_call *call, const void *request, vh_error *err)
{
    VH_PB(VersionReply) reply = VHIVE__CONTROL__V1__VERSION_REPLY__INIT;

    (void)request; /* has no members */
    reply.version = (char *)VH_VERSION;
    reply.state_dir = (char *)vh_env_state_dir(call->o->env);
    reply.run_dir = (char *)vh_env_run_dir(call->o->env);
    reply.pid = (uint64_t)getpid();
    reply.started_ns = vh__control_started_ns(call->control);
    return vh__control_send(call, &reply.base, err);
}

int vh__control_config_dump(vh__control_call *call, const void *request, vh_error *err)
{
    VH_PB(ConfigDumpReply) reply = VHIVE__CONTROL__V1__CONFIG_DUMP_REPLY__INIT;
    vh_auto_free char *yaml = NULL;
    int rc = vh_config_dump(call->o->config, &yaml, err);

    (void)request; /* has no members */
    reply.yaml = yaml;
    return rc ? rc : vh__control_send(call, &reply.base, err);
}
