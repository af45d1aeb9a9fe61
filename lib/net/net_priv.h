#ifndef VH_NET_NET_PRIV_H
#define VH_NET_NET_PRIV_H

#include <net/if.h>
#include <pthread.h>

#include "journal.h"
#include "net.h"

struct nl_sock;

/** Names of the host's links begin with it; the policy's letter and the lease's id follow. */
#define LINK_PREFIX "vhv"
/** Name of the namespace's end of the link to the host. */
#define INNER_LINK "veth0"
#define TAP_NAME   "tap0"
/** MACs of the link to the host, its end there and its end in the namespace: fixed, so that no ARP is needed. */
#define HOST_MAC  "02:76:68:00:01:01"
#define INNER_MAC "02:76:68:00:01:02"

/* The fourth letter of a host link's name, which the host's rules go by. */
typedef enum policy { POLICY_NONE = 'n', POLICY_PUBLIC = 'e', POLICY_PRIVATE = 'p' } policy;

struct vh__net {
    vh_env *env;          /* borrowed */
    uint32_t pool, pairs; /* first address in host order, number of /31s from there */
    policy policy;
    char *lease_dir;
    pthread_mutex_t mutex; /* of what follows, and of libnftables, which promises nothing about threads */
    vh__journal *journal;  /* opened by the first who needs it */
};

struct vh__net_lease {
    vh__net *net;           /* borrowed */
    vh__journal_entry *entry;
    struct nl_sock *inside; /* route socket of the namespace, until it is set up */
    bool linked;            /* there is a link to remove */
    vh__net_info info;      /* descriptors -1 until there */
};

/** "a.b.c.d" of |addr| in host order, into |text| (16 bytes), which it returns. */
char *vh__net_format(uint32_t addr, char *text);

/* ledger.c: which ids are taken */

/** Takes the lowest free id for |l|, notes its link down and sees that the host's table is there. */
int vh__net_ledger_claim(vh__net_lease *l, const vh__wait *w, vh_error *err);
/** Ends the entry of |l| and, if no live one is left on the host, removes the table. */
int vh__net_ledger_end(vh__net_lease *l, const vh__wait *w, vh_error *err);
/** Undoes stale entries and then, as above, the table. */
int vh__net_ledger_reap(vh__net *net, const vh__wait *w, vh_error *err);

/* netns.c: the namespace of |l| from within */

/**
 * Calls |fn| on a thread of its own in a new namespace, which goes with the last descriptor that |fn| has made hold it.
 * Returns what |fn| does, or -errno.
 */
int vh__net_ns_run(int (*fn)(void *arg, vh_error *err), void *arg, vh_error *err);
/** Makes the namespace of |l| with its settings, tap and rules: sets netns_fd, tap_fd and inside. */
int vh__net_ns_make(vh__net_lease *l, vh_error *err);

/* tap.c */

/** Makes the tap in the calling thread's namespace. */
int vh__net_tap_open(int *fd, vh_error *err);

/* links.c: links, addresses, neighbours and routes by netlink */

/** One end of a link and the only one at its other end. */
typedef struct link_end {
    const char *name;
    uint32_t addr; /* host order */
    uint8_t prefix;
    uint32_t peer;
    const char *peer_mac;
} link_end;

/** Opens a route socket in the calling thread's namespace; it stays there whoever uses it later. */
int vh__net_links_open(struct nl_sock **sk, vh_error *err);
/** Closes |*sk|; NULL is fine. */
void vh__net_links_close(struct nl_sock **sk);
/** Makes the veth pair |name| here, INNER_LINK in the namespace |netns_fd|. */
int vh__net_links_add_pair(struct nl_sock *sk, const char *name, int netns_fd, vh_error *err);
/** Removes the link |name|; that there is none is fine. */
int vh__net_links_remove(struct nl_sock *sk, const char *name, vh_error *err);
/** Sets the link |name| up. |index| (may be NULL) gets its index. */
int vh__net_links_up(struct nl_sock *sk, const char *name, int *index, vh_error *err);
/** Sets |end| up and gives it its address and its peer as a permanent neighbour. */
int vh__net_links_up_end(struct nl_sock *sk, const link_end *end, int *index, vh_error *err);
/**
 * Waits until the link |name| passes packets. The kernel enables the end of a pair that was set up first only from a
 * work queue; until then it drops what is sent, and a lost SYN costs a second.
 */
int vh__net_links_wait_running(struct nl_sock *sk, const char *name, const vh__wait *w, vh_error *err);
/** Adds the default route by |gateway| (host order) on the link |index|. */
int vh__net_links_add_default(struct nl_sock *sk, int index, uint32_t gateway, vh_error *err);
/** 0 or -errno (-EIO without a better one) of a code of libnl's. */
int vh__net_links_errno(int nle);

/* rules.c: nftables */

/** Runs |commands| of nft in the calling thread's namespace as one transaction; |what| names them in the error. */
int vh__net_rules_run(vh__net *net, const char *commands, const char *what, vh_error *err);
/** Loads the rules of a namespace whose clone address is |address|. */
int vh__net_rules_load_inside(vh__net *net, const char *address, vh_error *err);

/* table.c: the host's rules; the caller holds the ledger's lock */

int vh__net_table_ensure(vh__net *net, vh_error *err);
int vh__net_table_remove(vh__net *net, vh_error *err);
/** Loads the host's rules in the calling thread's namespace. */
int vh__net_table_make(vh__net *net, vh_error *err);

/* sysctl.c */

/** Writes |value| to /proc/sys/net/|name| of the calling thread's namespace. */
int vh__net_sysctl_write(const char *name, const char *value, vh_error *err);
/** Switches on forwarding of IPv4 in the calling thread's namespace if it is off; |*changed| says whether it was. */
int vh__net_sysctl_forward(bool *changed, vh_error *err);

#endif
