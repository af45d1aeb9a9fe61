#include <errno.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include "reap_priv.h"

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
