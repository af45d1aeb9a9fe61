/* Damaged snapshots: each kind is found where it should be, named, and cured by removing the snapshot. */
#include "fixture.h"

typedef struct damaged {
    fixture f;
    char id[VH_SNAPSHOT_ID], key[VH_DIGEST_TEXT];
    vh_error err;
} damaged;

static void setup(damaged *d)
{
    memset(d, 0, sizeof(*d));
    fixture_init(&d->f);
    key_of(1, d->key);
    assert_ok(save(d->f.s, 1, d->f.memfd, MEMORY, "hello", d->id, &d->err), d->err);
}

/* Opening fails with |code| and a message that has |word|, the id and the remedy. */
static void expect_refused(damaged *d, int code, const char *word)
{
    vh__snapshot *snap;

    memset(&d->err, 0, sizeof(d->err));
    assert_int_equal(vh__snapshot_open(d->f.s, d->key, &snap, &d->err), code);
    assert_int_equal(d->err.code, code);
    if (!strstr(d->err.msg, word))
        fail_msg("\"%s\" does not say \"%s\"", d->err.msg, word);
    assert_non_null(strstr(d->err.msg, d->id));
    assert_non_null(strstr(d->err.msg, "vhive-ctl snapshot rm"));
    assert_int_equal(vh_snapshots_verify(d->f.s, d->id, NULL, NULL), code);
}

/* It is listed with its problem, can be removed, and is then made anew. */
static void expect_cured_by_removal(damaged *d)
{
    vh_snapshot_info info = VH_SNAPSHOT_INFO_INIT;
    vh__snapshot *snap;

    assert_int_equal(count_snapshots(d->f.s), 1);
    assert_ok(vh_snapshots_inspect(d->f.s, "hello", &info, &d->err), d->err);
    assert_string_equal(info.id, d->id);
    assert_ok(vh_snapshots_remove(d->f.s, "hello", &d->err), d->err);
    assert_int_equal(count_entries(&d->f), 0);
    assert_ok(save(d->f.s, 1, d->f.memfd, MEMORY, "hello", d->id, &d->err), d->err);
    assert_ok(vh__snapshot_open(d->f.s, d->key, &snap, &d->err), d->err);
    vh__snapshot_close(snap);
    fixture_fini(&d->f);
}

static const char *file(damaged *d, const char *name)
{
    return path_of(&d->f, d->id, name);
}

static void a_truncated_memory_file_is_refused(void **state)
{
    damaged d;
    vh_snapshot_info info = VH_SNAPSHOT_INFO_INIT;

    (void)state;
    setup(&d);
    assert_int_equal(truncate(file(&d, "memory"), MEMORY - PAGE), 0);
    expect_refused(&d, VH_ECORRUPT, "memory: it has 5238784 bytes, 5242880 were saved");
    assert_ok(vh_snapshots_inspect(d.f.s, d.id, &info, &d.err), d.err);
    assert_non_null(strstr(info.problem, "memory"));
    expect_cured_by_removal(&d);
}

static void a_flipped_byte_of_the_vmm_state_is_refused(void **state)
{
    damaged d;

    (void)state;
    setup(&d);
    flip_byte(file(&d, "vmstate"), 3);
    expect_refused(&d, VH_ECORRUPT, "vmstate: its content is not what was saved");
    expect_cured_by_removal(&d);
}

static void a_flipped_byte_of_memory_is_found_by_verify(void **state)
{
    static const off_t places[] = { PAGE, 5 * PAGE + 7, 3 << 20, MEMORY - 1 }; /* data, zeros, a hole, the end */
    damaged d;
    vh__snapshot *snap;

    (void)state;
    setup(&d);
    for (size_t i = 0; i < VH_ARRAY_LEN(places); i++) {
        flip_byte(file(&d, "memory"), places[i]);
        assert_ok(vh__snapshot_open(d.f.s, d.key, &snap, &d.err), d.err); /* too slow to look at each time */
        vh__snapshot_close(snap);
        assert_int_equal(vh_snapshots_verify(d.f.s, "hello", NULL, &d.err), VH_ECORRUPT);
        assert_non_null(strstr(d.err.msg, "memory: the content of bytes "));
        flip_byte(file(&d, "memory"), places[i]); /* and back: content counts, not holes */
        assert_ok(vh_snapshots_verify(d.f.s, "hello", NULL, &d.err), d.err);
    }
    expect_cured_by_removal(&d);
}

static void a_missing_file_is_named(void **state)
{
    static const char *const files[] = { "manifest.json", "memory", "vmstate" };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(files); i++) {
        damaged d;

        setup(&d);
        assert_int_equal(unlink(file(&d, files[i])), 0);
        expect_refused(&d, VH_ECORRUPT, files[i]);
        expect_cured_by_removal(&d);
    }
}

static void a_link_or_a_pipe_in_place_of_a_file_is_refused(void **state)
{
    static const char *const files[] = { "manifest.json", "memory", "vmstate" };

    (void)state;
    for (size_t i = 0; i < 2 * VH_ARRAY_LEN(files); i++) {
        const char *name = files[i / 2];
        damaged d;

        setup(&d);
        assert_int_equal(unlink(file(&d, name)), 0);
        assert_int_equal(i % 2 ? symlink("/etc/passwd", file(&d, name)) : mkfifo(file(&d, name), 0600), 0);
        expect_refused(&d, VH_ECORRUPT, name);
        expect_cured_by_removal(&d);
    }
}

