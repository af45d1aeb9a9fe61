/* From a package to what a VM boots from. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <utime.h>

#include "failalloc.h"
#include "guest.h"

#define KERNEL ELFMAG "a kernel"

struct prep {
    testenv t;
    char deb[128], agent[128];
    vh__wait wait;
};

static int setup(void **state)
{
    struct prep *p = test_calloc(1, sizeof(*p));

    testenv_init(&p->t);
    snprintf(p->deb, sizeof(p->deb), "%s/linux-image-test_1_amd64.deb", p->t.dir);
    snprintf(p->agent, sizeof(p->agent), "%s/agent", p->t.dir);
    fixture_deb(p->deb, ARCHIVE_FILTER_XZ, KERNEL);
    fixture_file(p->t.dir, "agent", "#agent 1", 8);
    p->wait = vh__wait_from(NULL, 20000);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct prep *p = *state;

    testenv_fini(&p->t);
    test_free(p);
    return 0;
}

static int prepare_in(const struct prep *p, const char *dir, const char *deb, vh__guest_files *out, vh_error *err)
{
    vh__guest_options o = VH_GUEST_OPTIONS_INIT;
    vh__guest *g = NULL;
    int rc;

    o.dir = dir;
    o.deb = deb;
    o.agent = p->agent;
    o.package = "linux-image-0-of-the-tests"; /* a concrete name that no archive has */
    rc = vh__guest_new(p->t.env, &o, &g, err);
    if (rc == 0)
        rc = vh__guest_prepare(g, &p->wait, out, err);
    vh__guest_free(g);
    return rc;
}

static void a_package_becomes_kernel_and_initramfs(void **state)
{
    struct prep *p = *state;
    vh_auto_buf vh__buf kernel = { 0 };
    vh__guest_files f;
    vh_error err = { 0 };

    assert_ok(prepare_in(p, NULL, p->deb, &f, &err), err);
    assert_string_equal(f.release, FIXTURE_RELEASE);
    assert_true(vh__digest_valid(f.kernel_digest) && vh__digest_valid(f.initramfs_digest));
    assert_ok(vh__file_read(f.kernel, 1 << 20, &kernel, &err), err);
    assert_string_equal(kernel.data, KERNEL);
}

/* Reads the archive and asserts on its names, in order. */
static void looking_makes_nothing(void **state)
{
    struct prep *p = *state;
    vh__guest_options o = VH_GUEST_OPTIONS_INIT;
    vh__guest_files made, found;
    vh__guest *g = NULL;
    vh_error err = { 0 };
    char dir[128];

    snprintf(dir, sizeof(dir), "%s/guest", p->t.dir);
    o.dir = dir;
    o.agent = p->agent;
    o.package = "linux-image-0-of-the-tests";
    assert_ok(vh__guest_new(p->t.env, &o, &g, &err), err);
    assert_int_equal(vh__guest_look(g, &found, &err), VH_ENOTFOUND);
    assert_int_equal(vh__guest_obtainable(g, &p->wait, &err), VH_EMISSING);
    assert_non_null(strstr(err.msg, "no guest kernel"));
    assert_int_equal(access(dir, F_OK), -1);
    assert_ok(prepare_in(p, dir, p->deb, &made, &err), err);
    assert_ok(vh__guest_look(g, &found, &err), err);
    assert_string_equal(found.kernel_digest, made.kernel_digest);
    assert_string_equal(found.initramfs_digest, made.initramfs_digest);
    assert_int_equal(unlink(made.initramfs), 0);
    assert_int_equal(vh__guest_look(g, &found, &err), VH_ENOTFOUND);
    vh__guest_free(g);
}

