#include <errno.h>
#include <netlink/netlink.h>
#include <netlink/msg.h>
#include <linux/netfilter.h> /* after libc's <netinet/in.h>, which the one above brings */
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "buf.h"
#include "log.h"
#include "net_priv.h"

#define TABLE "vhive"

/*
 * Static: links are told apart by their names, so leases come and go without a transaction here. Accepting
 * ends only our own chain; what other tables drop stays dropped. Final addresses are looked at (hook forward
 * is past any dnat of others), so a published port is no way round.
 */
static const char table[] =
    "table inet " TABLE " {\n"
    "  set resolvers { type ipv4_addr; }\n"
    "  chain forward { type filter hook forward priority filter - 10; policy accept;\n"
    "    iifname \"" LINK_PREFIX "*\" oifname \"" LINK_PREFIX "*\" drop\n"
    "    iifname \"" LINK_PREFIX "*\" jump egress\n"
    "  }\n"
    "  chain egress {\n"
    "    meta nfproto ipv6 drop\n"
    "    ct state established,related accept\n"
    "    iifname \"" LINK_PREFIX "n*\" drop\n"
    "    ip daddr @resolvers meta l4proto { tcp, udp } th dport 53 accept\n"
    "    ip daddr 169.254.0.0/16 drop\n"
    "    iifname \"" LINK_PREFIX "p*\" accept\n"
    "    ip daddr { 0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 172.16.0.0/12, 192.0.0.0/24,\n"
    "               192.168.0.0/16, 198.18.0.0/15, 224.0.0.0/3 } drop\n"
    "  }\n"
    "  chain input { type filter hook input priority filter - 10; policy accept;\n"
    "    iifname != \"" LINK_PREFIX "*\" accept\n"
    "    ct state established,related accept\n"
    "    icmp type echo-request accept\n"
    "    drop\n"
    "  }\n"
    "  chain out { type nat hook postrouting priority srcnat;\n"
    "    iifname \"" LINK_PREFIX "*\" oifname != \"" LINK_PREFIX "*\" masquerade\n"
    "  }\n"
    "}\n";

/* Makes the table, with the name servers of the moment. */
int vh__net_table_make(vh__net *net, vh_error *err)
{
    vh_auto_buf vh__buf rules = { 0 };
    vh__net_resolvers resolvers;
    int rc;

    vh__net_resolvers_get(&resolvers);
    vh__buf_puts(&rules, table);
    for (size_t i = 0; i < resolvers.n; i++)
        vh__buf_printf(&rules, "add element inet " TABLE " resolvers { %s }\n", resolvers.address[i]);
    rc = vh__buf_check(&rules, "rules of the host", err);
    return rc ? rc : vh__net_rules_run(net, rules.data, "rules of the host", err);
}

/* Asks the kernel for the table by name: 0, -ENOENT, or another -errno. nft itself would list all it has. */
static int query(void)
{
    struct nfgenmsg family = { .nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0 };
    struct nl_sock *sk = nl_socket_alloc();
    struct nl_msg *msg = nlmsg_alloc_simple((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETTABLE, NLM_F_ACK);
    int nle = sk && msg ? nl_connect(sk, NETLINK_NETFILTER) : -NLE_NOMEM;

    if (nle == 0)
        nle = nlmsg_append(msg, &family, sizeof(family), NLMSG_ALIGNTO);
    if (nle == 0)
        nle = nla_put_string(msg, NFTA_TABLE_NAME, TABLE);
    if (nle == 0) {
        nle = nl_send_sync(sk, msg); /* takes it */
        msg = NULL;
    }
    if (msg)
        nlmsg_free(msg);
    nl_socket_free(sk);
    return vh__net_links_errno(nle < 0 ? nle : 0);
}

static int exists(bool *there, vh_error *err)
{
    int rc = query();

    *there = rc == 0;
    if (rc == 0 || rc == -ENOENT)
        return 0;
    if (rc == -EINVAL || rc == -EOPNOTSUPP)
        return vh_error_set(err, VH_EMISSING,
                            "nftables: the kernel has no nf_tables: load it (modprobe nf_tables)");
    return vh_error_set(err, rc, "nftables: look for table inet " TABLE);
}

int vh__net_table_ensure(vh__net *net, vh_error *err)
{
    bool there, changed = false;
    int rc = exists(&there, err);

    if (rc == 0 && !there)
        rc = vh__net_table_make(net, err);
    if (rc || net->policy == POLICY_NONE)
        return rc;
    rc = vh__net_sysctl_forward(&changed, err);
    if (changed)
        vh__log(net->env, VH_LOG_WARN, "net", NULL,
                "switched on net.ipv4.ip_forward, which guests need to reach other machines (egress: none "
                "does not)");
    return rc;
}

int vh__net_table_remove(vh__net *net, vh_error *err)
{
    bool there;
    int rc = exists(&there, err);

    return rc || !there ? rc
                        : vh__net_rules_run(net, "delete table inet " TABLE "\n", "rules of the host", err);
}
