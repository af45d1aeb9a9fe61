/* The store: opening, pinning, sharing, removing, and what becomes of damaged input. */
#include "testenv.h"

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vhive/image.h>

#include "auto.h"
#include "failalloc.h"
#include "layout.h"

typedef struct fixture {
    testenv t;
    vh_images *images;
    layout l;
    char dir[96], ref[128];
    vh_error err;
} fixture;

static void begin(fixture *f)
{
    memset(f, 0, sizeof(*f));
    testenv_init(&f->t);
    assert_ok(vh_images_new(f->t.env, NULL, &f->images, &f->err), f->err);
    snprintf(f->dir, sizeof(f->dir), "%s/layout", f->t.dir);
    snprintf(f->ref, sizeof(f->ref), "oci:%s", f->dir);
    f->l.dir = f->dir;
}

static void end(fixture *f)
{
    vh_images_free(f->images);
    testenv_fini(&f->t);
}

static void write_image(fixture *f)
{
    tar *t = layout_layer(&f->l);

    tar_file(t, "bin/app", 0755, "program");
    tar_link(t, "bin/link", "bin/app");
    t = layout_layer(&f->l);
    tar_file(t, "etc/conf", 0644, "text");
    layout_write(&f->l);
}

static vh_image *open_ok(fixture *f, const char *ref)
{
    vh_image *image = NULL;

    assert_ok(vh_image_open(f->images, ref, NULL, &image, &f->err), f->err);
    return image;
}

static void open_fails(fixture *f, const char *ref, int code, const char *text)
{
    vh_image *image = NULL;

    if (vh_image_open(f->images, ref, NULL, &image, &f->err) != code)
        fail_msg("want %s, got %s: %s", vh_error_name(code), vh_error_name(f->err.code), f->err.msg);
    assert_null(image);
    if (!strstr(f->err.msg, text))
        fail_msg("\"%s\" is not in: %s", text, f->err.msg);
}

static char *stored(const fixture *f, const char *prefix, const char *name)
{
    return vh__strf("%s/state/images/%s%s%s%s", f->t.dir, prefix, f->l.manifest + 7, *name ? "/" : "", name);
}

static void assert_not_stored(const fixture *f)
{
    static const char *const prefixes[] = { "", ".tmp-", "locks/" };

    for (size_t i = 0; i < VH_ARRAY_LEN(prefixes); i++) {
        vh_auto_free char *path = stored(f, prefixes[i], "");

        if (access(path, F_OK) == 0)
            fail_msg("%s is left", path);
    }
}

static void an_image_is_described(void **state)
{
    fixture f;
    vh_image *image;
    const vh_image_info *info;

    (void)state;
    begin(&f);
    f.l.tag = "v1";
    f.l.config = "{\"Entrypoint\":[\"/bin/app\"],\"Cmd\":[\"-v\"],\"Env\":[\"A=1\",\"B=\"],\"WorkingDir\":\"/srv\","
                 "\"User\":\"1000:1000\",\"ExposedPorts\":{\"9000/tcp\":{},\"53/udp\":{},\"8080/tcp\":{}},"
                 "\"StopSignal\":\"SIGINT\"}";
    write_image(&f);
    strcat(f.ref, ":v1");
    image = open_ok(&f, f.ref);
    info = vh_image_info_get(image);
    assert_string_equal(info->ref, f.ref);
    assert_string_equal(info->digest, f.l.manifest);
    assert_string_equal(vh_image_digest(image), f.l.manifest);
    assert_string_equal(info->architecture, "amd64");
    assert_int_equal(info->layers, 2);
    assert_int_equal(info->created_s, 1706933106);
    assert_true(info->converted_s > 1700000000);
    assert_int_equal(info->unpacked_bytes, f.l.tar_bytes);
    assert_true(info->rootfs_bytes > 0 && info->rootfs_bytes % 4096 == 0);
    assert_string_equal(vh_image_config_get(image)->argv[0], "/bin/app");
    assert_string_equal(vh_image_config_get(image)->argv[1], "-v");
    assert_null(vh_image_config_get(image)->argv[2]);
    assert_string_equal(vh_image_config_get(image)->env[1], "B=");
    assert_string_equal(vh_image_config_get(image)->cwd, "/srv");
    assert_string_equal(vh_image_config_get(image)->user, "1000:1000");
    assert_int_equal(vh_image_config_get(image)->port, 8080);
    assert_int_equal(vh_image_config_get(image)->stop_signal, SIGINT);
    assert_int_equal(vh_image_check_runnable(image, &f.err), 0);
    vh_image_close(image);
    end(&f);
}

