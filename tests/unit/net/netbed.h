/*
 * What the tests of leases share. Each test lives in a network namespace of its own, its "host", so nothing
 * of the machine is touched and tests may run side by side. Guests are played by hand: frames are read from
 * and written to a lease's tap.
 */
#ifndef VH_TESTS_NET_NETBED_H
#define VH_TESTS_NET_NETBED_H

#include "testenv.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auto.h"
#include "net.h"
#include "path.h"
#include "spawn.h"

#define NETBED_DEADLINE_MS 5000
#define ETH_LEN            14
#define IP_LEN             20
#define VNET_LEN           10 /* struct virtio_net_hdr before each frame of a lease's tap */

typedef struct netbed {
    testenv t;
    vh__net_options o;
    vh__net *net;
    char lease_dir[96];
    char before[4096]; /* links and tables */
} netbed;

/* An IPv4 datagram as a guest sees it. */
typedef struct packet {
    char src[16], dst[16];
    uint8_t protocol;
    uint8_t payload[256]; /* the transport header included */
    size_t len;
} packet;

/* Moves the test into a fresh namespace with loopback up; false where that is not possible. */
static inline bool netbed_enter(void)
{
    struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
    vh_auto_fd int fd = -1;

    if (unshare(CLONE_NEWNET) < 0)
        return false;
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0 && access("/dev/net/tun", R_OK | W_OK) == 0;
}

/* Runs a program; its output goes into |out| if there is one. */
static inline void netbed_run(const char *const *argv, char *out, size_t n)
{
    vh_auto_buf vh__buf b = { 0 };
    vh_auto_free char *program = vh__path_find_program(argv[0]);
    const char *full[12] = { program };
    vh__wait w = vh__wait_from(NULL, NETBED_DEADLINE_MS);
    vh_error err = { 0 };

    if (!program)
        fail_msg("%s: not in PATH", argv[0]);
    for (size_t i = 1; argv[i]; i++)
        full[i] = argv[i];
    assert_ok(vh__run_program(full, NULL, &w, n ? n - 1 : 4096, &b, &err), err);
    if (n)
        snprintf(out, n, "%s", b.data ? b.data : "");
}

#define RUN(...) netbed_run((const char *const[]){ __VA_ARGS__, NULL }, NULL, 0)

/* Links and tables of the test's host. */
static inline void netbed_state(char *out, size_t n)
{
    struct if_nameindex *all = if_nameindex();
    char tables[1024];
    size_t at = 0;

    assert_non_null(all);
    netbed_run((const char *const[]){ "nft", "list", "tables", NULL }, tables, sizeof(tables));
    for (struct if_nameindex *i = all; i->if_index; i++)
        at += (size_t)snprintf(out + at, n - at, "%s ", i->if_name);
    snprintf(out + at, n - at, "\n%s", tables);
    if_freenameindex(all);
}

static inline void netbed_init(netbed *b, vh__net_options o)
{
    vh_error err = { 0 };

    memset(b, 0, sizeof(*b));
    if (!netbed_enter())
        testenv_skip("root", "network namespaces and taps need it");
    netbed_state(b->before, sizeof(b->before));
    testenv_init(&b->t);
    snprintf(b->lease_dir, sizeof(b->lease_dir), "%s/leases", b->t.dir);
    b->o = o;
    b->o.lease_dir = b->lease_dir;
    assert_ok(vh__net_new(b->t.env, &b->o, &b->net, &err), err);
}

/* Ends the test: what there was before must be all there is. */
static inline void netbed_fini(netbed *b)
{
    char now[4096];

    vh__net_free(b->net);
    netbed_state(now, sizeof(now));
    assert_string_equal(now, b->before);
    testenv_fini(&b->t);
}

static inline vh__net_lease *netbed_acquire(netbed *b)
{
    vh__wait w = vh__wait_from(NULL, NETBED_DEADLINE_MS);
    vh__net_lease *l = NULL;
    vh_error err = { 0 };

    assert_ok(vh__net_acquire(b->net, &w, &l, &err), err);
    return l;
}

