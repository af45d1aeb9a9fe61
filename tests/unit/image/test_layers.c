/* Layers applied: what the squashfs has in it, read back by libsquashfs. */
#include "testenv.h"

#include <locale.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <vhive/image.h>

#include "layout.h"
#include "look.h"

typedef struct fixture {
    testenv t;
    vh_images *images;
    layout l;
    char dir[96], ref[128];
    vh_image *image;
    squash_look s;
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

static void convert(fixture *f)
{
    layout_write(&f->l);
    assert_ok(vh_image_open(f->images, f->ref, NULL, &f->image, &f->err), f->err);
    look_open(&f->s, vh_image_rootfs_path(f->image));
}

static void end(fixture *f)
{
    if (f->image)
        look_close(&f->s);
    vh_image_close(f->image);
    vh_images_free(f->images);
    testenv_fini(&f->t);
}

/* The layers are refused: with |code|, a message that has |text|, and nothing stored. */
static void refused(fixture *f, int code, const char *text)
{
    char path[160];

    layout_write(&f->l);
    if (vh_image_open(f->images, f->ref, NULL, &f->image, &f->err) != code)
        fail_msg("want %s, got %s: %s", vh_error_name(code), vh_error_name(f->err.code), f->err.msg);
    assert_null(f->image);
    if (!strstr(f->err.msg, text))
        fail_msg("\"%s\" is not in: %s", text, f->err.msg);
    snprintf(path, sizeof(path), "%s/state/images/%s", f->t.dir, f->l.manifest + 7);
    assert_int_equal(access(path, F_OK), -1);
    snprintf(path, sizeof(path), "%s/state/images/.tmp-%s", f->t.dir, f->l.manifest + 7);
    assert_int_equal(access(path, F_OK), -1);
    snprintf(path, sizeof(path), "%s/state/images/locks/%s", f->t.dir, f->l.manifest + 7);
    assert_int_equal(access(path, F_OK), -1);
    end(f);
}

static void every_kind_of_entry_comes_through(void **state)
{
    fixture f;
    struct archive_entry *e;
    tar *t;
    seen v;

    (void)state;
    begin(&f);
    t = layout_layer(&f.l);
    tar_dir(t, "./bin/", 0755);
    tar_file(t, "./bin/su", 04755, "setuid program");
    tar_file(t, "/etc/empty", 0600, "");
    tar_symlink(t, "lib", "usr/lib");
    e = tar_entry("dev/null", S_IFCHR | 0666);
    archive_entry_set_rdev(e, makedev(1, 3));
    tar_put(t, e, NULL, 0);
    e = tar_entry("dev/big", S_IFBLK | 0660);
    archive_entry_set_rdev(e, makedev(259, 70000));
    tar_put(t, e, NULL, 0);
    tar_put(t, tar_entry("run/pipe", S_IFIFO | 0622), NULL, 0);
    e = tar_entry("home/owned", S_IFREG | 0640);
    archive_entry_set_uid(e, 3000000000);
    archive_entry_set_gid(e, 4294967294);
    tar_put(t, e, "x", 1);
    convert(&f);

    v = look(&f.s, "bin/su");
    assert_int_equal(v.mode, S_IFREG | 04755);
    assert_string_equal(v.data, "setuid program");
    free(v.data);
    assert_content(&f.s, "etc/empty", "");
    assert_content(&f.s, "lib", "usr/lib");
    v = look(&f.s, "dev/null");
    assert_int_equal(v.mode, S_IFCHR | 0666);
    assert_int_equal(v.devno, 0x103);
    v = look(&f.s, "dev/big");
    assert_int_equal(v.devno, (70000 & 0xff) | 259 << 8 | (70000 & ~0xff) << 12);
    v = look(&f.s, "run/pipe");
    assert_int_equal(v.mode, S_IFIFO | 0622);
    v = look(&f.s, "home/owned");
    assert_int_equal(v.uid, 3000000000);
    assert_int_equal(v.gid, 4294967294);
    free(v.data);
    v = look(&f.s, "etc"); /* nobody described it */
    assert_int_equal(v.mode, S_IFDIR | 0755);
    assert_int_equal(v.uid, 0);
    v = look(&f.s, "");
    assert_int_equal(v.mode, S_IFDIR | 0755);
    assert_int_equal(v.nlink, 2 + 5);
    end(&f);
}

static void upper_layers_win_and_directories_merge(void **state)
{
    fixture f;
    tar *t;
    seen v;

    (void)state;
    begin(&f);
    t = layout_layer(&f.l);
    tar_dir(t, "d", 0700);
    tar_file(t, "d/low", 0644, "low");
    tar_file(t, "d/both", 0644, "old");
    t = layout_layer(&f.l);
    tar_dir(t, "d", 0711);
    tar_file(t, "d/both", 0600, "new");
    tar_file(t, "d/high", 0644, "high");
    convert(&f);

    assert_content(&f.s, "d/low", "low");
    assert_content(&f.s, "d/both", "new");
    assert_content(&f.s, "d/high", "high");
    v = look(&f.s, "d");
    assert_int_equal(v.mode, S_IFDIR | 0711);
    end(&f);
}

static void an_implied_parent_takes_the_lower_layers_metadata(void **state)
{
    fixture f;
    seen v;

    (void)state;
    begin(&f);
    tar_dir(layout_layer(&f.l), "var/tmp", 01777);
    tar_file(layout_layer(&f.l), "var/tmp/x", 0644, "x");
    convert(&f);
    v = look(&f.s, "var/tmp");
    assert_int_equal(v.mode, S_IFDIR | 01777);
    end(&f);
}

static void whiteouts_hide_lower_layers_only(void **state)
{
    fixture f;
    tar *t;

    (void)state;
    begin(&f);
    t = layout_layer(&f.l);
    tar_file(t, "gone", 0644, "1");
    tar_file(t, "dir/a", 0644, "1");
    tar_file(t, "dir/sub/b", 0644, "1");
    tar_file(t, "back", 0644, "1");
    tar_file(t, "kept/a", 0644, "1");
    t = layout_layer(&f.l);
    tar_file(t, ".wh.gone", 0, "");
    tar_file(t, ".wh.dir", 0, "");
    tar_file(t, "back", 0644, "2");
    tar_file(t, ".wh.back", 0, "");
    tar_file(t, "kept/.wh.never", 0, "");
    tar_file(t, "ghost/.wh.never", 0, "");
    t = layout_layer(&f.l);
    tar_file(t, "dir/c", 0644, "3");
    convert(&f);

    assert_missing(&f.s, "gone");
    assert_missing(&f.s, "dir/a");
    assert_missing(&f.s, "dir/sub");
    assert_content(&f.s, "dir/c", "3");
    assert_content(&f.s, "back", "2");
    assert_content(&f.s, "kept/a", "1");
    assert_missing(&f.s, "ghost");
    assert_missing(&f.s, ".wh.gone");
    end(&f);
}

static void opaque_directories_hide_what_lower_layers_have_in_them(void **state)
{
    fixture f;
    tar *t;
    seen v;

    (void)state;
    begin(&f);
    t = layout_layer(&f.l);
    tar_dir(t, "d", 0700);
    tar_file(t, "d/low", 0644, "1");
    tar_file(t, "d/sub/low", 0644, "1");
    t = layout_layer(&f.l);
    tar_file(t, "d/own", 0644, "2"); /* before the mark, and not hidden by it */
    tar_file(t, "d/.wh..wh..opq", 0, "");
    tar_file(t, "d/.wh..wh.plnk", 0, "");
    convert(&f);

    assert_content(&f.s, "d/own", "2");
    assert_missing(&f.s, "d/low");
    assert_missing(&f.s, "d/sub");
    assert_missing(&f.s, "d/.wh..wh..opq");
    assert_missing(&f.s, "d/.wh..wh.plnk");
    v = look(&f.s, "d"); /* the directory itself is not replaced */
    assert_int_equal(v.mode, S_IFDIR | 0700);
    end(&f);
}

static void an_opaque_root_starts_anew(void **state)
{
    fixture f;
    tar *t;

    (void)state;
    begin(&f);
    tar_file(layout_layer(&f.l), "a", 0644, "1");
    t = layout_layer(&f.l);
    tar_file(t, ".wh..wh..opq", 0, "");
    tar_file(t, "b", 0644, "2");
    convert(&f);
    assert_missing(&f.s, "a");
    assert_content(&f.s, "b", "2");
    end(&f);
}

static void files_and_directories_replace_each_other(void **state)
{
    fixture f;
    tar *t;
    seen v;

    (void)state;
    begin(&f);
    t = layout_layer(&f.l);
    tar_file(t, "x/under", 0644, "1");
    tar_file(t, "y", 0644, "1");
    tar_file(t, "z/old", 0644, "1");
    tar_symlink(t, "lib", "usr/lib");
    tar_file(t, "usr/lib/libc", 0644, "1");
    t = layout_layer(&f.l);
    tar_file(t, "x", 0644, "2");
    tar_file(t, "y/under", 0644, "2");
    tar_file(t, "z", 0644, "2");
    t = layout_layer(&f.l);
    tar_dir(t, "z", 0750);
    tar_file(t, "z/new", 0644, "3");
    tar_file(t, "lib/own", 0644, "3");
    convert(&f);

    assert_content(&f.s, "x", "2");
    assert_content(&f.s, "y/under", "2");
    assert_content(&f.s, "z/new", "3");
    assert_missing(&f.s, "z/old"); /* the file between hid it */
    assert_content(&f.s, "lib/own", "3"); /* a directory replaces a lower layer's symlink, as on overlayfs */
    assert_content(&f.s, "usr/lib/libc", "1");
    v = look(&f.s, "lib");
    assert_true(S_ISDIR(v.mode));
    end(&f);
}

static void the_last_of_equal_names_in_a_layer_counts(void **state)
{
    fixture f;
    tar *t;
    seen v;

    (void)state;
    begin(&f);
    t = layout_layer(&f.l);
    tar_file(t, "a", 0644, "first");
    tar_link(t, "kept", "a");
    tar_file(t, "./a", 0600, "second");
    tar_dir(t, "d", 0700);
    tar_dir(t, "d/", 0750);
    convert(&f);
    assert_content(&f.s, "a", "second");
    assert_content(&f.s, "kept", "first");
    v = look(&f.s, "d");
    assert_int_equal(v.mode, S_IFDIR | 0750);
    end(&f);
}

static void assert_same_file(squash_look *s, const char *a, const char *b, unsigned nlink)
{
    seen x = look(s, a), y = look(s, b);

    assert_true(x.exists && y.exists);
    assert_int_equal(x.number, y.number);
    assert_int_equal(x.nlink, nlink);
    free(x.data);
    free(y.data);
}

static void hard_links_share_an_inode_within_and_across_layers(void **state)
{
    fixture f;
    struct archive_entry *e;
    tar *t;

    (void)state;
    begin(&f);
    t = layout_layer(&f.l);
    tar_file(t, "a/first", 0644, "one"); /* the first inode of the table: its place there is 0 */
    tar_link(t, "a/second", "a/first");
    tar_file(t, "low", 0644, "low");
    e = tar_entry("fifo", S_IFIFO | 0600);
    tar_put(t, e, NULL, 0);
    t = layout_layer(&f.l);
    tar_link(t, "third", "./low");
    tar_link(t, "fifo2", "/fifo");
    t = layout_layer(&f.l);
    tar_link(t, "fourth", "third");
    convert(&f);

    assert_same_file(&f.s, "a/first", "a/second", 2);
    assert_same_file(&f.s, "low", "third", 3);
    assert_same_file(&f.s, "third", "fourth", 3);
    assert_same_file(&f.s, "fifo", "fifo2", 2);
    assert_content(&f.s, "fourth", "low");
    end(&f);
}

static void a_link_keeps_the_file_that_an_upper_layer_hides(void **state)
{
    fixture f;
    tar *t;

    (void)state;
    begin(&f);
    t = layout_layer(&f.l);
    tar_file(t, "perl", 0755, "base perl");
    tar_link(t, "perl5", "perl");
    tar_link(t, "perl5.36", "perl5");
    t = layout_layer(&f.l);
    tar_file(t, "perl", 0755, "own perl");
    tar_file(t, ".wh.perl5", 0, "");
    convert(&f);

    assert_content(&f.s, "perl", "own perl");
    assert_missing(&f.s, "perl5");
    assert_content(&f.s, "perl5.36", "base perl");
    end(&f);
}

static void a_link_to_a_lower_layers_file_survives_its_removal(void **state)
{
    fixture f;
    tar *t;

    (void)state;
    begin(&f);
    tar_file(layout_layer(&f.l), "a", 0644, "low");
    tar_link(layout_layer(&f.l), "b", "a");
    t = layout_layer(&f.l);
    tar_file(t, ".wh.a", 0, "");
    convert(&f);
    assert_missing(&f.s, "a");
    assert_content(&f.s, "b", "low");
    end(&f);
}

static void extended_attributes_that_matter_are_kept(void **state)
{
    static const char cap[] = "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    fixture f;
    struct archive_entry *e;
    size_t n = 0;
    char *v;
    tar *t;

    (void)state;
    begin(&f);
    t = layout_layer(&f.l);
    e = tar_entry("ping", S_IFREG | 0755);
    archive_entry_xattr_add_entry(e, "security.capability", cap, 20);
    archive_entry_xattr_add_entry(e, "user.note", "hello", 5);
    archive_entry_xattr_add_entry(e, "trusted.overlay.opaque", "y", 1);
    tar_put(t, e, "data", 4);
    e = tar_entry("dir", S_IFDIR | 0755);
    archive_entry_xattr_add_entry(e, "user.note", "hello", 5);
    tar_put(t, e, NULL, 0);
    convert(&f);

    v = look_xattr(&f.s, "ping", "security.capability", &n);
    assert_non_null(v);
    assert_int_equal(n, 20);
    assert_memory_equal(v, cap, 20);
    free(v);
    v = look_xattr(&f.s, "dir", "user.note", &n);
    assert_string_equal(v, "hello");
    free(v);
    assert_null(look_xattr(&f.s, "ping", "trusted.overlay.opaque", &n));
    end(&f);
}

/* Names are bytes: pax headers say UTF-8, and neither the locale nor a normal form may change them. */
static void names_survive_any_locale(void **state)
{
    static const char *const names[] = {
        "gr\xc3\xbc\xc3\x9f", "e\xcc\x81-decomposed", "\xff\xfe-not-utf8", "\xe6\x97\xa5\xe6\x9c\xac",
    };
    static const char *const locales[] = { "C", "C.UTF-8" };

    (void)state;
    for (size_t k = 0; k < VH_ARRAY_LEN(locales); k++) {
        fixture f;
        tar *t;

        assert_non_null(setlocale(LC_ALL, "C.UTF-8")); /* the writer wants one */
        begin(&f);
        t = layout_layer(&f.l);
        for (size_t i = 0; i < VH_ARRAY_LEN(names); i++) {
            tar_file(t, names[i], 0644, "x");
            tar_end(t);
            if (i + 1 < VH_ARRAY_LEN(names))
                t = layout_layer(&f.l);
        }
        assert_non_null(setlocale(LC_ALL, locales[k]));
        convert(&f);
        for (size_t i = 0; i < VH_ARRAY_LEN(names); i++)
            assert_content(&f.s, names[i], "x");
        end(&f);
        assert_non_null(setlocale(LC_ALL, "C"));
    }
}

static void long_names_and_deep_paths_come_through(void **state)
{
    char name[256], deep[3000] = "", link[3000];
    fixture f;
    tar *t;

    (void)state;
    memset(name, 'n', 255);
    name[255] = '\0';
    for (int i = 0; i < 140; i++)
        strcat(deep, "ten-bytes/");
    strcat(deep, "end");
    memset(link, 'l', sizeof(link));
    link[sizeof(link) - 1] = '\0';
    begin(&f);
    t = layout_layer(&f.l);
    tar_file(t, name, 0644, "long");
    tar_file(t, deep, 0644, "deep");
    tar_symlink(t, "s", link);
    tar_end(t);
    tar_begin_as(t = &f.l.layers[f.l.n++], ARCHIVE_FORMAT_TAR_GNUTAR);
    tar_file(t, "g/", 0644, "");
    tar_link(t, "g2", deep);
    convert(&f);
    assert_content(&f.s, name, "long");
    assert_content(&f.s, deep, "deep");
    assert_content(&f.s, "g2", "deep");
    assert_content(&f.s, "s", link);
    end(&f);
}

static void large_and_sparse_files_are_whole(void **state)
{
    enum { SIZE = 3 << 20 };
    fixture f;
    struct archive_entry *e;
    char *data = calloc(1, SIZE);
    seen v;
    tar *t;

    (void)state;
    begin(&f);
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i * 2654435761u >> 13);
    t = layout_layer(&f.l);
    e = tar_entry("big", S_IFREG | 0644);
    tar_put(t, e, data, SIZE - 5);
    memset(data + 4096, 0, SIZE - 8192);
    e = tar_entry("sparse", S_IFREG | 0644);
    archive_entry_set_size(e, SIZE); /* first: it bounds the others */
    archive_entry_sparse_add_entry(e, 0, 4096);
    archive_entry_sparse_add_entry(e, SIZE - 4096, 4096);
    tar_put(t, e, data, SIZE);
    e = tar_entry("hole", S_IFREG | 0644);
    archive_entry_set_size(e, SIZE);
    archive_entry_sparse_add_entry(e, SIZE, 0);
    memset(data, 0, SIZE);
    tar_put(t, e, data, SIZE);
    convert(&f);

    assert_true(f.l.tar_bytes < 2 * SIZE); /* or the writer made nothing sparse */
    assert_true(vh_image_info_get(f.image)->unpacked_bytes > 3 * SIZE - 8192);
    v = look(&f.s, "big");
    assert_int_equal(v.size, SIZE - 5);
    for (size_t i = 0; i < v.size; i++)
        if (v.data[i] != (char)(i * 2654435761u >> 13))
            fail_msg("byte %zu differs", i);
    free(v.data);
    v = look(&f.s, "sparse");
    assert_int_equal(v.size, SIZE);
    assert_int_equal(v.data[4095], (char)(4095 * 2654435761u >> 13));
    assert_int_equal(v.data[4096], 0);
    assert_int_equal(v.data[SIZE - 4097], 0);
    assert_int_equal(v.data[SIZE - 4096], (char)((SIZE - 4096) * 2654435761u >> 13));
    free(v.data);
    v = look(&f.s, "hole");
    assert_int_equal(v.size, SIZE);
    assert_memory_equal(v.data, data, SIZE);
    free(v.data);
    free(data);
    end(&f);
}