static void the_initramfs_holds_agent_and_ordered_modules(void **state)
{
    static const char *const names[] = { "dev", "dev/console", "init", "modules", "modules/virtio_ring.ko",
                                         "modules/virtio.ko", "modules/virtio_mmio.ko", "modules/virtio_console.ko",
                                         "modules/overlay.ko", "modules.list" };
    struct prep *p = *state;
    struct archive *a = archive_read_new();
    struct archive_entry *e;
    char list[256] = "";
    vh__guest_files f;
    vh_error err = { 0 };

    assert_ok(prepare_in(p, NULL, p->deb, &f, &err), err);
    archive_read_support_format_cpio(a);
    assert_int_equal(archive_read_open_filename(a, f.initramfs, 4096), ARCHIVE_OK);
    for (size_t i = 0; i < VH_ARRAY_LEN(names); i++) {
        assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_OK);
        assert_string_equal(archive_entry_pathname(e), names[i]);
        assert_int_equal(archive_entry_mtime(e), 0);
        assert_int_equal(archive_entry_uid(e), 0);
    }
    assert_true(archive_read_data(a, list, sizeof(list) - 1) > 0);
    assert_string_equal(list, "/modules/virtio_ring.ko\n/modules/virtio.ko\n/modules/virtio_mmio.ko\n"
                              "/modules/virtio_console.ko\n/modules/overlay.ko\n");
    assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_EOF);
    archive_read_free(a);
}

static void two_roots_at_two_times_give_the_same_bytes(void **state)
{
    struct prep *p = *state;
    vh_auto_free char *other = vh__path_join(p->t.dir, "elsewhere");
    vh__guest_files first, second;
    vh_error err = { 0 };

    assert_ok(prepare_in(p, NULL, p->deb, &first, &err), err);
    assert_int_equal(utime(p->agent, &(struct utimbuf){ .modtime = 1 }), 0);
    assert_ok(prepare_in(p, other, p->deb, &second, &err), err);
    assert_string_not_equal(first.initramfs, second.initramfs);
    assert_string_equal(first.initramfs_digest, second.initramfs_digest);
    assert_string_equal(first.kernel_digest, second.kernel_digest);
}

static void a_new_agent_makes_a_new_initramfs(void **state)
{
    struct prep *p = *state;
    vh__guest_files first, second;
    vh_error err = { 0 };

    assert_ok(prepare_in(p, NULL, p->deb, &first, &err), err);
    fixture_file(p->t.dir, "agent", "#agent 2", 8);
    assert_ok(prepare_in(p, NULL, p->deb, &second, &err), err);
    assert_string_not_equal(first.initramfs, second.initramfs);
    assert_string_not_equal(first.initramfs_digest, second.initramfs_digest);
    assert_string_equal(first.kernel, second.kernel);
    assert_int_equal(access(first.initramfs, F_OK), 0);
}