static void an_image_without_a_command_opens_but_does_not_run(void **state)
{
    fixture f;
    vh_image *image;

    (void)state;
    begin(&f);
    f.l.config = "null";
    write_image(&f);
    image = open_ok(&f, f.ref);
    assert_null(vh_image_config_get(image)->argv[0]);
    assert_string_equal(vh_image_config_get(image)->cwd, "/");
    assert_int_equal(vh_image_config_get(image)->stop_signal, SIGTERM);
    assert_int_equal(vh_image_check_runnable(image, &f.err), VH_EIMAGE);
    assert_non_null(strstr(f.err.msg, "ENTRYPOINT"));
    vh_image_close(image);
    end(&f);
}

static void equal_layers_give_equal_bytes_on_two_roots(void **state)
{
    static const char *const compress[] = { NULL, "gzip", "zstd" };
    char digest[VH_IMAGE_DIGEST] = "";

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(compress); i++) {
        fixture f;
        vh_image *image;
        char found[VH_DIGEST_TEXT];
        int fd;

        begin(&f);
        f.l.compress = compress[i];
        f.l.config = i ? "{}" : NULL; /* another config is another image of the same layers */
        write_image(&f);
        image = open_ok(&f, f.ref);
        if (i == 0)
            strcpy(digest, vh_image_rootfs_digest(image));
        assert_string_equal(vh_image_rootfs_digest(image), digest);
        fd = open(vh_image_rootfs_path(image), O_RDONLY);
        assert_ok(vh__digest_fd(fd, "rootfs", found, &f.err), f.err);
        close(fd);
        assert_string_equal(found, digest);
        vh_image_close(image);
        end(&f);
    }
}

/* The stored one is opened without its layers: they may be gone. */
static void a_second_open_converts_nothing(void **state)
{
    fixture f;
    vh_image *image;
    char path[256], prefix[16];

    (void)state;
    begin(&f);
    write_image(&f);
    vh_image_close(open_ok(&f, f.ref));
    blob_path(path, sizeof(path), f.dir, f.l.blobs[0]);
    assert_int_equal(unlink(path), 0);
    image = open_ok(&f, f.ref);
    vh_image_close(image);
    image = open_ok(&f, f.l.manifest);
    vh_image_close(image);
    snprintf(prefix, sizeof(prefix), "%.8s", f.l.manifest + 7);
    image = open_ok(&f, prefix);
    vh_image_close(image);
    end(&f);
}

static int count(const vh_image_info *info, void *arg)
{
    (void)info;
    ++*(int *)arg;
    return 0;
}

static int stop_listing(const vh_image_info *info, void *arg)
{
    (void)info;
    (void)arg;
    return 42;
}

static void images_are_listed_inspected_and_removed(void **state)
{
    fixture f;
    vh_image *image;
    vh_image_info info;
    char alias[160];
    int n = 0;

    (void)state;
    begin(&f);
    assert_ok(vh_images_list(f.images, count, &n, &f.err), f.err);
    assert_int_equal(n, 0);
    write_image(&f);
    assert_int_equal(vh_images_inspect(f.images, f.ref, &info, &f.err), VH_ENOTFOUND);
    assert_int_equal(vh_images_remove(f.images, f.ref, &f.err), VH_ENOTFOUND);
    image = open_ok(&f, f.ref);
    assert_ok(vh_images_list(f.images, count, &n, &f.err), f.err);
    assert_int_equal(n, 1);
    assert_int_equal(vh_images_list(f.images, stop_listing, NULL, &f.err), 42);
    snprintf(alias, sizeof(alias), "oci:%s/../layout/.", f.dir); /* other words for the same directory */
    assert_ok(vh_images_inspect(f.images, alias, &info, &f.err), f.err);
    assert_string_equal(info.ref, f.ref);
    assert_string_equal(info.rootfs_digest, vh_image_rootfs_digest(image));

    assert_int_equal(vh_images_remove(f.images, f.l.manifest, &f.err), VH_ESTATE);
    assert_non_null(strstr(f.err.msg, "in use"));
    vh_image_close(image);
    assert_ok(vh__path_remove(f.dir, &f.err), f.err);
    assert_ok(vh_images_inspect(f.images, f.ref, &info, &f.err), f.err); /* its layout is gone, it is not */
    assert_ok(vh_images_remove(f.images, f.ref, &f.err), f.err);
    assert_not_stored(&f);
    assert_int_equal(vh_images_inspect(f.images, f.l.manifest, &info, &f.err), VH_ENOTFOUND);
    end(&f);
}