static void an_image_of_no_layers_is_an_empty_root(void **state)
{
    fixture f;
    seen v;

    (void)state;
    begin(&f);
    convert(&f);
    v = look(&f.s, "");
    assert_int_equal(v.mode, S_IFDIR | 0755);
    assert_int_equal(f.s.super.inode_count, 1);
    end(&f);
}

static void a_hard_link_to_nothing_is_refused(void **state)
{
    fixture f;

    (void)state;
    begin(&f);
    tar_link(layout_layer(&f.l), "a", "missing");
    refused(&f, VH_EIMAGE, "\"missing\"");
}

static void rings_of_hard_links_are_refused(void **state)
{
    fixture f;
    tar *t;

    (void)state;
    begin(&f);
    t = layout_layer(&f.l);
    tar_link(t, "z", "a");
    tar_link(t, "a", "b");
    tar_link(t, "b", "a");
    t = layout_layer(&f.l);
    tar_file(t, "a", 0644, "hides");
    tar_file(t, "b", 0644, "hides");
    refused(&f, VH_EIMAGE, "no layer has such a file");
    begin(&f);
    tar_link(layout_layer(&f.l), "self", "./self");
    refused(&f, VH_EIMAGE, "to itself");
}

static void links_that_climb_out_are_refused(void **state)
{
    fixture f;

    (void)state;
    begin(&f);
    tar_link(layout_layer(&f.l), "a", "../../etc/passwd");
    refused(&f, VH_EIMAGE, "climbs");
}

