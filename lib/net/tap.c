#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "auto.h"
#include "net_priv.h"

static int set_mac(int fd, vh_error *err)
{
    struct ifreq r = { .ifr_hwaddr.sa_family = ARPHRD_ETHER };
    unsigned char *m = (unsigned char *)r.ifr_hwaddr.sa_data;

    if (sscanf(VH_NET_GATEWAY_MAC, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", m, m + 1, m + 2, m + 3, m + 4, m + 5) !=
        6)
        return vh_error_set(err, VH_EINVALID, "MAC %s", VH_NET_GATEWAY_MAC);
    if (ioctl(fd, SIOCSIFHWADDR, &r) < 0)
        return vh_error_set(err, -errno, "%s: set MAC", TAP_NAME);
    return 0;
}

int vh__net_tap_open(int *fd, vh_error *err)
{
    struct ifreq r = { .ifr_name = TAP_NAME, .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL };
    vh_auto_fd int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    int rc;

    if (tap < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
        return vh_error_set(err, VH_EMISSING,
                            "/dev/net/tun: %s: load the module (modprobe tun); a container must be "
                            "given the device",
                            strerror(errno));
    if (tap < 0)
        return vh_error_set(err, -errno, "open /dev/net/tun");
    if (ioctl(tap, TUNSETIFF, &r) < 0)
        return vh_error_set(err, -errno, "make %s", TAP_NAME);
    rc = set_mac(tap, err);
    if (rc)
        return rc;
    *fd = vh_steal_fd(&tap);
    return 0;
}