static void replace_manifest(damaged *d, const char *text)
{
    vh_auto_fd int fd = open(file(d, "manifest.json"), O_WRONLY | O_TRUNC | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void a_garbage_manifest_is_refused(void **state)
{
    static const char *const texts[] = { "", "{", "[]", "{\"format\":1}", "null", "\x7f\x45LF", "{}{}" };
    damaged d;

    (void)state;
    setup(&d);
    for (size_t i = 0; i < VH_ARRAY_LEN(texts); i++) {
        replace_manifest(&d, texts[i]);
        expect_refused(&d, VH_ECORRUPT, "manifest.json");
    }
    assert_int_equal(truncate(file(&d, "manifest.json"), 100 << 20), 0);
    expect_refused(&d, VH_ECORRUPT, "manifest.json: larger than");
    expect_cured_by_removal(&d);
}

static void a_manifest_of_a_newer_version_is_not_called_damaged(void **state)
{
    damaged d;

    (void)state;
    setup(&d);
    replace_manifest(&d, "{\"format\":2,\"everything\":\"else\"}");
    expect_refused(&d, VH_EUNSUPPORTED, "format 2, this version reads 1");
    expect_cured_by_removal(&d);
}

static void a_snapshot_under_the_name_of_another_is_refused(void **state)
{
    damaged d;
    char other[VH_SNAPSHOT_ID], from[256];

    (void)state;
    setup(&d);
    assert_ok(save(d.f.s, 2, d.f.memfd, MEMORY, NULL, other, &d.err), d.err);
    strcpy(from, path_of(&d.f, other, "manifest.json"));
    assert_int_equal(rename(from, file(&d, "manifest.json")), 0);
    expect_refused(&d, VH_ECORRUPT, other);
    assert_ok(vh_snapshots_remove(d.f.s, other, &d.err), d.err);
    expect_cured_by_removal(&d);
}

/* Two keys that begin alike would share an id: the full key decides. */
static void another_key_with_the_same_id_is_an_error(void **state)
{
    damaged d;
    vh__snapshot *snap;

    (void)state;
    setup(&d);
    d.key[VH_DIGEST_TEXT - 2] = d.key[VH_DIGEST_TEXT - 2] == '0' ? '1' : '0';
    assert_int_equal(strlen(d.key), 71);
    assert_int_equal(vh__snapshot_open(d.f.s, d.key, &snap, &d.err), VH_ECORRUPT);
    assert_non_null(strstr(d.err.msg, "of another key"));
    key_of(1, d.key);
    expect_cured_by_removal(&d);
}

static void every_flipped_byte_of_a_manifest_is_refused(void **state)
{
    damaged d;
    struct stat st;
    vh__snapshot *snap;

    (void)state;
    setup(&d);
    assert_int_equal(stat(file(&d, "manifest.json"), &st), 0);
    for (off_t at = 0; at < st.st_size; at++) {
        char was;
        vh_auto_fd int fd = open(file(&d, "manifest.json"), O_RDONLY | O_CLOEXEC);

        assert_int_equal(pread(fd, &was, 1, at), 1);
        if (was == ' ' || was == '\n' || was == '\t')
            continue; /* cJSON takes any control character for white space: harmless */
        flip_byte(file(&d, "manifest.json"), at);
        if (vh__snapshot_open(d.f.s, d.key, &snap, &d.err) == 0)
            fail_msg("flipping byte %d ('%c') of manifest.json was not noticed", (int)at, was);
        flip_byte(file(&d, "manifest.json"), at);
    }
    expect_cured_by_removal(&d);
}

static void verifying_ends_with_its_deadline(void **state)
{
    damaged d;
    vh_call call = VH_CALL_INIT;

    (void)state;
    setup(&d);
    assert_ok(vh_cancel_new(&call.cancel, &d.err), d.err);
    vh_cancel_trigger(call.cancel);
    assert_int_equal(vh_snapshots_verify(d.f.s, d.id, &call, &d.err), VH_ECANCELED);
    vh_cancel_free(call.cancel);
    expect_cured_by_removal(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_truncated_memory_file_is_refused),
        cmocka_unit_test(a_flipped_byte_of_the_vmm_state_is_refused),
        cmocka_unit_test(a_flipped_byte_of_memory_is_found_by_verify),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(a_link_or_a_pipe_in_place_of_a_file_is_refused),
        cmocka_unit_test(a_garbage_manifest_is_refused),
        cmocka_unit_test(a_manifest_of_a_newer_version_is_not_called_damaged),
        cmocka_unit_test(a_snapshot_under_the_name_of_another_is_refused),
        cmocka_unit_test(another_key_with_the_same_id_is_an_error),
        cmocka_unit_test(every_flipped_byte_of_a_manifest_is_refused),
        cmocka_unit_test(verifying_ends_with_its_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
