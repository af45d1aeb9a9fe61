#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "auto.h"
#include "log.h"
#include "net_priv.h"

#define RELEASE_MS 2000

/* Refusals of the kernel, whichever step met them, have one remedy. */
static int explain(int rc, vh_error *err)
{
    if (rc != -EPERM && rc != -EACCES)
        return rc;
    return vh_error_wrap(err, VH_EMISSING, "network of a VM needs CAP_NET_ADMIN and CAP_SYS_ADMIN (run as root)");
}

static uint32_t host_order(const char *address)
{
    struct in_addr a;

    inet_pton(AF_INET, address, &a); /* only of our own making */
    return ntohl(a.s_addr);
}

/* The namespace's side: loopback, tap, link to the host, default route. */
static int connect_inside(vh__net_lease *l, vh_error *err)
{
    uint32_t outer = host_order(l->info.host_end);
    link_end tap = { TAP_NAME, host_order(VH_NET_GATEWAY), VH_NET_GUEST_PREFIX, host_order(VH_NET_GUEST_IP),
                     VH_NET_GUEST_MAC };
    link_end inner = { INNER_LINK, outer + 1, 31, outer, HOST_MAC };
    int index = 0;
    int rc = vh__net_links_up(l->inside, "lo", NULL, err);

    if (rc == 0)
        rc = vh__net_links_up_end(l->inside, &tap, NULL, err);
    if (rc == 0)
        rc = vh__net_links_up_end(l->inside, &inner, &index, err);
    if (rc == 0)
        rc = vh__net_links_add_default(l->inside, index, outer, err);
    return rc;
}

/* The link between host and namespace, and both its sides. */
static int connect_host(vh__net_lease *l, const vh__wait *w, vh_error *err)
{
    uint32_t outer = host_order(l->info.host_end);
    link_end end = { l->info.link, outer, 31, outer + 1, INNER_MAC };
    struct nl_sock *sk = NULL;
    int rc = vh__net_links_open(&sk, err);

    if (rc == 0)
        rc = vh__net_links_add_pair(sk, l->info.link, l->info.netns_fd, err);
    l->linked = rc == 0;
    if (rc == 0)
        rc = vh__net_links_up_end(sk, &end, NULL, err);
    if (rc == 0)
        rc = connect_inside(l, err);
    if (rc == 0)
        rc = vh__net_links_wait_running(sk, l->info.link, w, err);
    vh__net_links_close(&sk);
    vh__net_links_close(&l->inside);
    return rc;
}

int vh__net_acquire(vh__net *net, const vh__wait *w, vh__net_lease **lease, vh_error *err)
{
    vh__net_lease *made = calloc(1, sizeof(*made));
    int rc;

    if (!made)
        return vh_error_set(err, -ENOMEM, "network lease");
    made->net = net;
    made->info.netns_fd = made->info.tap_fd = made->info.lock_fd = -1;
    rc = vh__wait_check(w, "network lease", err);
    if (rc == 0)
        rc = vh__net_ledger_claim(made, w, err);
    if (rc == 0)
        rc = vh__net_ns_make(made, err);
    if (rc == 0)
        rc = connect_host(made, w, err);
    if (rc) {
        vh__net_release(made);
        return explain(rc, err);
    }
    vh__log(net->env, VH_LOG_DEBUG, "net", NULL, "leased %s on %s", made->info.address, made->info.link);
    *lease = made;
    return 0;
}

const vh__net_info *vh__net_lease_info(const vh__net_lease *lease)
{
    return &lease->info;
}

/* Removes the link. Closing the descriptors would too, but later, and not while somebody has copies. */
static int disconnect(const vh__net_lease *l, vh_error *err)
{
    struct nl_sock *sk = NULL;
    int rc;

    if (!l->linked)
        return 0;
    rc = vh__net_links_open(&sk, err);
    if (rc == 0)
        rc = vh__net_links_remove(sk, l->info.link, err);
    vh__net_links_close(&sk);
    return rc;
}

void vh__net_release(vh__net_lease *lease)
{
    vh__wait w = vh__wait_from(NULL, RELEASE_MS);
    vh_error err = { 0 };

    if (!lease)
        return;
    if (disconnect(lease, &err)) {
        vh__journal_abandon(vh_steal_ptr(lease->entry)); /* its note is still to be undone */
        vh__log(lease->net->env, VH_LOG_WARN, "net", NULL, "release of %s: %s", lease->info.address, err.msg);
    }
    vh__fd_close(&lease->info.tap_fd);
    vh__fd_close(&lease->info.netns_fd);
    vh__net_links_close(&lease->inside);
    if (vh__net_ledger_end(lease, &w, &err))
        vh__log(lease->net->env, VH_LOG_WARN, "net", NULL,
                "rules of the host may stay until the next lease: %s", err.msg);
    free(lease);
}

int vh__net_reap(vh__net *net, const vh__wait *w, vh_error *err)
{
    return explain(vh__net_ledger_reap(net, w, err), err);
}
