#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>

#include "fd.h"
#include "reap_priv.h"

/* A device that can be opened may still refuse, or be something else under that name. */
int vh__uffd_device_open(int *fd, vh_error *err)
{
    vh_auto_fd int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    vh_auto_fd int made = device < 0 ? -1 : ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC);

    if (made < 0)
        return vh_error_set(err, VH_EMISSING,
                            "/dev/userfaultfd: %s; engines uffd and reap need it, with Linux 6.1 or newer and root; engine "
                            "file does not",
                            strerror(errno));
    *fd = vh_steal_fd(&device);
    return 0;
}

/* |placed| is what the kernel left in the structure: bytes, or a negative errno that it also returned. */
static vh__uffd_result result(int rc, int64_t placed, uint64_t len, uint64_t *done)
{
    *done = rc == 0 ? len : placed > 0 ? (uint64_t)placed : 0;
    if (*done > 0)
        return VH_UFFD_DONE; /* a part: asking for the rest brings its reason to light */
    switch (errno) {
    case EEXIST:
        return VH_UFFD_PRESENT;
    case EAGAIN:
        return VH_UFFD_AGAIN;
    case ENOENT:
        return VH_UFFD_UNMAPPED;
    case ESRCH:
        return VH_UFFD_GONE;
    default:
        return VH_UFFD_FAILED;
    }
}

vh__uffd_result vh__uffd_copy(int uffd, uint64_t dst, const void *src, uint64_t len, uint64_t *done)
{
    struct uffdio_copy c = { .dst = dst, .src = (uintptr_t)src, .len = len };
    int rc = ioctl(uffd, UFFDIO_COPY, &c);

    return result(rc, c.copy, len, done);
}

vh__uffd_result vh__uffd_zero(int uffd, uint64_t dst, uint64_t len, uint64_t *done)
{
    struct uffdio_zeropage z = { .range = { .start = dst, .len = len } };
    int rc = ioctl(uffd, UFFDIO_ZEROPAGE, &z);

    return result(rc, z.zeropage, len, done);
}

void vh__uffd_wake(int uffd, uint64_t at, uint64_t len)
{
    struct uffdio_range r = { .start = at, .len = len };

    (void)ioctl(uffd, UFFDIO_WAKE, &r); /* fails only for a range that cannot be waited for */
}