static void names_that_climb_out_are_refused(void **state)
{
    static const char *const names[] = { "../x", "a/../../x", "a/..", "/../x" };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(names); i++) {
        fixture f;

        begin(&f);
        tar_file(layout_layer(&f.l), names[i], 0644, "x");
        refused(&f, VH_EIMAGE, "climbs");
    }
}

static void names_over_255_bytes_are_refused(void **state)
{
    char name[300];
    fixture f;

    (void)state;
    memset(name, 'n', 256);
    name[256] = '\0';
    begin(&f);
    tar_file(layout_layer(&f.l), name, 0644, "x");
    refused(&f, VH_EIMAGE, "over 255 bytes");
}

static void an_entry_below_a_symlink_of_its_layer_is_refused(void **state)
{
    fixture f;
    tar *t;

    (void)state;
    begin(&f);
    t = layout_layer(&f.l);
    tar_symlink(t, "lib", "/etc");
    tar_file(t, "lib/passwd", 0644, "x");
    refused(&f, VH_EIMAGE, "below a file or symlink");
}

static void a_path_of_two_kinds_in_one_layer_is_refused(void **state)
{
    fixture f;
    tar *t;

    (void)state;
    begin(&f);
    t = layout_layer(&f.l);
    tar_file(t, "d/x", 0644, "x");
    tar_symlink(t, "d", "/etc");
    refused(&f, VH_EIMAGE, "something else");
}

