#include "machine.h"

#include <string.h>

int bench_micro_new(const cli *c, vh_env *env, vh_micro **micro, vh_error *err)
{
    vh_micro_options o = VH_MICRO_OPTIONS_INIT;

    o.qemu = vh_config_str(c->config, "vmm.qemu");
    o.accel = strcmp(vh_config_str(c->config, "vmm.accel"), "kvm") == 0 ? "kvm" : "tcg"; /* auto asks a probe guest */
    o.net_pool = vh_config_str(c->config, "net.pool");
    o.uid = (uint32_t)vh_config_u64(c->config, "vmm.uid_base");
    return vh_micro_new(env, &o, micro, err);
}
