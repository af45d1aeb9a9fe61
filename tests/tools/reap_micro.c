/*
 * Figures of module reap on this machine, in a plain process without a VMM:
 *
 *     reap-micro DIR [MIB]      DIR is on the disk to measure; it gets a memory file of MIB (default 64)
 *
 * Needs root for the userfaultfd, and for dropping caches (the cold rows are warm otherwise). Prints medians.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "clock.h"
#include "fd.h"
#include "reap.h"

enum { ROUNDS = 9, PAGE = VH_PAGE_SIZE_MIN };

struct bench {
    int dirfd, memory_fd;
    size_t size;
    vh__ws_identity id;
    uint32_t *touch; /* pages to touch, in order */
    size_t n;
    char *at;
};

static int must(int rc, const vh_error *err)
{
    if (rc) {
        fprintf(stderr, "reap-micro: %s\n", err->msg);
        exit(1);
    }
    return rc;
}

static int must_errno(int rc, const char *what)
{
    if (rc < 0) {
        perror(what);
        exit(1);
    }
    return rc;
}

static void drop_caches(void)
{
    vh_auto_fd int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

    sync();
    if (fd < 0 || write(fd, "1", 1) < 0)
        fprintf(stderr, "reap-micro: caches stay warm: %s\n", strerror(errno));
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median(double v[ROUNDS])
{
    qsort(v, ROUNDS, sizeof(*v), by_value);
    return v[ROUNDS / 2];
}

/* Runs like those of a real working set: 1 to 8 pages, gaps of 1 to 40. */
static void make_files(struct bench *b)
{
    uint32_t seed = 1;
    vh_error err = { 0 };

    for (size_t off = 0; off < b->size; off += sizeof(seed) * 1024) {
        uint32_t page[1024];

        for (size_t i = 0; i < 1024; i++)
            page[i] = seed = seed * 1664525u + 1013904223u;
        must(vh__fd_pwrite_full(b->memory_fd, page, sizeof(page), off, "memory", &err), &err);
    }
    for (uint32_t page = 0; page < b->size / PAGE; page += 1 + (seed >> 20) % 40) {
        seed = seed * 1664525u + 1013904223u;
        for (uint32_t k = 0; k < 1 + (seed >> 8) % 8 && page < b->size / PAGE; k++)
            b->touch[b->n++] = page++;
    }
    must_errno(fsync(b->memory_fd), "fsync");
}

static int register_memory(struct bench *b)
{
    vh_auto_fd int dev = must_errno(open("/dev/userfaultfd", O_RDWR | O_CLOEXEC), "/dev/userfaultfd");
    int uffd = must_errno(ioctl(dev, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK), "userfaultfd");
    struct uffdio_api api = { .api = UFFD_API };
    struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

    b->at = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    reg.range = (struct uffdio_range){ .start = (uintptr_t)b->at, .len = b->size };
    must_errno(ioctl(uffd, UFFDIO_API, &api), "UFFDIO_API");
    must_errno(ioctl(uffd, UFFDIO_REGISTER, &reg), "UFFDIO_REGISTER");
    return uffd;
}

static vh__pager *start(struct bench *b, vh__pager_mode mode, vh__ws_fetch *fetch)
{
    vh_error err = { 0 };
    vh__pager *p = NULL;
    int uffd = register_memory(b);
    vh__regions r = { .n = 1, .page_size = PAGE, .v = { { .base = (uintptr_t)b->at, .size = b->size } } };
    vh__pager_options o = { .uffd = uffd, .memory_fd = b->memory_fd, .memory_size = b->size, .regions = &r,
                            .mode = mode, .fetch = fetch };

    must(vh__pager_start(&o, &p, &err), &err);
    return p;
}

static double touch_all(struct bench *b)
{
    int64_t from = vh__clock_mono_ns();

    for (size_t i = 0; i < b->n; i++)
        (void)*(volatile char *)(b->at + (size_t)b->touch[i] * PAGE);
    return (double)(vh__clock_mono_ns() - from) / 1e3 / (double)b->n;
}

static void measure_faults(struct bench *b, bool cold)
{
    double us[ROUNDS];

    for (size_t i = 0; i < ROUNDS; i++) {
        vh__pager *p;

        if (cold)
            drop_caches();
        p = start(b, VH_PAGER_RECORD, NULL);
        us[i] = touch_all(b);
        vh__pager_free(p);
        munmap(b->at, b->size);
    }
    printf("fault, memory file %s      %8.1f us\n", cold ? "on disk " : "in cache", median(us));
}

static void measure_replay(struct bench *b)
{
    double read_mbs[ROUNDS], fetch_ms[ROUNDS], install_us[ROUNDS], touch_us[ROUNDS];
    vh_error err = { 0 };
    vh__pager_stats s;
    vh__ws_info info;

    must(vh__ws_write(b->dirfd, &b->id, b->memory_fd, b->touch, b->n, &info, &err), &err);
    for (size_t i = 0; i < ROUNDS; i++) {
        vh__wait w = vh__wait_from(NULL, 30000);
        vh__ws_fetch *f = NULL;
        vh__pager *p;

        drop_caches();
        must(vh__ws_fetch_start(b->dirfd, &b->id, &f, &err), &err);
        must(vh__ws_fetch_join(f, &w, &err), &err);
        p = start(b, VH_PAGER_REPLAY, f);
        must(vh__pager_install_wait(p, &w, &err), &err);
        touch_us[i] = touch_all(b);
        vh__pager_stats_get(p, &s);
        read_mbs[i] = (double)s.fetch.bytes / ((double)s.fetch.read_ns / 1e3);
        fetch_ms[i] = (double)(s.fetch.end_ns - s.fetch.start_ns) / 1e6;
        install_us[i] = (double)(s.install_end_ns - s.install_start_ns) / 1e3 / (double)s.ws_pages;
        vh__pager_free(p);
        munmap(b->at, b->size);
    }
    printf("working set                    %8llu pages, %llu runs, %.1f MiB\n",
           (unsigned long long)info.pages,
           (unsigned long long)info.runs, (double)info.data_bytes / (1 << 20));
    printf("read of ws, cold               %8.0f MB/s (O_DIRECT %s, io_uring %s)\n", median(read_mbs),
           s.fetch.direct ? "yes" : "no", s.fetch.uring ? "yes" : "no");
    printf("fetch in all (index, checksum) %8.2f ms\n", median(fetch_ms));
    printf("install                        %8.2f us/page\n", median(install_us));
    printf("touch after it                 %8.2f us/page, %llu residual\n", median(touch_us),
           (unsigned long long)s.residual);
}

int main(int argc, char **argv)
{
    struct bench b = { .size = (argc > 2 ? strtoull(argv[2], NULL, 10) : 64) << 20 };

    if (argc < 2 || b.size == 0) {
        fprintf(stderr, "usage: reap-micro DIR [MIB]\n");
        return 2;
    }
    b.dirfd = must_errno(open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC), argv[1]);
    b.memory_fd = must_errno(openat(b.dirfd, "memory", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
                             "memory");
    b.id = (vh__ws_identity){ .snapshot = "micro", .memory_size = b.size, .page_size = PAGE };
    b.touch = malloc(b.size / PAGE * sizeof(*b.touch));
    if (!b.touch)
        return 1;
    make_files(&b);
    measure_faults(&b, false);
    measure_faults(&b, true);
    measure_replay(&b);
    (void)unlinkat(b.dirfd, "memory", 0);
    (void)unlinkat(b.dirfd, VH_WS_FILE, 0);
    (void)unlinkat(b.dirfd, VH_WS_INDEX_FILE, 0);
    free(b.touch);
    return 0;
}