static void what_names_no_image_is_said(void **state)
{
    fixture f;
    char ref[160];

    (void)state;
    begin(&f);
    open_fails(&f, "build/functions/Hello", VH_EINVALID, "oci:");
    put_file(f.t.dir, "config.json", "{", 1);
    setenv("REGISTRY_AUTH_FILE", "", 1);
    setenv("DOCKER_CONFIG", f.t.dir, 1);
    open_fails(&f, "localhost:1/hello", VH_EINVALID, "config.json is not JSON");
    assert_null(strstr(f.err.msg, "no scheme")); /* the reference is not what is wrong */
    unsetenv("DOCKER_CONFIG");
    open_fails(&f, "oci:", VH_EINVALID, "names no directory");
    open_fails(&f, "oci:/nowhere/at/all", VH_ENOTFOUND, "/nowhere/at/all");
    snprintf(ref, sizeof(ref), "%s/a:b", f.t.dir);
    assert_int_equal(mkdir(ref, 0755), 0);
    snprintf(ref, sizeof(ref), "oci:%s/a:b", f.t.dir);
    open_fails(&f, ref, VH_ENOTFOUND, "a:b:TAG"); /* the tag of a directory with a ':' has to be written */
    snprintf(ref, sizeof(ref), "oci:%s", f.t.dir);
    open_fails(&f, ref, VH_ENOTFOUND, "no index.json");
    open_fails(&f, "0123456789ab", VH_ENOTFOUND, "0123456789ab");
    f.l.tag = "v1";
    write_image(&f);
    open_fails(&f, f.ref, VH_ENOTFOUND, "tags: v1");
    strcat(f.ref, ":v2");
    open_fails(&f, f.ref, VH_ENOTFOUND, "\"v2\"");
    end(&f);
}

static void an_image_of_another_platform_is_refused(void **state)
{
    fixture f;

    (void)state;
    begin(&f);
    f.l.platform = "arm64";
    write_image(&f);
    open_fails(&f, f.ref, VH_EIMAGE, "linux/arm64");
    assert_not_stored(&f);
    end(&f);
}

/* Changes |n| bytes at |at| of a blob by |flip|; |cut| truncates there instead. */
static void spoil(const fixture *f, const char *digest, off_t at, bool cut)
{
    char path[256], byte;
    int fd;

    blob_path(path, sizeof(path), f->dir, digest);
    fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    if (at < 0)
        at += lseek(fd, 0, SEEK_END);
    if (cut) {
        assert_int_equal(ftruncate(fd, at), 0);
    } else {
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x20;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
}

static void damaged_blobs_are_named(void **state)
{
    static const char *const compress[] = { NULL, "gzip", "zstd" };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(compress) * 4; i++) {
        fixture f;
        const char *victim = f.l.blobs[1];

        begin(&f);
        f.l.compress = compress[i / 4];
        write_image(&f);
        if (i % 4 == 3)
            victim = f.l.manifest;
        spoil(&f, victim, i % 4 == 1 ? -20 : 30, i % 4 == 1);
        open_fails(&f, f.ref, VH_ECORRUPT, victim);
        if (i % 4 != 1)
            assert_non_null(strstr(f.err.msg, "expected"));
        assert_not_stored(&f);
        end(&f);
    }
}

static void a_missing_blob_is_named(void **state)
{
    fixture f;
    char path[256];

    (void)state;
    begin(&f);
    write_image(&f);
    blob_path(path, sizeof(path), f.dir, f.l.blobs[0]);
    assert_int_equal(unlink(path), 0);
    open_fails(&f, f.ref, VH_ECORRUPT, f.l.blobs[0]);
    assert_not_stored(&f);
    end(&f);
}

static void a_layer_that_is_not_what_the_config_says_is_refused(void **state)
{
    fixture f;

    (void)state;
    begin(&f);
    f.l.lie = true;
    write_image(&f);
    open_fails(&f, f.ref, VH_ECORRUPT, "config says sha256:000000");
    assert_not_stored(&f);
    end(&f);
}

