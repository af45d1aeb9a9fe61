/*
 * uffd-preload.so: hands the RAM of an unmodified QEMU to a userfaultfd handler.
 *
 * Why: QEMU has no option that says "page faults of guest memory are served over there". It does map its RAM
 * in one recognisable call, mmap(MAP_FIXED | MAP_ANONYMOUS) of exactly the RAM's size (object
 * memory-backend-ram). This library takes that call over, registers the new memory, and sends {JSON region
 * table, userfaultfd} in the handshake that Firecracker speaks by itself, so that the handler sees one
 * protocol.
 *
 * How: LD_PRELOAD in QEMU's own environment (not in that of a wrapper) with all of
 *     VHIVE_UFFD_SIZE     bytes of guest RAM
 *     VHIVE_UFFD_SOCK_FD  inherited, connected Unix stream socket to the handler
 *     VHIVE_UFFD_DEV_FD   inherited descriptor of /dev/userfaultfd, opened by root: an unprivileged QEMU has no
 *                         other way to a userfaultfd that also serves the kernel's accesses (read() into guest RAM)
 * They are removed from the environment once they have served, LD_PRELOAD included.
 *
 * No answer is awaited: from UFFDIO_REGISTER on, a touch of a missing page blocks its thread in the kernel,
 * and the message stays in the descriptor until the handler reads it, however late that is.
 *
 * The userfaultfd stays open here for QEMU's life. When the last descriptor of it is closed the kernel fills
 * missing pages with zeros: with this one open, a handler that dies freezes the guest instead of feeding it
 * zeros. The socket stays open as well, so that its hang-up tells the handler of QEMU's end.
 *
 * Whatever fails ends the process with a line on stderr and status 125: QEMU must not run on memory that
 * nobody serves.
 *
 * Threads: QEMU maps its RAM on its main thread before it starts others. The state below is written then and
 * only read later.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum { EXIT_SETUP = 125 };

static struct {
    size_t size; /* of the RAM that is waited for; 0: not configured, or found */
    int sock, dev;
    uintptr_t ram, ram_end; /* once found */
} state;

/* |cause| is an errno, 0 for none. */
static _Noreturn void die(const char *what, int cause)
{
    char line[256];
    int n = snprintf(line, sizeof(line), "uffd-preload: %s%s%s\n", what, cause ? ": " : "",
                     cause ? strerror(cause) : "");

    if (write(STDERR_FILENO, line, (size_t)n) < 0) {
        /* nowhere to say it; the exit status remains */
    }
    _exit(EXIT_SETUP);
}

static unsigned long long number_from_env(const char *name)
{
    const char *text = getenv(name);
    unsigned long long value;
    char *end;

    if (!text || *text < '0' || *text > '9')
        die("VHIVE_UFFD_SIZE, _SOCK_FD and _DEV_FD must be set to numbers", 0);
    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno || *end)
        die("VHIVE_UFFD_SIZE, _SOCK_FD and _DEV_FD must be set to numbers", 0);
    return value;
}

static int fd_from_env(const char *name)
{
    unsigned long long fd = number_from_env(name);

    if (fd > INT32_MAX || fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
        die("VHIVE_UFFD_SOCK_FD and VHIVE_UFFD_DEV_FD must be open descriptors", 0);
    return (int)fd;
}

static __attribute__((constructor)) void read_configuration(void)
{
    state.sock = fd_from_env("VHIVE_UFFD_SOCK_FD");
    state.dev = fd_from_env("VHIVE_UFFD_DEV_FD");
    state.size = number_from_env("VHIVE_UFFD_SIZE");
    if (state.size == 0 || state.size % (size_t)sysconf(_SC_PAGESIZE))
        die("VHIVE_UFFD_SIZE must be a multiple of the page size", 0);
}

/* EVENT_REMOVE: memory that QEMU gives back (madvise) must come back as zeros, not as the snapshot had it. */
static int register_memory(void *at, size_t size)
{
    int uffd = ioctl(state.dev, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
    struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_EVENT_REMOVE };
    struct uffdio_register reg = { .range = { .start = (uintptr_t)at, .len = size },
                                   .mode = UFFDIO_REGISTER_MODE_MISSING };

    if (uffd < 0)
        die("make a userfaultfd from VHIVE_UFFD_DEV_FD", errno);
    if (ioctl(uffd, UFFDIO_API, &api) < 0)
        die("agree on a userfaultfd API with the kernel", errno);
    if (ioctl(uffd, UFFDIO_REGISTER, &reg) < 0)
        die("register guest memory", errno);
    return uffd;
}

static void send_handshake(int uffd, const void *at, size_t size)
{
    char json[160], control[CMSG_SPACE(sizeof(int))] = { 0 };
    int n = snprintf(json, sizeof(json),
                     "[{\"base_host_virt_addr\":%llu,\"size\":%zu,\"offset\":0,\"page_size\":%ld}]",
                     (unsigned long long)(uintptr_t)at, size, sysconf(_SC_PAGESIZE));
    struct iovec iov = { .iov_base = json, .iov_len = (size_t)n };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
                         .msg_controllen = sizeof(control) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    ssize_t put;

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &uffd, sizeof(int));
    do
        put = sendmsg(state.sock, &msg, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    if (put != n)
        die("send the handshake to the page fault handler", put < 0 ? errno : 0);
}

static void hand_over(void *at, size_t size)
{
    state.size = 0; /* first of all: what follows may map memory itself */
    send_handshake(register_memory(at, size), at, size);
    state.ram = (uintptr_t)at;
    state.ram_end = state.ram + size;
    (void)close(state.dev); /* a privilege that has served */
    (void)unsetenv("VHIVE_UFFD_SIZE");
    (void)unsetenv("VHIVE_UFFD_SOCK_FD");
    (void)unsetenv("VHIVE_UFFD_DEV_FD");
    (void)unsetenv("LD_PRELOAD");
}

/* By system call, not by dlsym(RTLD_NEXT): that may allocate, and so map memory, before it has an answer. */
EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
    void *at = (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, offset);
    int wanted = MAP_FIXED | MAP_ANONYMOUS;

    if (at != MAP_FAILED && len == state.size && (flags & wanted) == wanted && (prot & PROT_WRITE))
        hand_over(at, len);
    return at;
}

EXPORT void *mmap64(void *addr, size_t len, int prot, int flags, int fd,
                    off64_t offset) __attribute__((alias("mmap")));

/*
 * QEMU advises MADV_HUGEPAGE for its RAM. Under userfaultfd no huge page can come of it, yet the kernel
 * allocates and clears one at the first fault in every empty 2 MiB before it asks the handler: 116-180 us
 * instead of 13 us each.
 */
EXPORT int madvise(void *addr, size_t len, int advice)
{
    uintptr_t at = (uintptr_t)addr;

    if (advice == MADV_HUGEPAGE && at < state.ram_end && at + len > state.ram)
        return 0;
    return (int)syscall(SYS_madvise, addr, len, advice);
}
