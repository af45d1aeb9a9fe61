#include <string.h>

#include "auto.h"
#include "host.h"

/* A setting, NULL where it is empty. */
static const char *text_or_null(const vh_config *config, const char *key)
{
    const char *value = vh_config_str(config, key);

    return value[0] ? value : NULL;
}

void vh__host_env_options(const vh_config *config, const vh_env_options *given, vh_env_options *o)
{
    *o = (vh_env_options)VH_ENV_OPTIONS_INIT;
    if (given)
        memcpy(o, given, VH_MIN(given->size, sizeof(*o)));
    o->size = sizeof(*o);
    if (!o->state_dir)
        o->state_dir = text_or_null(config, "state_dir");
    if (!o->run_dir)
        o->run_dir = text_or_null(config, "run_dir");
    if (!o->libexec_dir)
        o->libexec_dir = text_or_null(config, "libexec_dir");
}

int vh__host_guest(const vh_config *config, vh_env *env, vh__guest **guest, vh_error *err)
{
    vh__guest_options o = VH_GUEST_OPTIONS_INIT;

    o.kernel = text_or_null(config, "guest.kernel");
    o.modules_dir = text_or_null(config, "guest.modules");
    o.package = text_or_null(config, "guest.package");
    o.dir = text_or_null(config, "guest.dir");
    return vh__guest_new(env, &o, guest, err);
}

int vh__host_net(const vh_config *config, vh_env *env, vh__net **net, vh_error *err)
{
    vh__net_options o = { .pool = vh_config_str(config, "net.pool"),
                          .egress = vh_config_str(config, "net.egress"),
                          .allow_private = vh_config_bool(config, "net.allow_private") };

    return vh__net_new(env, &o, net, err);
}