static void a_damaged_stored_image_is_made_anew(void **state)
{
    static const char *const files[] = { "rootfs.squashfs", "info.json", "config.json" };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(files); i++) {
        fixture f;
        vh_image_info info;
        char *path;

        begin(&f);
        write_image(&f);
        vh_image_close(open_ok(&f, f.ref));
        path = stored(&f, "", files[i]);
        assert_int_equal(truncate(path, 10), 0);
        open_fails(&f, f.l.manifest, VH_ECORRUPT, "anew");
        vh_image_close(open_ok(&f, f.ref));
        assert_ok(vh_images_inspect(f.images, f.l.manifest, &info, &f.err), f.err);
        vh_image_close(open_ok(&f, f.l.manifest));
        assert_int_equal(truncate(path, 10), 0);
        assert_ok(vh_images_remove(f.images, f.l.manifest, &f.err), f.err);
        free(path);
        assert_not_stored(&f);
        end(&f);
    }
}

static void what_a_dead_conversion_left_is_swept(void **state)
{
    fixture f;
    char *path;

    (void)state;
    begin(&f);
    write_image(&f);
    path = stored(&f, ".tmp-", "rootfs.squashfs");
    *strrchr(path, '/') = '\0';
    assert_ok(vh__path_mkdirs(path, 0755, &f.err), f.err);
    vh_images_free(f.images);
    assert_ok(vh_images_new(f.t.env, NULL, &f.images, &f.err), f.err);
    assert_int_equal(access(path, F_OK), -1);
    assert_ok(vh__path_mkdirs(path, 0755, &f.err), f.err);
    vh_image_close(open_ok(&f, f.ref)); /* and a conversion of the same image does not mind it */
    assert_int_equal(access(path, F_OK), -1);
    free(path);
    end(&f);
}

typedef struct opener {
    fixture *f;
    pthread_t thread;
    char digest[VH_IMAGE_DIGEST];
    int rc;
} opener;

static void *open_one(void *arg)
{
    opener *o = arg;
    vh_image *image;

    o->rc = vh_image_open(o->f->images, o->f->ref, NULL, &image, NULL);
    if (o->rc == 0) {
        strcpy(o->digest, vh_image_rootfs_digest(image));
        vh_image_close(image);
    }
    return NULL;
}

static void count_conversions(const vh_log_record *r, void *arg)
{
    if (strncmp(r->message, "converted", 9) == 0)
        __atomic_add_fetch((int *)arg, 1, __ATOMIC_RELAXED);
}

static void threads_share_one_conversion(void **state)
{
    fixture f;
    opener o[6] = { 0 };
    vh_env_options eo = VH_ENV_OPTIONS_INIT;
    vh_env *env;
    int conversions = 0;

    (void)state;
    begin(&f);
    write_image(&f);
    vh_images_free(f.images);
    eo.state_dir = vh_env_state_dir(f.t.env);
    eo.run_dir = vh_env_run_dir(f.t.env);
    eo.log = count_conversions;
    eo.log_arg = &conversions;
    assert_ok(vh_env_new(&eo, &env, &f.err), f.err);
    assert_ok(vh_images_new(env, NULL, &f.images, &f.err), f.err);
    for (size_t i = 0; i < VH_ARRAY_LEN(o); i++) {
        o[i].f = &f;
        assert_int_equal(pthread_create(&o[i].thread, NULL, open_one, &o[i]), 0);
    }
    for (size_t i = 0; i < VH_ARRAY_LEN(o); i++) {
        assert_int_equal(pthread_join(o[i].thread, NULL), 0);
        assert_int_equal(o[i].rc, 0);
        assert_string_equal(o[i].digest, o[0].digest);
    }
    assert_int_equal(conversions, 1);
    vh_images_free(f.images);
    f.images = NULL;
    vh_env_free(env);
    end(&f);
}

static void processes_share_the_store(void **state)
{
    fixture f;
    pid_t pids[4];

    (void)state;
    begin(&f);
    write_image(&f);
    for (size_t i = 0; i < VH_ARRAY_LEN(pids); i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            vh_image *image;
            int rc = vh_image_open(f.images, f.ref, NULL, &image, NULL);

            _exit(rc ? 1 : 0); /* without closing: the kernel drops the pin */
        }
    }
    for (size_t i = 0; i < VH_ARRAY_LEN(pids); i++) {
        int status;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    assert_ok(vh_images_remove(f.images, f.ref, &f.err), f.err);
    assert_not_stored(&f);
    end(&f);
}

