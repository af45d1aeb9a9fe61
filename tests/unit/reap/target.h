/*
 * Memory whose faults somebody else serves: in this process, or in a child that can be killed while it stands
 * still.
 */
#ifndef VH_TESTS_REAP_TARGET_H
#define VH_TESTS_REAP_TARGET_H

#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "memfile.h"

/* -1 where this host or user has none. */
static inline int userfaultfd_open(uint64_t features)
{
    vh_auto_fd int dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    struct uffdio_api api = { .api = UFFD_API, .features = features };
    int fd = dev >= 0 ? ioctl(dev, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK)
                      : (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

    if (fd >= 0 && ioctl(fd, UFFDIO_API, &api) < 0)
        vh__fd_close(&fd);
    return fd;
}

static inline bool have_userfaultfd(void)
{
    vh_auto_fd int fd = userfaultfd_open(UFFD_FEATURE_EVENT_REMOVE);

    return fd >= 0;
}

/* What a test program that needs one returns without. */
static inline int without_userfaultfd(void)
{
    return testenv_without("uffd", "no userfaultfd on this host, or not root");
}

/* Maps |pages| and registers the first |registered| of them. */
static inline char *map_registered(int uffd, uint32_t pages, uint32_t registered)
{
    size_t size = (size_t)pages * PAGE;
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct uffdio_register r = { .range = { .start = (uintptr_t)at, .len = (uint64_t)registered * PAGE },
                                 .mode = UFFDIO_REGISTER_MODE_MISSING };

    if (at == MAP_FAILED || ioctl(uffd, UFFDIO_REGISTER, &r) < 0)
        return NULL;
    return at;
}

static inline vh__regions one_region(const char *at, uint32_t pages)
{
    return (vh__regions){ .n = 1, .page_size = PAGE,
                          .v = { { .base = (uintptr_t)at, .size = (uint64_t)pages * PAGE } } };
}

/* A child that answers a page number with the first eight bytes of that page. */
typedef struct target {
    pid_t pid;
    int sock; /* its handshake comes here first, then the answers */
} target;

static inline _Noreturn void target_main(int sock, uint32_t pages)
{
    int uffd = userfaultfd_open(UFFD_FEATURE_EVENT_REMOVE);
    char *at = map_registered(uffd, pages, pages), json[128];
    uint32_t page;

    snprintf(json, sizeof(json), "[{\"base_host_virt_addr\":%lu,\"size\":%lu,\"offset\":0,\"page_size\":%d}]",
             (unsigned long)(uintptr_t)at, (unsigned long)pages * PAGE, PAGE);
    if (!at || vh__fd_send(sock, json, strlen(json), &uffd, 1, NULL))
        _exit(1);
    while (read(sock, &page, sizeof(page)) == sizeof(page)) {
        uint64_t word = *(volatile uint64_t *)(at + (size_t)page * PAGE);

        if (write(sock, &word, sizeof(word)) < 0)
            break;
    }
    _exit(0);
}

static inline target target_start(uint32_t pages)
{
    int pair[2];
    target t;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    t.pid = fork();
    assert_true(t.pid >= 0);
    if (t.pid == 0) {
        close(pair[0]);
        target_main(pair[1], pages);
    }
    close(pair[1]);
    t.sock = pair[0];
    return t;
}

static inline void target_ask(const target *t, uint32_t page)
{
    assert_int_equal(write(t->sock, &page, sizeof(page)), sizeof(page));
}

/* Whether an answer came within |ms|. */
static inline bool target_answers(const target *t, int ms, uint64_t *word)
{
    struct pollfd p = { .fd = t->sock, .events = POLLIN };

    return poll(&p, 1, ms) == 1 && read(t->sock, word, sizeof(*word)) == sizeof(*word);
}

/* SIGKILL is to end it even while it stands still in a fault. */
static inline void target_kill(target *t)
{
    int status;

    kill(t->pid, SIGKILL);
    assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
    vh__fd_close(&t->sock);
}

#endif