/* A layer of one file, as umoci insert writes it: the stream ends with the |keep|th byte of the file's data. */
static void one_file_cut(fixture *f, size_t keep)
{
    tar *t;

    begin(f);
    t = layout_layer(&f->l);
    tar_file(t, "hello", 0644, "what a file has in it");
    tar_end(t);
    t->bytes.len = 512 + keep;
}

static void a_last_file_without_padding_is_whole(void **state)
{
    fixture f;

    (void)state;
    one_file_cut(&f, strlen("what a file has in it"));
    convert(&f);
    assert_content(&f.s, "hello", "what a file has in it");
    end(&f);
}

static void a_last_file_that_is_cut_is_refused(void **state)
{
    fixture f;

    (void)state;
    one_file_cut(&f, 10);
    refused(&f, VH_ECORRUPT, "rebuild the image");
}

static void whiteouts_of_no_name_are_refused(void **state)
{
    static const char *const names[] = { ".wh.", "a/.wh..", "a/.wh..." };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(names); i++) {
        fixture f;

        begin(&f);
        tar_file(layout_layer(&f.l), names[i], 0644, "");
        refused(&f, VH_EIMAGE, "names no file");
    }
}

static void limited(vh_images_options o, void (*fill)(tar *t))
{
    fixture f;

    begin(&f);
    vh_images_free(f.images);
    o.size = sizeof(o);
    assert_ok(vh_images_new(f.t.env, &o, &f.images, &f.err), f.err);
    fill(layout_layer(&f.l));
    refused(&f, VH_ELIMIT, "more than");
}