/* The same in a child process, where a failing assertion would run on into the other tests. */
static inline vh__net_lease *netbed_acquire_or_exit(netbed *b)
{
    vh__wait w = vh__wait_from(NULL, NETBED_DEADLINE_MS);
    vh__net_lease *l = NULL;
    vh_error err = { 0 };

    if (vh__net_acquire(b->net, &w, &l, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        _exit(100);
    }
    return l;
}

static inline uint16_t checksum(const uint8_t *p, size_t n)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* A UDP datagram; without a checksum, which IPv4 allows. */
static inline packet udp(const char *src, uint16_t sport, const char *dst, uint16_t dport, const char *text)
{
    packet p = { .protocol = IPPROTO_UDP, .len = 8 + strlen(text) };
    uint16_t head[4] = { htons(sport), htons(dport), htons((uint16_t)p.len), 0 };

    snprintf(p.src, sizeof(p.src), "%s", src);
    snprintf(p.dst, sizeof(p.dst), "%s", dst);
    memcpy(p.payload, head, sizeof(head));
    memcpy(p.payload + sizeof(head), text, strlen(text));
    return p;
}

static inline packet ping(const char *src, const char *dst)
{
    packet p = { .protocol = IPPROTO_ICMP, .payload = { 8, 0, 0, 0, 0, 7, 0, 1 }, .len = 8 };
    uint16_t sum = htons(checksum(p.payload, p.len));

    snprintf(p.src, sizeof(p.src), "%s", src);
    snprintf(p.dst, sizeof(p.dst), "%s", dst);
    memcpy(p.payload + 2, &sum, sizeof(sum));
    return p;
}

/* The guest of |l| sends |p|. */
static inline void guest_send(const vh__net_lease *l, const packet *p)
{
    static const uint8_t eth[ETH_LEN] = { 2, 0x76, 0x68, 0, 0, 1, 2, 0x76, 0x68, 0, 0, 2, 8, 0 };
    uint8_t f[VNET_LEN + ETH_LEN + IP_LEN + sizeof(p->payload)] = { 0 };
    uint8_t *ip = f + VNET_LEN + ETH_LEN;
    size_t n = IP_LEN + p->len;
    uint16_t sum;

    memcpy(f + VNET_LEN, eth, ETH_LEN);
    ip[0] = 0x45;
    ip[2] = (uint8_t)(n >> 8);
    ip[3] = (uint8_t)n;
    ip[8] = 64;
    ip[9] = p->protocol;
    assert_int_equal(inet_pton(AF_INET, p->src, ip + 12), 1);
    assert_int_equal(inet_pton(AF_INET, p->dst, ip + 16), 1);
    sum = htons(checksum(ip, IP_LEN));
    memcpy(ip + 10, &sum, sizeof(sum));
    memcpy(ip + IP_LEN, p->payload, p->len);
    n += VNET_LEN + ETH_LEN;
    assert_int_equal(write(vh__net_lease_info(l)->tap_fd, f, n), n);
}

/* The next IPv4 datagram on the tap |fd|, whose frames follow |skip| bytes; fails the test if none comes. */
static inline packet tap_receive(int fd, size_t skip)
{
    struct pollfd pfd = { .fd = fd, .events = POLLIN };
    uint8_t f[2048];

    for (;;) {
        const uint8_t *ip = f + skip + ETH_LEN;
        packet p = { 0 };
        ssize_t n;

        if (poll(&pfd, 1, NETBED_DEADLINE_MS) != 1)
            fail_msg("no packet within %d ms", NETBED_DEADLINE_MS);
        n = read(fd, f, sizeof(f)) - (ssize_t)(skip + ETH_LEN);
        if (n < IP_LEN || ip[-2] != 8 || ip[-1] != 0)
            continue;
        inet_ntop(AF_INET, ip + 12, p.src, sizeof(p.src));
        inet_ntop(AF_INET, ip + 16, p.dst, sizeof(p.dst));
        p.protocol = ip[9];
        p.len = VH_MIN((size_t)n - IP_LEN, sizeof(p.payload));
        memcpy(p.payload, ip + IP_LEN, p.len);
        return p;
    }
}

static inline packet guest_receive(const vh__net_lease *l)
{
    return tap_receive(vh__net_lease_info(l)->tap_fd, VNET_LEN);
}

static inline uint16_t port_at(const packet *p, size_t off)
{
    return (uint16_t)(p->payload[off] << 8 | p->payload[off + 1]);
}

/* Text of a UDP datagram. */
static inline const char *text_of(const packet *p)
{
    return p->protocol == IPPROTO_UDP && p->len >= 8 ? (const char *)p->payload + 8 : "";
}

static inline struct sockaddr_in at(const char *address, uint16_t port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };

    assert_int_equal(inet_pton(AF_INET, address, &a.sin_addr), 1);
    return a;
}

#endif
