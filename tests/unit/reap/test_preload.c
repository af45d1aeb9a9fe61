/* The real uffd-preload.so in a small program that maps its RAM as QEMU does: this one, started by itself. */
#include "target.h"

#include <stdlib.h>

#include "spawn.h"

enum { PAGES = 64, SOCK = 3, DEV = 4, PIPE = 5, SETUP_FAILED = 125 };

/* ---- the program ---- */

static int answer_page(const char *ram, uint32_t page)
{
    uint64_t word = *(const volatile uint64_t *)(ram + (size_t)page * PAGE);

    return write(PIPE, &word, sizeof(word)) == sizeof(word) ? 0 : 1;
}

/* As qemu_ram_mmap() and ram_block_add(): a reservation, RAM fixed within it, advice on all of it. */
static int toucher_main(void)
{
    size_t size = (size_t)PAGES * PAGE;
    char *room = mmap(NULL, size + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    char *ram = mmap(room, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    uint32_t page;

    if (ram != room || getenv("LD_PRELOAD") || getenv("VHIVE_UFFD_SIZE") || fcntl(DEV, F_GETFD) >= 0)
        return 1;
    (void)madvise(ram, size, MADV_MERGEABLE); /* only where the kernel has KSM */
    if (madvise(ram, size, MADV_HUGEPAGE) || madvise(ram, size, MADV_DONTFORK) || madvise(ram, size,
                                                                                          MADV_DODUMP))
        return 2;
    while (read(PIPE, &page, sizeof(page)) == sizeof(page)) {
        if (page >= PAGES && madvise(ram + (size_t)(page - PAGES) * PAGE, PAGE, MADV_DONTNEED))
            return 3;
        if (answer_page(ram, page % PAGES))
            return 4;
    }
    return 0;
}

/* ---- the tests ---- */

struct rig {
    testenv env;
    int memory_fd;
    int handshake, control; /* our ends */
    vh__process toucher;
    vh__wait wait;
};

static int setup(void **state)
{
    static struct rig r;

    r = (struct rig){ .handshake = -1, .control = -1, .toucher = VH_PROCESS_INIT };
    r.wait = vh__wait_from(NULL, 20000);
    testenv_init(&r.env);
    r.memory_fd = memfile_make(&r.env, PAGES);
    *state = &r;
    alarm(60);
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;

    vh__process_kill(&r->toucher);
    vh__fd_close(&r->handshake);
    vh__fd_close(&r->control);
    vh__fd_close(&r->memory_fd);
    testenv_fini(&r->env);
    alarm(0);
    return 0;
}

/* build/tests/unit/this -> build/libexec/vhive/uffd-preload.so */
static void find_preload(char *exe, char *preload, size_t n)
{
    ssize_t len = readlink("/proc/self/exe", exe, n - 1);
    size_t dir;

    assert_true(len > 0);
    exe[len] = '\0';
    dir = (size_t)(strrchr(exe, '/') - exe);
    assert_true(snprintf(preload, n, "LD_PRELOAD=%.*s/../../libexec/vhive/uffd-preload.so", (int)dir,
                         exe) < (int)n);
}

/* Starts the toucher with |size| in its environment; its handshake and control sockets come to |r|. */
static void start_toucher(struct rig *r, const char *size, bool peer_is_gone)
{
    char exe[512], preload[512], size_env[64];
    const char *argv[] = { exe, "toucher", NULL };
    /* a sanitized build of this program wants its runtime first, the library wants to be before it */
    const char *envp[] = { preload, size_env, "VHIVE_UFFD_SOCK_FD=3", "VHIVE_UFFD_DEV_FD=4",
                           "ASAN_OPTIONS=verify_asan_link_order=0", NULL };
    vh_auto_fd int dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    int hs[2], ctl[2];
    vh_error err = { 0 };

    find_preload(exe, preload, sizeof(preload));
    snprintf(size_env, sizeof(size_env), "VHIVE_UFFD_SIZE=%s", size);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, hs), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ctl), 0);
    r->handshake = hs[0];
    r->control = ctl[0];
    if (peer_is_gone)
        vh__fd_close(&r->handshake);
    const vh__spawn_fd fds[] = { { hs[1], SOCK }, { dev, DEV }, { ctl[1], PIPE } };
    const vh__spawn_options o = { .argv = argv, .envp = envp, .fds = fds, .nfds = VH_ARRAY_LEN(fds) };
    assert_ok(vh__spawn(&o, &r->toucher, &err), err);
    close(hs[1]);
    close(ctl[1]);
}

static void start_good_toucher(struct rig *r)
{
    char size[32];

    snprintf(size, sizeof(size), "%d", PAGES * PAGE);
    start_toucher(r, size, false);
}

