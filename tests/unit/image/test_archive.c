/* Images in files of docker save. */
#include "testenv.h"

#include <dirent.h>
#include <vhive/image.h>

#include "failalloc.h"
#include "layout.h"

typedef struct fixture {
    testenv t;
    vh_images *images;
    tar file;
    char path[96], ref[160];
    vh_error err;
} fixture;

static void begin(fixture *f)
{
    memset(f, 0, sizeof(*f));
    testenv_init(&f->t);
    assert_ok(vh_images_new(f->t.env, NULL, &f->images, &f->err), f->err);
    snprintf(f->path, sizeof(f->path), "%s/saved.tar", f->t.dir);
    snprintf(f->ref, sizeof(f->ref), "docker-archive:%s", f->path);
    tar_begin(&f->file);
}

static void end(fixture *f)
{
    vh__buf_fini(&f->file.bytes);
    vh_images_free(f->images);
    testenv_fini(&f->t);
}

/* One layer with the file "hello", as it goes into an archive. |compress| as in compress_bytes(). */
static void put_layer_file(fixture *f, const char *name, const char *compress, char diff_id[VH_DIGEST_TEXT])
{
    vh__buf packed = { 0 };
    tar layer;

    tar_begin(&layer);
    tar_file(&layer, "hello", 0755, "I am the hello of this image");
    tar_end(&layer);
    assert_ok(vh__digest_bytes(layer.bytes.data, layer.bytes.len, diff_id, &f->err), f->err);
    compress_bytes(&layer.bytes, compress, &packed);
    tar_put(&f->file, tar_entry(name, S_IFREG | 0644), packed.data, packed.len);
    vh__buf_fini(&packed);
    vh__buf_fini(&layer.bytes);
}

static void put_config(fixture *f, const char *diff_id)
{
    char text[512];

    snprintf(text, sizeof(text), "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Cmd\":[\"/hello\"]},"
             "\"rootfs\":{\"diff_ids\":[\"%s\"]}}", diff_id);
    tar_file(&f->file, "config.json", 0644, text);
}

static void write_file(fixture *f, const char *compress)
{
    vh__buf packed = { 0 };

    tar_end(&f->file);
    compress_bytes(&f->file.bytes, compress, &packed);
    put_file(f->t.dir, "saved.tar", packed.data, packed.len);
    vh__buf_fini(&packed);
}

#define MANIFEST(layer)                                                                                                \
    "[{\"Config\":\"config.json\",\"RepoTags\":[\"hello:v1\"],\"Layers\":[\"" layer "\"]}]"

static void put_image(fixture *f, const char *layer_compress)
{
    char diff_id[VH_DIGEST_TEXT];

    put_layer_file(f, "a/layer.tar", layer_compress, diff_id);
    put_config(f, diff_id);
    tar_file(&f->file, "manifest.json", 0644, MANIFEST("a/layer.tar"));
}

/* Opens |ref| and gives its digests. */
static void opened(fixture *f, const char *ref, char digest[VH_DIGEST_TEXT], char rootfs[VH_DIGEST_TEXT])
{
    vh_image *image = NULL;

    assert_ok(vh_image_open(f->images, ref, NULL, &image, &f->err), f->err);
    strcpy(digest, vh_image_digest(image));
    strcpy(rootfs, vh_image_rootfs_digest(image));
    vh_image_close(image);
}

static void equal_images_are_one_however_they_are_packed(void **state)
{
    static const char *const packings[] = { NULL, "gzip", "zstd" };
    char digest[3][VH_DIGEST_TEXT], rootfs[3][VH_DIGEST_TEXT];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        fixture f;

        begin(&f);
        put_image(&f, NULL);
        write_file(&f, packings[i]);
        opened(&f, f.ref, digest[i], rootfs[i]);
        end(&f);
    }
    assert_string_equal(digest[0], digest[1]);
    assert_string_equal(digest[0], digest[2]);
    assert_string_equal(rootfs[0], rootfs[1]);
    assert_string_equal(rootfs[0], rootfs[2]);
}

