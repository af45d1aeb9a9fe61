/* Of the daemon itself: version, settings, health. */
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

/* Whoever can be asked serves: there is no state between being up and being down. */
static bool is_ours(const char *service)
{
    return !*service || strcmp(service, "vhive.control.v1.Control") == 0;
}

static int send_health(vh__control_call *call, Grpc__Health__V1__HealthCheckResponse__ServingStatus status,
                       vh_error *err)
{
    Grpc__Health__V1__HealthCheckResponse reply = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

    reply.status = status;
    return vh__control_send(call, &reply.base, err);
}

int vh__control_health_check(vh__control_call *call, const void *request, vh_error *err)
{
    const Grpc__Health__V1__HealthCheckRequest *q = request;

    if (!is_ours(q->service))
        return vh_error_set(err, VH_ENOTFOUND, "service '%.64s': is not served here", q->service);
    return send_health(call, GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING, err);
}

int vh__control_health_watch(vh__control_call *call, const void *request, vh_error *err)
{
    const Grpc__Health__V1__HealthCheckRequest *q = request;
    vh__wait until = { .deadline_ns = INT64_MAX, .cancel = call->bounds.cancel };
    int rc = send_health(call, is_ours(q->service)
                                   ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
                                   : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN, err);

    if (rc == 0 && call->bounds.timeout_ms)
        until = vh__wait_from(&call->bounds, 0);
    while (rc == 0) /* nothing changes until the caller or we go */
        rc = vh__wait_sleep(&until, UINT32_MAX, "health", err);
    return rc;
}
