/* Page faults and installed pages, in this process, without a VMM. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "auto.h"
#include "clock.h"
#include "fd.h"
#include "micro_priv.h"

enum { PAGES = 1024, FAULTS = 512 };

static int register_memory(struct target *t, vh_error *err)
{
    struct uffdio_api api = { .api = UFFD_API };
    struct uffdio_register r = { .range = { .start = (uintptr_t)t->at, .len = t->size },
                                 .mode = UFFDIO_REGISTER_MODE_MISSING };

    if (ioctl(t->uffd, UFFDIO_API, &api) < 0 || ioctl(t->uffd, UFFDIO_REGISTER, &r) < 0)
        return vh_error_set(err, -errno, "register memory with userfaultfd");
    return 0;
}

int vh__micro_target_open(struct target *t, size_t size, vh_error *err)
{
    vh_auto_fd int dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    int rc;

    *t = (struct target){ .uffd = -1, .size = size };
    if (dev < 0)
        return vh_error_set(err, VH_EMISSING, "/dev/userfaultfd: %s; it needs root and Linux 6.1", strerror(errno));
    t->uffd = ioctl(dev, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
    if (t->uffd < 0)
        return vh_error_set(err, -errno, "userfaultfd");
    t->at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (t->at == MAP_FAILED) {
        t->at = NULL;
        rc = vh_error_set(err, -errno, "map memory");
    } else {
        rc = register_memory(t, err);
    }
    if (rc)
        vh__micro_target_close(t);
    return rc;
}

void vh__micro_target_close(struct target *t)
{
    vh__fd_close(&t->uffd);
    if (t->at)
        (void)munmap(t->at, t->size);
    t->at = NULL;
}

/* Whole calls only: nobody changes this memory beside us. */
static int copy(int uffd, char *to, const char *from, size_t n, vh_error *err)
{
    struct uffdio_copy c = { .dst = (uintptr_t)to, .src = (uintptr_t)from, .len = n };

    return ioctl(uffd, UFFDIO_COPY, &c) < 0 ? vh_error_set(err, -errno, "UFFDIO_COPY") : 0;
}

/* Installs PAGES pages, |step| in each call. */
static int measure_copy(size_t step, double *value, vh_error *err)
{
    vh_auto_free uint32_t *source = malloc((size_t)PAGES * PAGE);
    struct target t;
    uint32_t seed = 1;
    int64_t start;
    int rc = source ? vh__micro_target_open(&t, (size_t)PAGES * PAGE, err) : vh_error_set(err, -ENOMEM, "pages");

    if (rc)
        return rc;
    vh__micro_noise(source, (size_t)PAGES * PAGE / sizeof(*source), &seed);
    start = vh__clock_mono_ns();
    for (size_t i = 0; rc == 0 && i < PAGES; i += step)
        rc = copy(t.uffd, t.at + i * PAGE, (const char *)source + i * PAGE, step * PAGE, err);
    *value = (double)(vh__clock_mono_ns() - start) / PAGES;
    vh__micro_target_close(&t);
    return rc;
}

int vh__micro_uffd_copy(vh_micro *m, const vh__wait *w, double *value, vh_error *err)
{
    (void)m;
    (void)w;
    return measure_copy(PAGES, value, err);
}

int vh__micro_uffd_copy_page(vh_micro *m, const vh__wait *w, double *value, vh_error *err)
{
    (void)m;
    (void)w;
    return measure_copy(1, value, err);
}

int vh__micro_uffd_zero(vh_micro *m, const vh__wait *w, double *value, vh_error *err)
{
    struct target t;
    struct uffdio_zeropage z;
    int64_t start;
    int rc = vh__micro_target_open(&t, (size_t)PAGES * PAGE, err);

    (void)m;
    (void)w;
    if (rc)
        return rc;
    z = (struct uffdio_zeropage){ .range = { .start = (uintptr_t)t.at, .len = t.size } };
    start = vh__clock_mono_ns();
    if (ioctl(t.uffd, UFFDIO_ZEROPAGE, &z) < 0)
        rc = vh_error_set(err, -errno, "UFFDIO_ZEROPAGE");
    *value = (double)(vh__clock_mono_ns() - start) / PAGES;
    vh__micro_target_close(&t);
    return rc;
}

int vh__micro_pager(struct target *t, int memory_fd, vh__ws_fetch *fetch, vh__pager **p, vh_error *err)
{
    vh__regions r = { .n = 1, .page_size = PAGE, .v = { { .base = (uintptr_t)t->at, .size = t->size } } };
    vh__pager_options o = { .uffd = t->uffd, .memory_fd = memory_fd, .memory_size = t->size, .regions = &r,
                            .mode = fetch ? VH_PAGER_REPLAY : VH_PAGER_LAZY, .fetch = fetch };
    int rc = vh__pager_start(&o, p, err);

    if (rc == 0)
        t->uffd = -1; /* it is the pager's now */
    return rc;
}

/* Should the pager fail, this thread would stand still: its memory file is of our making and in memory. */
static double touch_all(const struct target *t)
{
    int64_t start = vh__clock_mono_ns();

    for (size_t i = 0; i < t->size; i += PAGE)
        (void)*(volatile char *)(t->at + i);
    return (double)(vh__clock_mono_ns() - start) / ((double)t->size / PAGE);
}

int vh__micro_fault(vh_micro *m, const vh__wait *w, double *value, vh_error *err)
{
    vh_auto_fd int memory = memfd_create("micro", MFD_CLOEXEC);
    vh__pager *p = NULL;
    struct target t;
    uint32_t page[PAGE / sizeof(uint32_t)], seed = 1;
    int rc = memory < 0 ? vh_error_set(err, -errno, "memory file") : 0;

    (void)m;
    (void)w;
    for (size_t i = 0; rc == 0 && i < FAULTS; i++) {
        vh__micro_noise(page, VH_ARRAY_LEN(page), &seed);
        rc = vh__fd_pwrite_full(memory, page, PAGE, i * PAGE, "memory file", err);
    }
    if (rc == 0)
        rc = vh__micro_target_open(&t, (size_t)FAULTS * PAGE, err);
    if (rc)
        return rc;
    rc = vh__micro_pager(&t, memory, NULL, &p, err);
    if (rc == 0)
        *value = touch_all(&t);
    vh__pager_free(p);
    vh__micro_target_close(&t);
    return rc;
}
