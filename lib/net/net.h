/*
 * vh__net: the network of a VM. Every VM lives in a network namespace of its own that looks the same from inside
 * (addresses, MACs), so a clone of a snapshot needs no change; from outside each has an address of its own.
 *
 *     guest 172.16.0.2 -- tap0 172.16.0.1 | namespace | clone address -- host end, "vhv..." | host
 *                                     DNAT clone address -> guest, SNAT guest -> clone address
 *
 *     vh__net_acquire(net, &wait, &lease, &err);
 *     info = vh__net_lease_info(lease);     QEMU: -netdev tap,fd=<info->tap_fd>, mac VH_NET_GUEST_MAC
 *     ... connect to info->address ...
 *     vh__net_release(lease);
 *
 * The namespace is anonymous: only descriptors hold it, so it vanishes with its tap and its veth pair when the last
 * holder dies, however that happens. What outlives processes is the ledger of leases and one table on the host, "inet
 * vhive", made with the first lease of the host and removed with the last; vh__net_reap() clears both after a crash.
 *
 * Policy, by rules on the host that a guest cannot reach:
 * - The host may connect to its guests, any port and protocol. A guest may answer, and may ping the host, but can
 *   open no connection to the host itself, whatever its address.
 * - Guests never reach one another, nor the metadata service (169.254.0.0/16); IPv6 is off.
 * - With egress they may ask the host's own name servers (port 53 only), whatever range those are in.
 * - Egress "public": the rest of the world through masquerading, without private (RFC 1918), shared (CGNAT),
 *   benchmark, multicast and reserved ranges; allow_private lifts that. "none": no connections out at all.
 * - The policy of a lease is the fourth letter of its host link: "vhvn7" none, "vhve7" public, "vhvp7" private too.
 * No rule of others is touched; so a host firewall that drops forwarded packets by default (docker's does) must be
 * told to accept those from "vhv*". Egress needs net.ipv4.ip_forward, which is switched on, logged, and left on: by
 * the time of the last lease others may rely on it.
 *
 * Threads: a vh__net may be used by all threads and must outlive its leases; a lease is used by one thread at a time.
 * Namespaces are entered only by short-lived threads of this module, never by the caller's.
 */
#ifndef VH_NET_NET_H
#define VH_NET_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <vhive/env.h>

#include "wait.h"

/** What every guest sees, the same in all clones. */
#define VH_NET_GUEST_IP     "172.16.0.2"
#define VH_NET_GUEST_PREFIX 30
#define VH_NET_GUEST_MAC    "02:76:68:00:00:02"
#define VH_NET_GATEWAY      "172.16.0.1"
#define VH_NET_GATEWAY_MAC  "02:76:68:00:00:01"
/** MTU of all links between guest and host. */
#define VH_NET_MTU 1500

typedef struct vh__net_options {
    const char *pool;      /* addresses of the links between host and namespaces, a pair for each lease;
                              NULL: 198.18.0.0/15 (RFC 2544: no docker, Kubernetes or VPN default lies in it) */
    const char *egress;    /* "public" or "none"; NULL: "public" */
    bool allow_private;    /* with egress "public": private ranges too */
    const char *lease_dir; /* ledger of leases; one for the host, whatever run directories there are, because link
                              names and addresses are the host's. NULL: /run/vhive-net */
} vh__net_options;

typedef struct vh__net vh__net;
typedef struct vh__net_lease vh__net_lease;

/** A lease. Descriptors and strings are borrowed from it and valid until its release; descriptors close on exec. */
typedef struct vh__net_info {
    uint32_t id;        /* unique among the live leases of the host, from 1 */
    char address[16];   /* clone address: where the host reaches the guest, every port and protocol */
    char host_end[16];  /* the host's address on that link: where such connections come from */
    char link[16];      /* name of the host's link */
    int netns_fd;       /* the namespace; needed only by a VMM that opens its tap itself */
    int tap_fd;         /* tap0: IFF_TAP | IFF_NO_PI | IFF_VNET_HDR; holds the namespace as well */
    int lock_fd;        /* keeps the lease from being reaped: pass it to the process that holds the VM */
} vh__net_info;

/**
 * Makes the object; touches nothing of the host. |o| (NULL: defaults) is copied. The caller owns |*net|.
 * VH_EINVALID: |pool| is no IPv4 range between /8 and /30 on its boundary, |egress| is neither word, |lease_dir| is
 * not absolute.
 */
VH_MUST_CHECK int vh__net_new(vh_env *env, const vh__net_options *o, vh__net **net, vh_error *err);
/** Frees |net|; its leases must be gone. NULL is fine. */
void vh__net_free(vh__net *net);

/**
 * Sets up the network of one VM with the lowest id that no process of the host has. The caller owns |*lease|.
 * VH_EMISSING: a privilege, /dev/net/tun or nf_tables is missing (the message says which and what to do); VH_ELIMIT:
 * all addresses are leased; VH_ETIMEDOUT, VH_ECANCELED. On error nothing is left behind.
 */
VH_MUST_CHECK int vh__net_acquire(vh__net *net, const vh__wait *w, vh__net_lease **lease, vh_error *err);
/** The figures of |lease|; borrowed. */
const vh__net_info *vh__net_lease_info(const vh__net_lease *lease);
/**
 * Removes the link, closes the descriptors, ends the lease and, with the last one of the host, removes the host's
 * table. Blocks for at most 2 s. Holders of copies of the descriptors keep an empty namespace. NULL is fine.
 */
void vh__net_release(vh__net_lease *lease);

/** What of the network can be tried by itself. */
typedef enum vh__net_part { VH_NET_NAMESPACE = 0, VH_NET_TAP, VH_NET_RULES } vh__net_part;

/**
 * Tries |part| in a namespace that is thrown away with all that was made in it. 0, or the error that vh__net_acquire()
 * would give.
 */
VH_MUST_CHECK int vh__net_probe(vh__net *net, vh__net_part part, vh_error *err);
/** 0 if guests can reach other machines or need not: forwarding is on, or can be switched on. Changes nothing. */
VH_MUST_CHECK int vh__net_probe_forward(const vh__net *net, vh_error *err);

/** Most name servers that are told: resolv.conf(5) knows no more. */
#define VH_NET_RESOLVERS_MAX 3

/** Name servers that a guest may ask, as text. */
typedef struct vh__net_resolvers {
    size_t n;
    char address[VH_NET_RESOLVERS_MAX][16];
} vh__net_resolvers;

/** The IPv4 servers of the host's /etc/resolv.conf, without those on its loopback, which no guest can reach. */
void vh__net_resolvers_get(vh__net_resolvers *out);

/**
 * Clears the leases whose holders are dead, and the host's table when no live one is left. Cheap when there are none;
 * call it once at the start. Any number of processes may do so at once. Errors as vh__net_acquire().
 */
VH_MUST_CHECK int vh__net_reap(vh__net *net, const vh__wait *w, vh_error *err);

#endif