static int exit_code(struct rig *r)
{
    int status = 0;
    vh_error err = { 0 };

    assert_ok(vh__process_wait(&r->toucher, &r->wait, "toucher", &status, &err), err);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void ask(struct rig *r, uint32_t page)
{
    assert_int_equal(write(r->control, &page, sizeof(page)), sizeof(page));
}

static bool answers(struct rig *r, int ms, uint64_t *word)
{
    struct pollfd p = { .fd = r->control, .events = POLLIN };

    return poll(&p, 1, ms) == 1 && read(r->control, word, sizeof(*word)) == sizeof(*word);
}

static uint64_t first_word(uint32_t page)
{
    unsigned char bytes[PAGE];
    uint64_t word;

    memfile_page(page, bytes);
    memcpy(&word, bytes, sizeof(word));
    return word;
}

static void assert_answer(struct rig *r, uint32_t page, uint64_t want)
{
    uint64_t word = ~want;

    ask(r, page);
    assert_true(answers(r, 20000, &word));
    assert_int_equal(word, want);
}

static int serve(struct rig *r, vh__pager **p, vh_error *err)
{
    vh__regions regions;
    vh__pager_options o = { .memory_fd = r->memory_fd, .memory_size = (uint64_t)PAGES * PAGE,
                           .regions = &regions };
    int rc = vh__handshake_recv(r->handshake, &r->wait, o.memory_size, &o.uffd, &regions, err);

    return rc ? rc : vh__pager_start(&o, p, err);
}

static void ram_is_handed_over(void **state)
{
    struct rig *r = *state;
    vh__pager *p = NULL;
    vh_error err = { 0 };

    start_good_toucher(r);
    assert_ok(serve(r, &p, &err), err);
    assert_answer(r, 5, first_word(5));
    assert_answer(r, 3, 0);
    assert_answer(r, 63, first_word(63));
    assert_answer(r, PAGES + 5, 0); /* given back first */
    vh__fd_close(&r->control);
    assert_int_equal(exit_code(r), 0);
    assert_int_equal(vh__pager_check(p, NULL), 0);
    vh__pager_free(p);
}

/* Even a handler that comes late misses nothing. */
static void a_touch_waits_for_its_handler(void **state)
{
    struct rig *r = *state;
    vh__pager *p = NULL;
    vh_error err = { 0 };
    uint64_t word = 0;

    start_good_toucher(r);
    ask(r, 7);
    assert_false(answers(r, 200, &word));
    assert_ok(serve(r, &p, &err), err);
    assert_true(answers(r, 20000, &word));
    assert_int_equal(word, first_word(7));
    vh__process_kill(&r->toucher);
    vh__pager_free(p);
}

/* Without the library's own descriptor the kernel would fill in zeros from here on. */
static void a_killed_handler_freezes_its_target(void **state)
{
    struct rig *r = *state;
    uint64_t word;
    pid_t handler;

    start_good_toucher(r);
    handler = fork();
    if (handler == 0) {
        vh__pager *p;

        if (serve(r, &p, NULL))
            _exit(1);
        for (;;)
            pause();
    }
    assert_answer(r, 5, first_word(5));
    kill(handler, SIGKILL);
    assert_int_equal(waitpid(handler, NULL, 0), handler);
    ask(r, 6);
    assert_false(answers(r, 300, &word));
}

static void bad_configuration_ends_the_program(void **state)
{
    static const char *const sizes[] = { "", "x", "0", "4097", "-4096", "99999999999999999999999" };
    struct rig *r = *state;

    for (size_t i = 0; i < VH_ARRAY_LEN(sizes); i++) {
        start_toucher(r, sizes[i], false);
        assert_int_equal(exit_code(r), SETUP_FAILED);
        vh__fd_close(&r->handshake);
        vh__fd_close(&r->control);
    }
}

static void a_handler_that_is_gone_ends_the_program(void **state)
{
    start_toucher(*state, "262144", true);
    assert_int_equal(exit_code(*state), SETUP_FAILED);
}

int main(int argc, char **argv)
{
#define with_files(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        with_files(ram_is_handed_over),
        with_files(a_touch_waits_for_its_handler),
        with_files(a_killed_handler_freezes_its_target),
        with_files(bad_configuration_ends_the_program),
        with_files(a_handler_that_is_gone_ends_the_program),
    };

    if (argc == 2 && strcmp(argv[1], "toucher") == 0)
        return toucher_main();
    return have_userfaultfd() ? cmocka_run_group_tests(tests, NULL, NULL) : without_userfaultfd();
}