static void what_was_unpacked_is_used_again(void **state)
{
    struct prep *p = *state;
    vh__guest_files first, second;
    struct stat before, after;
    vh_error err = { 0 };

    assert_ok(prepare_in(p, NULL, p->deb, &first, &err), err);
    assert_int_equal(stat(first.kernel, &before), 0);
    assert_int_equal(unlink(p->deb), 0);
    assert_ok(prepare_in(p, NULL, NULL, &second, &err), err);
    assert_int_equal(stat(second.kernel, &after), 0);
    assert_true(before.st_ino == after.st_ino && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
    assert_memory_equal(&first, &second, sizeof(first));
}

static void a_package_in_the_folder_is_used(void **state)
{
    struct prep *p = *state;
    vh_auto_free char *dir = vh__path_join(p->t.dir, "drop"), *deb = vh__strf("%s/linux-image-x.deb", dir);
    vh__guest_files f;
    vh_error err = { 0 };

    assert_ok(vh__path_mkdirs(dir, 0755, &err), err);
    fixture_deb(deb, ARCHIVE_FILTER_GZIP, KERNEL);
    assert_ok(prepare_in(p, dir, NULL, &f, &err), err);
    assert_string_equal(f.release, FIXTURE_RELEASE);
}

static void a_package_of_another_name_replaces_the_same_release(void **state)
{
    struct prep *p = *state;
    vh_auto_free char *deb = vh__strf("%s/linux-image-test_2_amd64.deb", p->t.dir);
    vh__guest_files first, second;
    vh_error err = { 0 };

    fixture_deb(deb, ARCHIVE_FILTER_XZ, ELFMAG "a newer kernel");
    assert_ok(prepare_in(p, NULL, p->deb, &first, &err), err);
    assert_ok(prepare_in(p, NULL, deb, &second, &err), err);
    assert_string_equal(first.kernel, second.kernel);
    assert_string_not_equal(first.kernel_digest, second.kernel_digest);
}

static void without_package_and_download_the_remedy_is_named(void **state)
{
    struct prep *p = *state;
    vh_auto_free char *dir = vh__path_join(p->t.dir, "empty");
    vh__guest_files f;
    vh_error err = { 0 };

    assert_int_equal(prepare_in(p, dir, NULL, &f, &err), VH_EMISSING);
    assert_non_null(strstr(err.msg, "put a linux-image-*.deb into"));
    assert_non_null(strstr(err.msg, dir));
}

static void a_package_without_kernel_is_refused(void **state)
{
    struct prep *p = *state;
    vh_auto_free char *folder = vh__path_join(p->t.dir, "state/guest/kernels/.new");
    vh__guest_files f;
    vh_error err = { 0 };

    fixture_deb(p->deb, ARCHIVE_FILTER_XZ, NULL);
    assert_int_equal(prepare_in(p, NULL, p->deb, &f, &err), VH_ECORRUPT);
    assert_non_null(strstr(err.msg, "not a kernel package"));
    assert_int_equal(access(folder, F_OK), -1);
}

static void a_kernel_that_is_none_is_refused(void **state)
{
    struct prep *p = *state;
    vh__guest_files f;
    vh_error err = { 0 };

    fixture_deb(p->deb, ARCHIVE_FILTER_XZ, "MZ not an ELF file");
    assert_int_equal(prepare_in(p, NULL, p->deb, &f, &err), VH_ECORRUPT);
    assert_non_null(strstr(err.msg, "no ELF kernel"));
}

static void a_package_that_is_cut_is_refused(void **state)
{
    struct prep *p = *state;
    struct stat st;
    vh__guest_files f;
    vh_error err = { 0 };

    assert_int_equal(stat(p->deb, &st), 0);
    assert_int_equal(truncate(p->deb, st.st_size / 2), 0);
    assert_int_equal(prepare_in(p, NULL, p->deb, &f, &err), VH_ECORRUPT);
    assert_int_equal(truncate(p->deb, 0), 0);
    assert_int_equal(prepare_in(p, NULL, p->deb, &f, &err), VH_ECORRUPT);
}

static void a_missing_agent_is_named(void **state)
{
    struct prep *p = *state;
    vh__guest_files f;
    vh_error err = { 0 };

    assert_int_equal(unlink(p->agent), 0);
    assert_int_equal(prepare_in(p, NULL, p->deb, &f, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "guest agent"));
}

static void a_given_kernel_is_used_as_it_is(void **state)
{
    struct prep *p = *state;
    vh_auto_free char *kernel = vh__path_join(p->t.dir, "bzImage");
    vh__guest_options o = VH_GUEST_OPTIONS_INIT;
    vh__guest_files f;
    vh__guest *g;
    vh_error err = { 0 };

    fixture_file(p->t.dir, "bzImage", "anything", 8);
    o.kernel = kernel;
    o.agent = p->agent;
    assert_ok(vh__guest_new(p->t.env, &o, &g, &err), err);
    assert_ok(vh__guest_prepare(g, &p->wait, &f, &err), err);
    vh__guest_free(g);
    assert_string_equal(f.kernel, kernel);
    assert_string_equal(f.release, "custom");
}

struct racer {
    struct prep *p;
    vh__guest_files files;
    vh_error err;
    int rc;
};

static void *race(void *arg)
{
    struct racer *r = arg;

    r->rc = prepare_in(r->p, NULL, r->p->deb, &r->files, &r->err);
    return NULL;
}

static void those_who_come_at_once_get_the_same(void **state)
{
    struct racer r[4] = { 0 };
    pthread_t threads[4];

    for (int i = 0; i < 4; i++) {
        r[i].p = *state;
        assert_int_equal(pthread_create(&threads[i], NULL, race, &r[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_ok(r[i].rc, r[i].err);
        assert_memory_equal(&r[i].files, &r[0].files, sizeof(r[0].files));
    }
}

static void the_lock_is_waited_for_within_the_deadline(void **state)
{
    struct prep *p = *state;
    vh_auto_free char *lock = vh__path_join(p->t.dir, "state/guest/lock");
    vh_auto_fd int fd = -1;
    vh__guest_files f;
    vh_error err = { 0 };

    fixture_file(p->t.dir, "state/guest/lock", "", 0);
    fd = open(lock, O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    p->wait = vh__wait_from(NULL, 0);
    p->wait = vh__wait_within(&p->wait, 60);
    assert_int_equal(prepare_in(p, NULL, p->deb, &f, &err), VH_ETIMEDOUT);
}

static int make(void *arg)
{
    vh__guest_options o = VH_GUEST_OPTIONS_INIT;
    vh__guest *g = NULL;
    int rc;

    o.kernel = "/k";
    o.modules_dir = "/m";
    o.deb = "/d";
    rc = vh__guest_new(((struct prep *)arg)->t.env, &o, &g, NULL);
    assert_true(rc == 0 || g == NULL);
    vh__guest_free(g);
    return rc;
}

static void want_of_memory_leaves_nothing(void **state)
{
    failalloc_sweep(make, *state);
}

static void the_counter_is_measured_once(void **state)
{
    struct prep *p = *state;
    vh__guest *g;
    vh_error err = { 0 };
    uint32_t khz;

    assert_ok(vh__guest_new(p->t.env, NULL, &g, &err), err);
    khz = vh__guest_tsc_khz(g);
    assert_in_range(khz, 500000, 8000000);
    assert_int_equal(vh__guest_tsc_khz(g), khz);
    vh__guest_free(g);
}

static void the_command_line_is_built(void **state)
{
    static const char fixed[] = "tsc=reliable cryptomgr.notests panic=-1 reboot=t psi=0 lsm=landlock,yama "
                                "sysctl.vm.stat_interval=600 sysctl.vm.compaction_proactiveness=0";
    char line[VH_GUEST_CMDLINE], want[VH_GUEST_CMDLINE];

    (void)state;
    snprintf(want, sizeof(want), "tsc_early_khz=2600000 %s quiet loglevel=3 console=ttyS0", fixed);
    assert_string_equal(
        vh__guest_cmdline(&(vh__guest_boot){ .tsc_khz = 2600000, .console = "ttyS0" }, line, sizeof(line)), want);
    assert_string_equal(vh__guest_cmdline(&(vh__guest_boot){ .verbose = true }, line, sizeof(line)), fixed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_package_becomes_kernel_and_initramfs, setup, teardown),
        cmocka_unit_test_setup_teardown(looking_makes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(the_initramfs_holds_agent_and_ordered_modules, setup, teardown),
        cmocka_unit_test_setup_teardown(two_roots_at_two_times_give_the_same_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_agent_makes_a_new_initramfs, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_unpacked_is_used_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_package_in_the_folder_is_used, setup, teardown),
        cmocka_unit_test_setup_teardown(a_package_of_another_name_replaces_the_same_release, setup, teardown),
        cmocka_unit_test_setup_teardown(without_package_and_download_the_remedy_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(a_package_without_kernel_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_kernel_that_is_none_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_package_that_is_cut_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_agent_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(a_given_kernel_is_used_as_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(those_who_come_at_once_get_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(the_lock_is_waited_for_within_the_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(want_of_memory_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(the_counter_is_measured_once, setup, teardown),
        cmocka_unit_test(the_command_line_is_built),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
