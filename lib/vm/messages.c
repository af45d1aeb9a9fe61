/* Frames for the agent, made where what they say is known; the shim hands them on unread. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "clock.h"
#include "vm_priv.h"

static int parse_mac(const char *text, uint8_t mac[6])
{
    return sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) == 6;
}

int vh__message_start(const vh_vm *vm, vh__buf *out, vh_error *err)
{
    const vh_image_config *c = vh_image_config_get(vm->spec.image);
    const char *dns[VH_NET_RESOLVERS_MAX];
    vh__net_resolvers resolvers;
    vh__agent_msg m = { .type = VH_AGENT_START,
                        .start = { .argv = vh__agent_list_of(c->argv),
                                   .env = vh__agent_list_of((const char *const *)vm->spec.env),
                                   .cwd = c->cwd,
                                   .user = c->user,
                                   .hostname = "vhive",
                                   .guest_prefix = VH_NET_GUEST_PREFIX,
                                   .port = vm->spec.port,
                                   .tmpfs_bytes = vm->spec.tmpfs_bytes,
                                   .stop_signal = (uint32_t)c->stop_signal } };
    int rc;

    if (!vm->saving) /* else it would be in the snapshot */
        m.start.late_env = vh__agent_list_of(vm->o.restore_env);

    vh__net_resolvers_get(&resolvers);
    for (size_t i = 0; i < resolvers.n; i++)
        dns[i] = resolvers.address[i];
    m.start.dns = (vh__agent_list){ .v = dns, .n = (uint32_t)resolvers.n };
    if (inet_pton(AF_INET, VH_NET_GUEST_IP, m.start.guest_ip) != 1 ||
        inet_pton(AF_INET, VH_NET_GATEWAY, m.start.gateway_ip) != 1 ||
        !parse_mac(VH_NET_GATEWAY_MAC, m.start.gateway_mac))
        return vh_error_set(err, VH_EINVALID, "addresses of the guest"); /* constants of ours: cannot happen */
    rc = vh__agent_fresh(m.start.seed, &m.start.realtime_ns, err);
    return rc ? rc : vh__agent_append(out, &m, err);
}

/* The generation only has to differ between any two restores: the time does. */
int vh__message_restored(const vh_vm *vm, vh__buf *out, vh_error *err)
{
    vh__agent_msg m = { .type = VH_AGENT_RESTORED,
                        .restored = { .generation = (uint64_t)vh__clock_real_ns(),
                                      .env = vh__agent_list_of(vm->o.restore_env) } };
    int rc = vh__agent_fresh(m.restored.seed, &m.restored.realtime_ns, err);

    return rc ? rc : vh__agent_append(out, &m, err);
}

int vh__message_stop(uint32_t grace_ms, vh__buf *out, vh_error *err)
{
    return vh__agent_append(out, &(vh__agent_msg){ .type = VH_AGENT_STOP, .stop = { .grace_ms = grace_ms } }, err);
}