static void compressed_layers_are_read(void **state)
{
    static const char *const packings[] = { NULL, "gzip", "zstd" };
    char digest[VH_DIGEST_TEXT], rootfs[3][VH_DIGEST_TEXT];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        fixture f;

        begin(&f);
        put_image(&f, packings[i]);
        write_file(&f, NULL);
        opened(&f, f.ref, digest, rootfs[i]);
        end(&f);
    }
    assert_string_equal(rootfs[0], rootfs[1]);
    assert_string_equal(rootfs[0], rootfs[2]);
}

static void links_among_members_are_followed(void **state)
{
    char digest[VH_DIGEST_TEXT], rootfs[VH_DIGEST_TEXT], diff_id[VH_DIGEST_TEXT];
    fixture f;

    (void)state;
    begin(&f);
    put_layer_file(&f, "real.tar", NULL, diff_id);
    put_config(&f, diff_id);
    tar_symlink(&f.file, "a/layer.tar", "../real.tar");
    tar_link(&f.file, "b/layer.tar", "a/layer.tar");
    tar_file(&f.file, "manifest.json", 0644, MANIFEST("b/layer.tar"));
    write_file(&f, NULL);
    opened(&f, f.ref, digest, rootfs);
    end(&f);
}

/* What there is in the store: images, what they are made of, locks. */
static size_t count_stored(const fixture *f)
{
    static const char *const dirs[] = { "images", "images/locks" };
    size_t n = 0;

    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
        char path[160];
        DIR *d;
        const struct dirent *e;

        snprintf(path, sizeof(path), "%s/state/%s", f->t.dir, dirs[i]);
        d = opendir(path);
        while (d && (e = readdir(d)))
            n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && strcmp(e->d_name, "locks");
        if (d)
            closedir(d);
    }
    return n;
}

/* Opening |ref| fails with |code| and a message that has |text|, and leaves nothing. */
static void refused(fixture *f, const char *ref, int code, const char *text)
{
    size_t before = count_stored(f);
    vh_image *image = NULL;

    f->err = (vh_error){ 0 };
    if (vh_image_open(f->images, ref, NULL, &image, &f->err) != code)
        fail_msg("%s: want %s, got %s: %s", ref, vh_error_name(code), vh_error_name(f->err.code), f->err.msg);
    if (!strstr(f->err.msg, text))
        fail_msg("\"%s\" is not in: %s", text, f->err.msg);
    assert_null(image);
    assert_int_equal(count_stored(f), before);
}

static void images_are_named_as_docker_names_them(void **state)
{
    char ref[200], digest[VH_DIGEST_TEXT], rootfs[VH_DIGEST_TEXT];
    fixture f;

    (void)state;
    begin(&f);
    put_image(&f, NULL);
    write_file(&f, NULL);
    snprintf(ref, sizeof(ref), "%s:docker.io/library/hello:v1", f.ref);
    opened(&f, ref, digest, rootfs);
    snprintf(ref, sizeof(ref), "%s:hello", f.ref);
    refused(&f, ref, VH_ENOTFOUND, "it has: hello:v1");
    snprintf(ref, sizeof(ref), "%s:Hello", f.ref);
    refused(&f, ref, VH_EINVALID, "Hello");
    refused(&f, "docker-archive:", VH_EINVALID, "names no file");
    refused(&f, "docker-archive:/nowhere:x", VH_ENOTFOUND, "no file /nowhere");
    refused(&f, "docker-archive:/dev/null", VH_EIMAGE, "not a file");
    end(&f);
}

/* An archive of one member |name| with |text|, and what it is refused with. */
static void bad_archive(const char *name, const char *text, int code, const char *said)
{
    fixture f;

    begin(&f);
    tar_file(&f.file, name, 0644, text);
    write_file(&f, NULL);
    refused(&f, f.ref, code, said);
    end(&f);
}