static void fill_many(tar *t)
{
    for (int i = 0; i < 20; i++) {
        char name[16];

        snprintf(name, sizeof(name), "f%d", i);
        tar_file(t, name, 0644, "");
    }
}

static void fill_deep(tar *t)
{
    tar_file(t, "a/b/c/d/e/f/g/h/i/j/k/l", 0644, "");
}

static void fill_big(tar *t)
{
    char *data = calloc(1, 1 << 20);

    tar_put(t, tar_entry("zeros", S_IFREG | 0644), data, 1 << 20);
    free(data);
}

static void fill_holes(tar *t)
{
    struct archive_entry *e = tar_entry("holes", S_IFREG | 0644);

    archive_entry_set_size(e, (1ll << 40) + 1); /* first: it bounds the others */
    archive_entry_sparse_add_entry(e, 1ll << 40, 1);
    assert_int_equal(archive_write_header(t->a, e), ARCHIVE_OK);
    assert_int_equal(archive_write_data(t->a, "", 1), 1);
    archive_entry_free(e);
}

static void bombs_hit_the_limits(void **state)
{
    (void)state;
    limited((vh_images_options){ .max_entries = 10 }, fill_many);
    limited((vh_images_options){ .max_entries = 10 }, fill_deep);
    limited((vh_images_options){ .max_unpacked_bytes = 1 << 19 }, fill_big);
    limited((vh_images_options){ 0 }, fill_holes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_entry_comes_through),
        cmocka_unit_test(upper_layers_win_and_directories_merge),
        cmocka_unit_test(an_implied_parent_takes_the_lower_layers_metadata),
        cmocka_unit_test(whiteouts_hide_lower_layers_only),
        cmocka_unit_test(opaque_directories_hide_what_lower_layers_have_in_them),
        cmocka_unit_test(an_opaque_root_starts_anew),
        cmocka_unit_test(files_and_directories_replace_each_other),
        cmocka_unit_test(the_last_of_equal_names_in_a_layer_counts),
        cmocka_unit_test(hard_links_share_an_inode_within_and_across_layers),
        cmocka_unit_test(a_link_keeps_the_file_that_an_upper_layer_hides),
        cmocka_unit_test(a_link_to_a_lower_layers_file_survives_its_removal),
        cmocka_unit_test(extended_attributes_that_matter_are_kept),
        cmocka_unit_test(names_survive_any_locale),
        cmocka_unit_test(long_names_and_deep_paths_come_through),
        cmocka_unit_test(large_and_sparse_files_are_whole),
        cmocka_unit_test(an_image_of_no_layers_is_an_empty_root),
        cmocka_unit_test(a_hard_link_to_nothing_is_refused),
        cmocka_unit_test(rings_of_hard_links_are_refused),
        cmocka_unit_test(links_that_climb_out_are_refused),
        cmocka_unit_test(names_that_climb_out_are_refused),
        cmocka_unit_test(names_over_255_bytes_are_refused),
        cmocka_unit_test(an_entry_below_a_symlink_of_its_layer_is_refused),
        cmocka_unit_test(a_path_of_two_kinds_in_one_layer_is_refused),
        cmocka_unit_test(whiteouts_of_no_name_are_refused),
        cmocka_unit_test(a_last_file_without_padding_is_whole),
        cmocka_unit_test(a_last_file_that_is_cut_is_refused),
        cmocka_unit_test(bombs_hit_the_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
