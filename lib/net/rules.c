#include <nftables/libnftables.h>
#include <string.h>

#include "buf.h"
#include "net_priv.h"

/* The first line of what nft has to say, without "Error: ". */
static int explain(const char *what, const char *text, vh_error *err)
{
    static const char prefix[] = "Error: ";

    if (strncmp(text, prefix, strlen(prefix)) == 0)
        text += strlen(prefix);
    return vh_error_set(err, VH_EMISSING,
                        "%s: nftables: %.*s: needs a kernel with nf_tables, its nat, ct and masq expressions "
                        "(modprobe nf_tables nft_nat nft_ct nft_masq)",
                        what, (int)strcspn(text, "\n"), text);
}

static int run_with(struct nft_ctx *nft, const char *commands, const char *what, vh_error *err)
{
    if (nft_ctx_buffer_error(nft) || nft_ctx_buffer_output(nft))
        return vh_error_set(err, VH_EMISSING, "%s: nftables: no memory for messages", what);
    return nft_run_cmd_from_buffer(nft, commands) ? explain(what, nft_ctx_get_error_buffer(nft), err) : 0;
}

int vh__net_rules_run(vh__net *net, const char *commands, const char *what, vh_error *err)
{
    struct nft_ctx *nft;
    int rc;

    pthread_mutex_lock(&net->mutex);
    nft = nft_ctx_new(NFT_CTX_DEFAULT);
    rc = nft ? run_with(nft, commands, what, err)
             : vh_error_set(err, VH_EMISSING, "%s: nftables: no context", what);
    if (nft)
        nft_ctx_free(nft);
    pthread_mutex_unlock(&net->mutex);
    return rc;
}

int vh__net_rules_load_inside(vh__net *net, const char *address, vh_error *err)
{
    static const char what[] = "rules of a namespace";
    vh_auto_buf vh__buf b = { 0 };
    int rc;

    /* A guest that forges its address is not rewritten by snat, so it must not get out at all. */
    vh__buf_printf(&b,
                   "table ip vhive {\n"
                   "  chain in { type nat hook prerouting priority dstnat;\n"
                   "    iifname " INNER_LINK " ip daddr %s dnat to " VH_NET_GUEST_IP "; }\n"
                   "  chain out { type nat hook postrouting priority srcnat;\n"
                   "    oifname " INNER_LINK " snat to %s; }\n"
                   "  chain forged { type filter hook forward priority filter;\n"
                   "    iifname " TAP_NAME " ip saddr != " VH_NET_GUEST_IP " drop; }\n"
                   "}\n",
                   address, address);
    rc = vh__buf_check(&b, what, err);
    return rc ? rc : vh__net_rules_run(net, b.data, what, err);
}
