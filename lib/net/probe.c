/* What a lease needs, part by part, for those who want to know before they need one. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "auto.h"
#include "net_priv.h"

static int try_namespace(void *arg, vh_error *err)
{
    (void)arg;
    return vh__net_sysctl_write("ipv4/ip_forward", "1", err); /* of the new namespace */
}

static int try_tap(void *arg, vh_error *err)
{
    vh_auto_fd int fd = -1;

    (void)arg;
    return vh__net_tap_open(&fd, err);
}

static int try_rules(void *net, vh_error *err)
{
    int rc = vh__net_table_make(net, err);

    return rc ? rc : vh__net_rules_load_inside(net, "198.18.0.1", err);
}

int vh__net_probe(vh__net *net, vh__net_part part, vh_error *err)
{
    switch (part) {
    case VH_NET_NAMESPACE:
        return vh__net_ns_run(try_namespace, NULL, err);
    case VH_NET_TAP:
        return vh__net_ns_run(try_tap, NULL, err);
    case VH_NET_RULES:
        return vh__net_ns_run(try_rules, net, err);
    }
    return vh_error_set(err, VH_EINVALID, "network: part %d is unknown", (int)part);
}

int vh__net_probe_forward(const vh__net *net, vh_error *err)
{
    static const char path[] = "/proc/sys/net/ipv4/ip_forward";
    vh_auto_fd int in = -1, out = -1;
    char now = '0';

    if (net->policy == POLICY_NONE)
        return 0;
    in = open(path, O_RDONLY | O_CLOEXEC);
    if (in < 0 || read(in, &now, 1) != 1)
        return vh_error_set(err, -errno, "read %s", path);
    if (now == '1')
        return 0;
    out = open(path, O_WRONLY | O_CLOEXEC); /* nothing is written */
    if (out >= 0)
        return 0;
    return vh_error_set(err, errno == EROFS ? VH_EMISSING : -errno, "%s is 0, and cannot be switched on here", path);
}
