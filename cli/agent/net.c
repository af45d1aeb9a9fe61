#include "net.h"

#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINK "eth0"

static bool is_zero(const uint8_t *bytes, size_t n)
{
    while (n && bytes[n - 1] == 0)
        n--;
    return n == 0;
}

static void set_address(struct sockaddr *sa, const uint8_t ip[4])
{
    struct sockaddr_in *in = (struct sockaddr_in *)sa;

    memset(sa, 0, sizeof(*sa));
    in->sin_family = AF_INET;
    memcpy(&in->sin_addr, ip, 4);
}

static int bring_up(int sock, const char *name, struct fault *f)
{
    struct ifreq r = { .ifr_flags = IFF_UP | IFF_RUNNING };

    strncpy(r.ifr_name, name, sizeof(r.ifr_name) - 1);
    return ioctl(sock, SIOCSIFFLAGS, &r) < 0 ? fault_set(f, "network", "bring %s up: %m", name) : 0;
}

static int add_address(int sock, const vh__agent_start *s, struct fault *f)
{
    struct ifreq r = { .ifr_name = LINK };
    uint32_t mask = s->guest_prefix ? htonl(~0u << (32 - s->guest_prefix)) : 0;

    set_address(&r.ifr_addr, s->guest_ip);
    if (ioctl(sock, SIOCSIFADDR, &r) < 0)
        return fault_set(f, "network", "address of %s: %m", LINK);
    set_address(&r.ifr_netmask, (const uint8_t *)&mask);
    return ioctl(sock, SIOCSIFNETMASK, &r) < 0 ? fault_set(f, "network", "netmask of %s: %m", LINK) : 0;
}

static int add_route(int sock, const uint8_t gateway[4], struct fault *f)
{
    static const uint8_t any[4];
    struct rtentry r = { .rt_flags = RTF_UP | RTF_GATEWAY };

    set_address(&r.rt_dst, any);
    set_address(&r.rt_genmask, any);
    set_address(&r.rt_gateway, gateway);
    return ioctl(sock, SIOCADDRT, &r) < 0 ? fault_set(f, "network", "default route: %m") : 0;
}

/* A permanent entry: a restored clone must not wait for ARP. */
static int add_neighbour(int sock, const vh__agent_start *s, struct fault *f)
{
    struct arpreq r = { .arp_flags = ATF_COM | ATF_PERM, .arp_dev = LINK };

    set_address(&r.arp_pa, s->gateway_ip);
    r.arp_ha.sa_family = ARPHRD_ETHER;
    memcpy(r.arp_ha.sa_data, s->gateway_mac, sizeof(s->gateway_mac));
    return ioctl(sock, SIOCSARP, &r) < 0 ? fault_set(f, "network", "neighbour entry of the gateway: %m") : 0;
}

static int configure_link(int sock, const vh__agent_start *s, struct fault *f)
{
    if (s->guest_prefix > 32)
        return fault_set(f, "network", "prefix length %u is above 32", s->guest_prefix);
    if (!wait_for_path("/sys/class/net/" LINK, 2000))
        return fault_set(f, "network", "no interface %s (is virtio-net configured?)", LINK);
    /* [::] still binds, but nothing is solicited or announced that a snapshot would catch half-way */
    (void)file_put("/proc/sys/net/ipv6/conf/" LINK "/disable_ipv6", "1", 1, 0644); /* fails without IPv6 */
    if (add_address(sock, s, f) < 0 || bring_up(sock, LINK, f) < 0)
        return -1;
    if (is_zero(s->gateway_ip, sizeof(s->gateway_ip)))
        return 0;
    if (!is_zero(s->gateway_mac, sizeof(s->gateway_mac)) && add_neighbour(sock, s, f) < 0)
        return -1;
    return add_route(sock, s->gateway_ip, f);
}

int net_configure(const vh__agent_start *s, struct fault *f)
{
    int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

    if (sock < 0)
        return fault_set(f, "network", "socket: %m");
    rc = bring_up(sock, "lo", f);
    if (rc == 0 && sethostname(s->hostname, strlen(s->hostname)) < 0)
        rc = fault_set(f, "network", "host name: %m");
    if (rc == 0 && !is_zero(s->guest_ip, sizeof(s->guest_ip)))
        rc = configure_link(sock, s, f);
    (void)close(sock); /* carried no data */
    return rc;
}

/* Replaces a file of /etc without following a link that the image may have put there. */
static int replace_etc(const char *path, const char *text, size_t n, struct fault *f)
{
    if (mkdir("/etc", 0755) < 0 && errno != EEXIST)
        return fault_set(f, "network", "make directory /etc: %m");
    return file_replace(path, text, n, 0644) < 0 ? fault_set(f, "network", "write %s: %m", path) : 0;
}

static int write_resolv_conf(const vh__agent_start *s, struct fault *f)
{
    char text[512];
    size_t n = 0;

    for (uint32_t i = 0; i < s->dns.n && n < sizeof(text); i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "nameserver %s\n", s->dns.v[i]);
    if (n >= sizeof(text))
        return fault_set(f, "network", "names of the name servers are too long");
    return n ? replace_etc("/etc/resolv.conf", text, n, f) : 0;
}

static int write_hosts(const vh__agent_start *s, struct fault *f)
{
    static char image[16384];
    char text[256];
    int n;

    if (file_get("/etc/hosts", image, sizeof(image)) > 0 && strstr(image, "localhost"))
        return 0;
    n = snprintf(text, sizeof(text), "127.0.0.1\tlocalhost\n::1\tlocalhost\n");
    if (s->hostname[0])
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%u.%u.%u.%u\t%s\n", s->guest_ip[0] ? s->guest_ip[0] : 127,
                      s->guest_ip[1], s->guest_ip[2], s->guest_ip[0] ? s->guest_ip[3] : 1, s->hostname);
    return replace_etc("/etc/hosts", text, (size_t)n, f);
}

int net_write_files(const vh__agent_start *s, struct fault *f)
{
    return write_resolv_conf(s, f) < 0 || write_hosts(s, f) < 0 ? -1 : 0;
}
