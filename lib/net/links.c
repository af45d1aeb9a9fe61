#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <linux/if.h> /* after libc's, which it makes room for */
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>

#include "auto.h"
#include "net_priv.h"

static void put_link(struct rtnl_link **l)
{
    rtnl_link_put(*l);
}

static void put_nl_addr(struct nl_addr **a)
{
    nl_addr_put(*a);
}

static void put_rtnl_addr(struct rtnl_addr **a)
{
    rtnl_addr_put(*a);
}

static void put_neigh(struct rtnl_neigh **n)
{
    rtnl_neigh_put(*n);
}

static void put_route(struct rtnl_route **r)
{
    rtnl_route_put(*r);
}

#define auto_link  __attribute__((cleanup(put_link)))
#define auto_addr  __attribute__((cleanup(put_nl_addr)))
#define auto_ifa   __attribute__((cleanup(put_rtnl_addr)))
#define auto_neigh __attribute__((cleanup(put_neigh)))
#define auto_route __attribute__((cleanup(put_route)))

int vh__net_links_errno(int nle)
{
    static const struct {
        int nle, code;
    } codes[] = {
        { NLE_SUCCESS, 0 },
        { NLE_NOMEM, -ENOMEM },
        { NLE_EXIST, -EEXIST },
        { NLE_INVAL, -EINVAL },
        { NLE_RANGE, -ERANGE },
        { NLE_OPNOTSUPP, -EOPNOTSUPP },
        { NLE_OBJ_NOTFOUND, -ENOENT },
        { NLE_BUSY, -EBUSY },
        { NLE_PERM, -EPERM },
        { NLE_NOACCESS, -EACCES },
        { NLE_NODEV, -ENODEV },
        { NLE_NOADDR, -EADDRNOTAVAIL },
    };

    for (size_t i = 0; i < VH_ARRAY_LEN(codes); i++)
        if (codes[i].nle == (nle < 0 ? -nle : nle))
            return codes[i].code;
    return -EIO;
}

int vh__net_links_open(struct nl_sock **sk, vh_error *err)
{
    struct nl_sock *s = nl_socket_alloc();
    int nle;

    if (!s)
        return vh_error_set(err, -ENOMEM, "route socket");
    nle = nl_connect(s, NETLINK_ROUTE);
    if (nle < 0) {
        nl_socket_free(s);
        return vh_error_set(err, vh__net_links_errno(nle), "route socket");
    }
    *sk = s;
    return 0;
}

void vh__net_links_close(struct nl_sock **sk)
{
    if (*sk)
        nl_socket_free(*sk);
    *sk = NULL;
}

/* Gives |link| its |mac| and the common MTU. */
static int set_common(struct rtnl_link *link, const char *mac)
{
    auto_addr struct nl_addr *a = NULL;
    int nle = nl_addr_parse(mac, AF_LLC, &a);

    if (nle < 0)
        return nle;
    rtnl_link_set_addr(link, a);
    rtnl_link_set_mtu(link, VH_NET_MTU);
    return 0;
}

int vh__net_links_add_pair(struct nl_sock *sk, const char *name, int netns_fd, vh_error *err)
{
    auto_link struct rtnl_link *host = rtnl_link_veth_alloc();
    auto_link struct rtnl_link *inner = host ? rtnl_link_veth_get_peer(host) : NULL;
    int nle;

    if (!inner)
        return vh_error_set(err, -ENOMEM, "link %s", name);
    rtnl_link_set_name(host, name);
    rtnl_link_set_name(inner, INNER_LINK);
    /* made where it belongs: moving it there afterwards costs the kernel a grace period */
    rtnl_link_set_ns_fd(inner, netns_fd);
    nle = set_common(host, HOST_MAC);
    if (nle == 0)
        nle = set_common(inner, INNER_MAC);
    if (nle == 0)
        nle = rtnl_link_add(sk, host, NLM_F_CREATE | NLM_F_EXCL);
    if (nle == -NLE_OPNOTSUPP)
        return vh_error_set(err, VH_EMISSING,
                            "link %s: the kernel has no veth: load the module (modprobe veth)", name);
    return nle < 0 ? vh_error_set(err, vh__net_links_errno(nle), "make link %s", name) : 0;
}

int vh__net_links_remove(struct nl_sock *sk, const char *name, vh_error *err)
{
    auto_link struct rtnl_link *link = rtnl_link_alloc();
    int nle;

    if (!link)
        return vh_error_set(err, -ENOMEM, "remove link %s", name);
    rtnl_link_set_name(link, name);
    nle = rtnl_link_delete(sk, link);
    if (nle == 0 || nle == -NLE_NODEV || nle == -NLE_OBJ_NOTFOUND)
        return 0;
    return vh_error_set(err, vh__net_links_errno(nle), "remove link %s", name);
}

