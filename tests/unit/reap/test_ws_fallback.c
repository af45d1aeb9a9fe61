/* Fetching where the kernel refuses io_uring, O_DIRECT or both: the system calls are failed by seccomp. */
#include "memfile.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { PAGES = 600 };

struct set {
    testenv env;
    int dirfd;
};

static int setup(void **state)
{
    static struct set s;
    vh__ws_identity id = memfile_id(PAGES);
    uint32_t pages[PAGES];
    vh_error err = { 0 };
    int memory_fd;

    testenv_init(&s.env);
    s.dirfd = open_dir(&s.env);
    memory_fd = memfile_make(&s.env, PAGES);
    for (uint32_t i = 0; i < PAGES; i++)
        pages[i] = i;
    assert_ok(vh__ws_write(s.dirfd, &id, memory_fd, pages, PAGES, NULL, &err), err);
    close(memory_fd);
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    struct set *s = *state;

    vh__fd_close(&s->dirfd);
    testenv_fini(&s->env);
    return 0;
}

/* From now on io_uring_setup() is EPERM if |uring|, opening with O_DIRECT EINVAL if |direct|. */
static bool refuse(bool uring, bool direct)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, uring ? SECCOMP_RET_ERRNO | EPERM : SECCOMP_RET_ALLOW),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_DIRECT, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, direct ? SECCOMP_RET_ERRNO | EINVAL : SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = VH_ARRAY_LEN(code), .filter = code };

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* In a child, since there is no way back from a filter. Its exit code: 0, or which step went wrong. */
static int fetch_in_child(const struct set *s, bool no_uring, bool no_direct)
{
    vh__wait w = vh__wait_from(NULL, 10000);
    vh__ws_identity id = memfile_id(PAGES);
    vh__ws_fetch_stats stats;
    vh__ws_fetch *f;
    int step = 0;

    if (!refuse(no_uring, no_direct))
        return 1;
    if (vh__ws_fetch_start(s->dirfd, &id, &f, NULL))
        return 2;
    if (vh__ws_fetch_join(f, &w, NULL))
        step = 3;
    vh__ws_fetch_stats_get(f, &stats);
    if (!step && (no_uring && stats.uring))
        step = 4;
    if (!step && (no_direct && stats.direct))
        step = 5;
    vh__ws_fetch_free(f);
    return step;
}

static void assert_fetched(const struct set *s, bool no_uring, bool no_direct)
{
    pid_t pid = fork();
    int status = -1;

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(fetch_in_child(s, no_uring, no_direct));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void pread_stands_in_for_io_uring(void **state)
{
    assert_fetched(*state, true, false);
}

static void the_page_cache_stands_in_for_o_direct(void **state)
{
    assert_fetched(*state, false, true);
}

static void both_may_be_missing(void **state)
{
    assert_fetched(*state, true, true);
}

int main(void)
{
#define with_set(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        with_set(pread_stands_in_for_io_uring),
        with_set(the_page_cache_stands_in_for_o_direct),
        with_set(both_may_be_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