static void hostile_archives_are_refused(void **state)
{
    char diff_id[VH_DIGEST_TEXT];
    fixture f;

    (void)state;
    bad_archive("other", "x", VH_EIMAGE, "no manifest.json");
    bad_archive("manifest.json", "[", VH_EIMAGE, "manifest.json");
    bad_archive("manifest.json", "{}", VH_EIMAGE, "names no image");
    bad_archive("manifest.json", "[{}]", VH_EIMAGE, "no config");
    bad_archive("manifest.json", "[{\"Config\":\"/etc/passwd\",\"Layers\":[]}]", VH_ECORRUPT, "/etc/passwd is missing");
    bad_archive("manifest.json", "[{},{}]", VH_ENOTFOUND, "several images");
    bad_archive("index.json", "{\"manifests\":[]}", VH_ENOTFOUND, "no image has the tag");

    begin(&f); /* a layer that is not what the config says */
    put_layer_file(&f, "a/layer.tar", NULL, diff_id);
    memset(diff_id + 7, '0', 64);
    put_config(&f, diff_id);
    tar_file(&f.file, "manifest.json", 0644, MANIFEST("a/layer.tar"));
    write_file(&f, NULL);
    refused(&f, f.ref, VH_ECORRUPT, "expected sha256:0000");
    end(&f);

    begin(&f);
    put_config(&f, diff_id); /* links in a ring */
    tar_symlink(&f.file, "a", "b");
    tar_symlink(&f.file, "b", "a");
    tar_file(&f.file, "manifest.json", 0644, MANIFEST("a"));
    write_file(&f, NULL);
    refused(&f, f.ref, VH_ECORRUPT, "a is missing");
    end(&f);
}

static void a_bomb_is_unpacked_to_its_limit(void **state)
{
    vh_images_options o = VH_IMAGES_OPTIONS_INIT;
    char *zeros = calloc(1, 1 << 20);
    fixture f;

    (void)state;
    assert_non_null(zeros);
    begin(&f);
    tar_put(&f.file, tar_entry("manifest.json", S_IFREG | 0644), zeros, 1 << 20);
    write_file(&f, "gzip");
    vh_images_free(f.images);
    o.max_unpacked_bytes = 1 << 19;
    assert_ok(vh_images_new(f.t.env, &o, &f.images, &f.err), f.err);
    refused(&f, f.ref, VH_ELIMIT, "image.max_bytes");
    end(&f);
    free(zeros);
}

static void what_is_compressed_twice_is_refused(void **state)
{
    vh__buf once = { 0 };
    fixture f;

    (void)state;
    begin(&f);
    put_image(&f, NULL);
    tar_end(&f.file);
    compress_bytes(&f.file.bytes, "gzip", &once);
    vh__buf_fini(&f.file.bytes);
    compress_bytes(&once, "zstd", &f.file.bytes);
    put_file(f.t.dir, "saved.tar", f.file.bytes.data, f.file.bytes.len);
    vh__buf_fini(&once);
    refused(&f, f.ref, VH_EIMAGE, "more than once");
    end(&f);
}

static int attempt(void *arg)
{
    fixture *f = arg;
    vh_image *image = NULL;
    int rc = vh_image_open(f->images, f->ref, NULL, &image, NULL);

    vh_image_close(image);
    return rc;
}

static void running_out_of_memory_leaves_nothing(void **state)
{
    fixture f;

    (void)state;
    begin(&f);
    put_image(&f, NULL);
    write_file(&f, NULL);
    attempt(&f); /* from now on it is stored, and only found: the conversion has its own sweep */
    failalloc_sweep(attempt, &f);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_images_are_one_however_they_are_packed),
        cmocka_unit_test(compressed_layers_are_read),
        cmocka_unit_test(links_among_members_are_followed),
        cmocka_unit_test(images_are_named_as_docker_names_them),
        cmocka_unit_test(hostile_archives_are_refused),
        cmocka_unit_test(a_bomb_is_unpacked_to_its_limit),
        cmocka_unit_test(what_is_compressed_twice_is_refused),
        cmocka_unit_test(running_out_of_memory_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