int vh__net_links_up(struct nl_sock *sk, const char *name, int *index, vh_error *err)
{
    auto_link struct rtnl_link *link = NULL;
    auto_link struct rtnl_link *change = rtnl_link_alloc();
    int nle = change ? rtnl_link_get_kernel(sk, 0, name, &link) : -NLE_NOMEM;

    if (nle == 0) {
        rtnl_link_set_flags(change, IFF_UP);
        nle = rtnl_link_change(sk, link, change, 0);
    }
    if (nle < 0)
        return vh_error_set(err, vh__net_links_errno(nle), "set link %s up", name);
    if (index)
        *index = rtnl_link_get_ifindex(link);
    return 0;
}

int vh__net_links_wait_running(struct nl_sock *sk, const char *name, const vh__wait *w, vh_error *err)
{
    for (;;) {
        auto_link struct rtnl_link *link = NULL;
        int nle, rc;

        nle = rtnl_link_get_kernel(sk, 0, name, &link); /* asking makes a kernel from 6.8 on do it at once */
        if (nle < 0)
            return vh_error_set(err, vh__net_links_errno(nle), "wait for link %s", name);
        if (rtnl_link_get_operstate(link) == IF_OPER_UP)
            return 0;
        rc = vh__wait_sleep(w, 1, name, err);
        if (rc)
            return rc;
    }
}

static struct nl_addr *ipv4(uint32_t addr, unsigned prefix)
{
    uint32_t be = htonl(addr);
    struct nl_addr *a = nl_addr_build(AF_INET, &be, sizeof(be));

    if (a)
        nl_addr_set_prefixlen(a, (int)prefix);
    return a;
}

static int add_address(struct nl_sock *sk, int index, const link_end *end)
{
    auto_ifa struct rtnl_addr *ifa = rtnl_addr_alloc();
    auto_addr struct nl_addr *a = ipv4(end->addr, end->prefix);
    int nle = -NLE_NOMEM;

    if (ifa && a) {
        rtnl_addr_set_ifindex(ifa, index);
        nle = rtnl_addr_set_local(ifa, a);
    }
    return nle < 0 ? nle : rtnl_addr_add(sk, ifa, 0);
}

static int add_neighbour(struct nl_sock *sk, int index, const link_end *end)
{
    auto_neigh struct rtnl_neigh *n = rtnl_neigh_alloc();
    auto_addr struct nl_addr *ip = ipv4(end->peer, 32);
    auto_addr struct nl_addr *mac = NULL;
    int nle = n && ip ? nl_addr_parse(end->peer_mac, AF_LLC, &mac) : -NLE_NOMEM;

    if (nle < 0)
        return nle;
    rtnl_neigh_set_ifindex(n, index);
    rtnl_neigh_set_state(n, NUD_PERMANENT);
    rtnl_neigh_set_lladdr(n, mac);
    nle = rtnl_neigh_set_dst(n, ip);
    return nle < 0 ? nle : rtnl_neigh_add(sk, n, NLM_F_CREATE);
}

int vh__net_links_up_end(struct nl_sock *sk, const link_end *end, int *index, vh_error *err)
{
    int at = 0, nle;
    int rc = vh__net_links_up(sk, end->name, &at, err);

    if (rc)
        return rc;
    nle = add_address(sk, at, end);
    if (nle == 0)
        nle = add_neighbour(sk, at, end);
    if (nle < 0)
        return vh_error_set(err, vh__net_links_errno(nle), "give link %s its address", end->name);
    if (index)
        *index = at;
    return 0;
}

int vh__net_links_add_default(struct nl_sock *sk, int index, uint32_t gateway, vh_error *err)
{
    auto_route struct rtnl_route *r = rtnl_route_alloc();
    auto_addr struct nl_addr *any = ipv4(0, 0);
    auto_addr struct nl_addr *via = ipv4(gateway, 32);
    struct rtnl_nexthop *hop = r ? rtnl_route_nh_alloc() : NULL;
    int nle = -NLE_NOMEM;

    if (hop) {
        rtnl_route_add_nexthop(r, hop); /* takes it */
        rtnl_route_nh_set_ifindex(hop, index);
    }
    if (hop && any && via) {
        rtnl_route_nh_set_gateway(hop, via);
        nle = rtnl_route_set_dst(r, any);
    }
    if (nle == 0)
        nle = rtnl_route_add(sk, r, NLM_F_CREATE);
    return nle < 0 ? vh_error_set(err, vh__net_links_errno(nle), "default route of a namespace") : 0;
}
