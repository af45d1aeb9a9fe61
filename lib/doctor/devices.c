/* What the kernel has to offer: page faults in user space, namespaces, taps, rules. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "auto.h"
#include "doctor_priv.h"

/* Registers |page| with |uffd|, installs a page of zeros by it and reads that. */
static const char *serve_a_page(int uffd, void *page, size_t size)
{
    struct uffdio_api api = { .api = UFFD_API };
    struct uffdio_register region = { .range = { .start = (uintptr_t)page, .len = size },
                                      .mode = UFFDIO_REGISTER_MODE_MISSING };
    struct uffdio_zeropage zero = { .range = region.range };

    if (ioctl(uffd, UFFDIO_API, &api) < 0)
        return "UFFDIO_API";
    if (ioctl(uffd, UFFDIO_REGISTER, &region) < 0)
        return "UFFDIO_REGISTER";
    if (ioctl(uffd, UFFDIO_ZEROPAGE, &zero) < 0 || *(volatile char *)page != 0)
        return "UFFDIO_ZEROPAGE";
    return NULL;
}

void vh__check_userfaultfd(vh__exam *x)
{
    static const char remedy[] = "Linux 6.1 or newer and root are needed; a container must be given /dev/userfaultfd; "
                                 "else use --engine file";
    vh_auto_fd int dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    vh_auto_fd int uffd = dev < 0 ? -1 : ioctl(dev, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    const char *step;
    void *page;

    if (uffd < 0) {
        vh__found_fail(x, remedy, "/dev/userfaultfd: %s", strerror(errno));
        return;
    }
    page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        vh__found_fail(x, "free some memory", "no page to try it with: %s", strerror(errno));
        return;
    }
    step = serve_a_page(uffd, page, size);
    if (step)
        vh__found_fail(x, remedy, "/dev/userfaultfd: %s: %s", step, strerror(errno));
    else
        vh__found_ok(x, "/dev/userfaultfd serves missing pages");
    munmap(page, size);
}

static void check_part(vh__exam *x, vh__net_part part, const char *fine, const char *remedy)
{
    vh_error err = { 0 };
    int rc = vh__net_probe(x->net, part, &err);

    vh__found_result(x, rc, &err, fine, rc == -EPERM ? "run it as root; a container: --privileged" : remedy);
}

void vh__check_namespaces(vh__exam *x)
{
    check_part(x, VH_NET_NAMESPACE, "network namespaces can be made and set up",
               "mount /proc/sys writable; a container: --privileged");
}

void vh__check_tun(vh__exam *x)
{
    check_part(x, VH_NET_TAP, "taps can be made", "modprobe tun; a container must be given /dev/net/tun");
}

void vh__check_nftables(vh__exam *x)
{
    check_part(x, VH_NET_RULES, "the rules of host and guests can be loaded",
               "modprobe nf_tables nft_nat nft_ct nft_masq, as root");
}

void vh__check_forward(vh__exam *x)
{
    vh_error err = { 0 };
    int rc = vh__net_probe_forward(x->net, &err);

    vh__found_result(x, rc, &err, "on, not needed, or to be switched on by the first run",
                     "sysctl net.ipv4.ip_forward=1, or set net.egress to none");
}
