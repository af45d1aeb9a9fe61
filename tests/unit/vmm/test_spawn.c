/* The QEMU driver against a real QEMU that runs no guest: control, death, version. */
#include "testenv.h"

#include <fcntl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auto.h"
#include "path.h"
#include "vmm.h"

struct fixture {
    testenv env;
    char *qemu;
    char rootfs[96];
    int tap, memory;
    vh__vmm *vmm;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    int fd;

    testenv_init(&f->env);
    f->qemu = vh__path_find_program("qemu-system-x86_64");
    assert_non_null(f->qemu);
    f->tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    snprintf(f->rootfs, sizeof(f->rootfs), "%s/root,fs", f->env.dir); /* the comma must not matter */
    fd = open(f->rootfs, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && ftruncate(fd, 1 << 20) == 0);
    close(fd);
    f->memory = memfd_create("ram", MFD_CLOEXEC);
    assert_true(f->memory >= 0 && ftruncate(f->memory, 64 << 20) == 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    vh__vmm_free(f->vmm);
    close(f->memory);
    vh__fd_close(&f->tap);
    free(f->qemu);
    testenv_fini(&f->env);
    free(f);
    return 0;
}

static vh__vmm_config config_of(const struct fixture *f)
{
    /* a descriptor that is no tap makes QEMU refuse; these tests want that or no network at all */
    return (vh__vmm_config){ .binary = f->qemu, .accel = "tcg", .run_dir = f->env.dir, .rootfs = f->rootfs,
                             .guest_mac = "02:00:00:00:00:01", .memory_mib = 64, .cpus = 1, .uid = 900001,
                             .memory = VH_VMM_MEMORY_SHARED, .memory_fd = f->memory, .tap_fd = f->tap };
}

static void a_vmm_that_cannot_start_tells_its_last_words(void **state)
{
    struct fixture *f = *state;
    vh__wait w = vh__wait_from(NULL, 10000);
    vh__vmm_config c = config_of(f);
    const vh__vmm_ops *ops;
    vh_error err = { 0 };

    assert_ok(vh__vmm_backend("qemu", &ops, &err), err);
    assert_ok(vh__vmm_spawn(ops, &c, &f->vmm, &err), err); /* the descriptor is no tap yet */
    assert_int_equal(ops->connect(f->vmm, &w, &err), VH_EVMM);
    assert_non_null(strstr(err.msg, "qemu exited with code 1"));
    assert_non_null(strstr(err.msg, "TUNGETIFF"));
}

static void a_missing_program_is_named(void **state)
{
    struct fixture *f = *state;
    vh__vmm_config c = config_of(f);
    const vh__vmm_ops *ops;
    vh_error err = { 0 };

    c.binary = "/nonexistent/qemu";
    assert_ok(vh__vmm_backend("qemu", &ops, &err), err);
    assert_int_equal(vh__vmm_spawn(ops, &c, &f->vmm, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "/nonexistent/qemu"));
    assert_null(f->vmm);
}

static void the_version_is_asked_once_and_remembered(void **state)
{
    struct fixture *f = *state;
    vh__wait w = vh__wait_from(NULL, 10000);
    char first[32], second[32];
    vh_error err = { 0 };

    assert_ok(vh__vmm_version(f->qemu, f->env.dir, &w, first, &err), err);
    assert_true(first[0] >= '1' && first[0] <= '9');
    w.deadline_ns = 0; /* no time to ask again */
    assert_ok(vh__vmm_version(f->qemu, f->env.dir, &w, second, &err), err);
    assert_string_equal(first, second);
}

static void a_program_that_is_no_vmm_is_refused(void **state)
{
    struct fixture *f = *state;
    vh__wait w = vh__wait_from(NULL, 10000);
    char version[32];
    vh_error err = { 0 };

    assert_int_equal(vh__vmm_version("/bin/echo", f->env.dir, &w, version, &err), VH_EVMM);
    assert_int_equal(vh__vmm_version("/nonexistent", f->env.dir, &w, version, &err), VH_EMISSING);
}

#define test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_vmm_that_cannot_start_tells_its_last_words),
        test(a_missing_program_is_named),
        test(the_version_is_asked_once_and_remembered),
        test(a_program_that_is_no_vmm_is_refused),
    };
    vh_auto_free char *qemu = vh__path_find_program("qemu-system-x86_64");

    if (!qemu)
        return testenv_without("qemu", "qemu-system-x86_64 is not in PATH");
    if (geteuid() != 0)
        return testenv_without("root", "QEMU changes its user");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