static void a_waiting_open_keeps_its_deadline(void **state)
{
    fixture f;
    vh_call call = VH_CALL_INIT;
    vh_image *image = NULL;
    char *path;
    int lock;

    (void)state;
    begin(&f);
    write_image(&f);
    vh_image_close(open_ok(&f, f.ref));
    path = stored(&f, "locks/", "");
    lock = open(path, O_RDWR);
    assert_int_equal(flock(lock, LOCK_EX | LOCK_NB), 0); /* as somebody who converts it */
    call.timeout_ms = 50;
    assert_int_equal(vh_image_open(f.images, f.ref, &call, &image, &f.err), VH_ETIMEDOUT);
    assert_null(image);
    assert_int_equal(vh_images_remove(f.images, f.ref, &f.err), VH_ESTATE);
    close(lock);
    free(path);
    end(&f);
}

static void a_cancelled_conversion_leaves_nothing(void **state)
{
    fixture f;
    vh_call call = VH_CALL_INIT;
    vh_image *image = NULL;

    (void)state;
    begin(&f);
    write_image(&f);
    assert_ok(vh_cancel_new(&call.cancel, &f.err), f.err);
    vh_cancel_trigger(call.cancel);
    assert_int_equal(vh_image_open(f.images, f.ref, &call, &image, &f.err), VH_ECANCELED);
    assert_not_stored(&f);
    vh_cancel_free(call.cancel);
    end(&f);
}

static int attempt_new(void *arg)
{
    fixture *f = arg;
    vh_images *images;
    int rc = vh_images_new(f->t.env, NULL, &images, NULL);

    if (rc == 0)
        vh_images_free(images);
    return rc;
}

static int wipe_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* What failed after the image was whole leaves it stored, which is fine; but no part of one. */
static int attempt_convert(void *arg)
{
    fixture *f = arg;
    vh_image *image = NULL;
    char tmp[200];
    int rc = vh_image_open(f->images, f->ref, NULL, &image, NULL);

    vh_image_close(image);
    snprintf(tmp, sizeof(tmp), "%s/state/images/.tmp-%.64s", f->t.dir, f->l.manifest + 7);
    assert_int_equal(access(tmp, F_OK), -1);
    if (rc)
        assert_null(image);
    snprintf(tmp, sizeof(tmp), "%s/state/images", f->t.dir);
    (void)nftw(tmp, wipe_one, 8, FTW_DEPTH | FTW_PHYS); /* without an allocation that the sweep would count */
    return rc;
}

static int attempt_reopen(void *arg)
{
    fixture *f = arg;
    vh_image *image = NULL;
    int rc = vh_image_open(f->images, f->l.manifest, NULL, &image, NULL);

    vh_image_close(image);
    return rc;
}

static void running_out_of_memory_leaves_nothing(void **state)
{
    fixture f;

    (void)state;
    begin(&f);
    write_image(&f);
    failalloc_sweep(attempt_new, &f);
    failalloc_sweep(attempt_convert, &f);
    vh_image_close(open_ok(&f, f.ref));
    failalloc_sweep(attempt_reopen, &f);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_is_described),
        cmocka_unit_test(an_image_without_a_command_opens_but_does_not_run),
        cmocka_unit_test(equal_layers_give_equal_bytes_on_two_roots),
        cmocka_unit_test(a_second_open_converts_nothing),
        cmocka_unit_test(images_are_listed_inspected_and_removed),
        cmocka_unit_test(what_names_no_image_is_said),
        cmocka_unit_test(an_image_of_another_platform_is_refused),
        cmocka_unit_test(damaged_blobs_are_named),
        cmocka_unit_test(a_missing_blob_is_named),
        cmocka_unit_test(a_layer_that_is_not_what_the_config_says_is_refused),
        cmocka_unit_test(a_damaged_stored_image_is_made_anew),
        cmocka_unit_test(what_a_dead_conversion_left_is_swept),
        cmocka_unit_test(threads_share_one_conversion),
        cmocka_unit_test(processes_share_the_store),
        cmocka_unit_test(a_waiting_open_keeps_its_deadline),
        cmocka_unit_test(a_cancelled_conversion_leaves_nothing),
        cmocka_unit_test(running_out_of_memory_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
