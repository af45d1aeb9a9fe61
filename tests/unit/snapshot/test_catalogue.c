/* The catalogue: saving, opening, listing, names, labels, removing, setting aside. */
#include "fixture.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include "failalloc.h"

static void a_saved_snapshot_opens_with_what_was_saved(void **state)
{
    fixture f;
    char id[VH_SNAPSHOT_ID], key[VH_DIGEST_TEXT], devices[16] = "";
    vh__snapshot *snap;
    vh_error err = { 0 };

    (void)state;
    fixture_init(&f);
    assert_int_equal(vh__snapshot_open(f.s, key_of(1, key), &snap, &err), VH_ENOTFOUND);
    assert_ok(save(f.s, 1, f.memfd, MEMORY, NULL, id, &err), err);
    assert_ok(vh__snapshot_open(f.s, key, &snap, &err), err);
    assert_string_equal(vh__snapshot_id(snap), id);
    assert_memory_equal(key + strlen("sha256:"), id, strlen(id));
    assert_string_equal(vh__snapshot_key_text(snap), key);
    assert_int_equal(vh__snapshot_memory_bytes(snap), MEMORY);
    assert_string_equal(vh__snapshot_memory_path(snap), path_of(&f, id, "memory"));
    assert_int_equal(pread(vh__snapshot_vmstate_fd(snap), devices, sizeof(devices), 0), 7);
    assert_string_equal(devices, "devices");
    assert_null(vh__snapshot_machine(snap));
    assert_false(vh__snapshot_has_ws(snap));
    assert_int_equal(strlen(vh__snapshot_ws_owner(snap)), 64);
    vh__snapshot_close(snap);
    assert_ok(vh_snapshots_verify(f.s, id, NULL, &err), err);
    assert_int_equal(count_entries(&f), 1);
    fixture_fini(&f);
}

/* Pages of the memory file that are in the page cache. */
static size_t cached_pages(const fixture *f, const char *id)
{
    vh_auto_fd int fd = open(path_of(f, id, "memory"), O_RDONLY | O_CLOEXEC);
    unsigned char in_core[MEMORY / PAGE];
    void *at = mmap(NULL, MEMORY, PROT_READ, MAP_SHARED, fd, 0);
    size_t n = 0;

    assert_true(at != MAP_FAILED);
    assert_int_equal(mincore(at, MEMORY, in_core), 0);
    munmap(at, MEMORY);
    for (size_t i = 0; i < VH_ARRAY_LEN(in_core); i++)
        n += in_core[i] & 1;
    return n;
}

static void an_evicted_snapshot_is_not_in_the_page_cache(void **state)
{
    fixture f;
    char id[VH_SNAPSHOT_ID];
    struct statfs fs;
    vh_error err = { 0 };

    (void)state;
    fixture_init(&f);
    assert_ok(save(f.s, 1, f.memfd, MEMORY, NULL, id, &err), err);
    assert_ok(vh_snapshots_verify(f.s, id, NULL, &err), err);
    assert_true(cached_pages(&f, id) > 0);
    assert_ok(vh_snapshots_evict(f.s, id, &err), err);
    assert_int_equal(statfs(f.t.dir, &fs), 0);
    if (fs.f_type != TMPFS_MAGIC) /* there the page cache is all there is */
        assert_int_equal(cached_pages(&f, id), 0);
    assert_int_equal(vh_snapshots_evict(f.s, "0123456789abcdef0123", &err), VH_ENOTFOUND);
    fixture_fini(&f);
}

static void looking_for_a_catalogue_makes_none(void **state)
{
    vh_snapshots *s = NULL;
    vh_error err = { 0 };
    testenv t;

    (void)state;
    testenv_init(&t);
    assert_int_equal(vh_snapshots_find(t.env, &s, &err), VH_ENOTFOUND);
    assert_null(s);
    assert_int_equal(access(vh_env_state_dir(t.env), F_OK), -1);
    assert_ok(vh_snapshots_new(t.env, &s, &err), err);
    vh_snapshots_free(s);
    assert_ok(vh_snapshots_find(t.env, &s, &err), err);
    vh_snapshots_free(s);
    testenv_fini(&t);
}

static void the_memory_file_equals_the_guest_and_keeps_its_holes(void **state)
{
    fixture f;
    char id[VH_SNAPSHOT_ID];
    unsigned char *guest, *saved;
    vh_snapshot_info info = VH_SNAPSHOT_INFO_INIT;
    vh_error err = { 0 };
    int fd;

    (void)state;
    fixture_init(&f);
    assert_ok(save(f.s, 1, f.memfd, MEMORY, NULL, id, &err), err);
    /* before it is mapped: a tmpfs fills the holes that are looked at */
    assert_ok(vh_snapshots_inspect(f.s, id, &info, &err), err);
    assert_int_equal(info.memory_bytes, MEMORY);
    assert_in_range(info.memory_disk_bytes, 4 * PAGE, 6 * PAGE); /* four pages are not zero */
    fd = open(path_of(&f, id, "memory"), O_RDONLY | O_CLOEXEC);
    guest = mmap(NULL, MEMORY, PROT_READ, MAP_SHARED, f.memfd, 0);
    saved = mmap(NULL, MEMORY, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(guest != MAP_FAILED && saved != MAP_FAILED);
    assert_memory_equal(guest, saved, MEMORY);
    munmap(guest, MEMORY);
    munmap(saved, MEMORY);
    close(fd);
    fixture_fini(&f);
}

static void the_key_depends_on_values_not_on_their_order(void **state)
{
    static const char *const same[] = { "{\"a\":1,\"b\":{\"x\":[1,2],\"y\":null}}",
                                        "{ \"b\": {\"y\":null, \"x\":[1, 2]}, \"a\": 1.0 }" };
    static const char *const others[] = { "{\"a\":1,\"b\":{\"x\":[2,1],\"y\":null}}", "{\"a\":\"1\"}", "{\"a\":1}" };
    char first[VH_DIGEST_TEXT], key[VH_DIGEST_TEXT];
    vh_error err = { 0 };
    cJSON *j = cJSON_Parse(same[0]);

    (void)state;
    assert_ok(vh__snapshot_key(j, first, &err), err);
    cJSON_Delete(j);
    j = cJSON_Parse(same[1]);
    assert_ok(vh__snapshot_key(j, key, &err), err);
    cJSON_Delete(j);
    assert_string_equal(first, key);
    for (size_t i = 0; i < VH_ARRAY_LEN(others); i++) {
        j = cJSON_Parse(others[i]);
        assert_ok(vh__snapshot_key(j, key, &err), err);
        cJSON_Delete(j);
        assert_string_not_equal(first, key);
    }
    assert_int_equal(vh__snapshot_key(NULL, key, &err), VH_EINVALID);
}

static void a_label_moves_to_the_snapshot_that_got_it_last(void **state)
{
    fixture f;
    char one[VH_SNAPSHOT_ID], two[VH_SNAPSHOT_ID];
    vh_snapshot_info info = VH_SNAPSHOT_INFO_INIT;
    vh_error err = { 0 };

    (void)state;
    fixture_init(&f);
    assert_ok(save(f.s, 1, f.memfd, MEMORY, "hello", one, &err), err);
    assert_ok(save(f.s, 2, f.memfd, MEMORY, "hello", two, &err), err);
    assert_ok(vh_snapshots_label(f.s, two, "a.second_one-2", &err), err);
    assert_ok(vh_snapshots_inspect(f.s, "hello", &info, &err), err);
    assert_string_equal(info.id, two);
    assert_int_equal(info.label_count, 2);
    assert_string_equal(info.labels[0], "a.second_one-2");
    assert_string_equal(info.labels[1], "hello");
    assert_string_equal(info.image, some_facts.image);
    assert_string_equal(info.vmm_version, "7.2.0");
    assert_int_equal(info.boot_us, 3000000);
    assert_int_equal(info.vmstate_bytes, 7);
    assert_true(info.created_ns > 1700000000000000000LL);
    assert_ok(vh_snapshots_inspect(f.s, one, &info, &err), err);
    assert_int_equal(info.label_count, 0);
    fixture_fini(&f);
}

static void names_that_could_mean_something_else_are_no_labels(void **state)
{
    static const char *const bad[] = { "", ".", "..", ".hidden", "a/b", "a b", "0123456789abcdef0123",
                                       "bad-0123456789abcdef0123", "\xc3\xa4", "a\n" };
    fixture f;
    char id[VH_SNAPSHOT_ID], too_long[66];
    vh_error err = { 0 };

    (void)state;
    fixture_init(&f);
    assert_ok(save(f.s, 1, f.memfd, MEMORY, NULL, id, &err), err);
    for (size_t i = 0; i < VH_ARRAY_LEN(bad); i++)
        assert_int_equal(vh_snapshots_label(f.s, id, bad[i], &err), VH_EINVALID);
    memset(too_long, 'x', 65);
    too_long[65] = '\0';
    assert_int_equal(vh_snapshots_label(f.s, id, too_long, &err), VH_EINVALID);
    assert_ok(vh_snapshots_label(f.s, id, too_long + 1, &err), err);
    assert_int_equal(vh_snapshots_label(f.s, "nobody", "x", &err), VH_ENOTFOUND);
    fixture_fini(&f);
}

static void a_reference_is_an_id_a_label_or_the_beginning_of_one_id(void **state)
{
    fixture f;
    char id[VH_SNAPSHOT_ID], prefix[5] = "", other[VH_SNAPSHOT_ID];
    vh_snapshot_info info = VH_SNAPSHOT_INFO_INIT;
    vh_error err = { 0 };

    (void)state;
    fixture_init(&f);
    assert_ok(save(f.s, 1, f.memfd, MEMORY, NULL, id, &err), err);
    memcpy(prefix, id, 4);
    assert_ok(vh_snapshots_inspect(f.s, prefix, &info, &err), err);
    assert_string_equal(info.id, id);
    prefix[3] = '\0';
    assert_int_equal(vh_snapshots_inspect(f.s, prefix, &info, &err), VH_ENOTFOUND);
    memcpy(prefix, id, 4);
    snprintf(other, sizeof(other), "%.4s0000000000000000", id);
    assert_int_equal(mkdir(path_of(&f, other, ""), 0700), 0);
    assert_int_equal(vh_snapshots_inspect(f.s, prefix, &info, &err), VH_EINVALID);
    assert_non_null(strstr(err.msg, "give more digits"));
    assert_int_equal(vh_snapshots_inspect(f.s, "../../etc", &info, &err), VH_ENOTFOUND);
    assert_int_equal(vh_snapshots_inspect(f.s, "", &info, &err), VH_ENOTFOUND);
    info.size = 0;
    assert_int_equal(vh_snapshots_inspect(f.s, id, &info, &err), VH_EINVALID);
    fixture_fini(&f);
}

static void a_link_among_the_labels_that_leads_away_is_no_label(void **state)
{
    fixture f;
    char id[VH_SNAPSHOT_ID];
    vh_snapshot_info info = VH_SNAPSHOT_INFO_INIT;
    vh_error err = { 0 };

    (void)state;
    fixture_init(&f);
    assert_ok(save(f.s, 1, f.memfd, MEMORY, NULL, id, &err), err);
    assert_int_equal(symlink("/etc", path_of(&f, "labels", "evil")), 0);
    assert_int_equal(symlink("../00000000000000000000", path_of(&f, "labels", "stale")), 0);
    assert_int_equal(vh_snapshots_inspect(f.s, "evil", &info, &err), VH_ENOTFOUND);
    assert_int_equal(vh_snapshots_inspect(f.s, "stale", &info, &err), VH_ENOTFOUND);
    assert_ok(vh_snapshots_label(f.s, id, "evil", &err), err); /* taken over, not followed */
    assert_ok(vh_snapshots_inspect(f.s, "evil", &info, &err), err);
    fixture_fini(&f);
}

static void what_is_in_use_is_not_removed(void **state)
{
    fixture f;
    char id[VH_SNAPSHOT_ID], key[VH_DIGEST_TEXT];
    vh__snapshot *a, *b;
    vh_error err = { 0 };

    (void)state;
    fixture_init(&f);
    assert_ok(save(f.s, 1, f.memfd, MEMORY, "hello", id, &err), err);
    assert_ok(vh__snapshot_open(f.s, key_of(1, key), &a, &err), err);
    assert_ok(vh__snapshot_open(f.s, key, &b, &err), err);
    vh__snapshot_close(a);
    assert_int_equal(vh_snapshots_remove(f.s, "hello", &err), VH_ESTATE);
    assert_non_null(strstr(err.msg, id));
    vh__snapshot_close(b);
    assert_ok(vh_snapshots_remove(f.s, "hello", &err), err);
    assert_int_equal(count_entries(&f), 0);
    assert_int_equal(access(path_of(&f, "labels", "hello"), F_OK), -1);
    assert_int_equal(vh_snapshots_remove(f.s, id, &err), VH_ENOTFOUND);
    fixture_fini(&f);
}

static bool is_quarantined(const vh_snapshot_info *info, void *arg)
{
    *(bool *)arg = info->quarantined && info->problem[0];
    return true;
}

static void a_snapshot_set_aside_is_made_anew_while_its_users_go_on(void **state)
{
    fixture f;
    char id[VH_SNAPSHOT_ID], bad[VH_SNAPSHOT_ID + 8], key[VH_DIGEST_TEXT], byte;
    bool quarantined = false;
    vh__snapshot *user, *none;
    vh_error err = { 0 };

    (void)state;
    fixture_init(&f);
    for (int round = 0; round < 2; round++) {
        assert_ok(save(f.s, 1, f.memfd, MEMORY, "hello", id, &err), err);
        assert_ok(vh__snapshot_open(f.s, key_of(1, key), &user, &err), err);
        assert_ok(vh__snapshot_quarantine(f.s, id, "the guest did not answer", &err), err);
        assert_int_equal(pread(vh__snapshot_memory_fd(user), &byte, 1, PAGE), 1);
        assert_int_equal(vh__snapshot_open(f.s, key, &none, &err), VH_ENOTFOUND);
        assert_int_equal(vh_snapshots_verify(f.s, "hello", NULL, &err), VH_ENOTFOUND);
        vh__snapshot_close(user);
    }
    assert_ok(vh_snapshots_list(f.s, is_quarantined, &quarantined, &err), err);
    assert_true(quarantined);
    snprintf(bad, sizeof(bad), "bad-%s", id);
    assert_ok(vh_snapshots_verify(f.s, bad, NULL, &err), err);
    assert_ok(vh_snapshots_remove(f.s, bad, &err), err);
    assert_ok(vh__snapshot_quarantine(f.s, id, "again", &err), err); /* there is none: fine */
    assert_int_equal(vh__snapshot_quarantine(f.s, "../x", "why", &err), VH_EINVALID);
    assert_int_equal(count_entries(&f), 0);
    fixture_fini(&f);
}

static void one_recorder_of_the_working_set_at_a_time(void **state)
{
    fixture f;
    char id[VH_SNAPSHOT_ID], key[VH_DIGEST_TEXT];
    vh__snapshot *a, *b;
    vh_error err = { 0 };

    (void)state;
    fixture_init(&f);
    assert_ok(save(f.s, 1, f.memfd, MEMORY, NULL, id, &err), err);
    assert_ok(vh__snapshot_open(f.s, key_of(1, key), &a, &err), err);
    assert_ok(vh__snapshot_open(f.s, key, &b, &err), err);
    assert_ok(vh__snapshot_ws_lock(a, &err), err);
    assert_int_equal(vh__snapshot_ws_lock(b, &err), VH_ESTATE);
    assert_int_equal(vh__snapshot_ws_lock(a, &err), VH_ESTATE);
    vh__snapshot_ws_unlock(a);
    assert_ok(vh__snapshot_ws_lock(b, &err), err);
    vh__snapshot_close(b);
    assert_ok(vh__snapshot_ws_lock(a, &err), err);
    vh__snapshot_close(a);
    fixture_fini(&f);
}

static void the_manifest_is_given_as_text_with_the_makers_machine(void **state)
{
    fixture f;
    char id[VH_SNAPSHOT_ID], key[VH_DIGEST_TEXT];
    vh__snapshot_facts facts = some_facts;
    vh__snapshot_draft *d;
    vh__snapshot *snap;
    vh__wait w = vh__wait_from(NULL, 20000);
    vh_error err = { 0 };
    cJSON *machine = cJSON_Parse("{\"type\":\"microvm\"}"), *json;
    char *text;

    (void)state;
    fixture_init(&f);
    facts.machine = machine;
    assert_ok(begin_within(f.s, 1, false, 1000, &d, &err), err);
    assert_int_equal(pwrite(vh__snapshot_draft_vmstate_fd(d), "x", 1, 0), 1);
    assert_ok(vh__snapshot_draft_save_memory(d, f.memfd, MEMORY, &w, &err), err);
    assert_ok(vh__snapshot_draft_publish(d, &facts, NULL, id, &err), err);
    assert_int_equal(vh__snapshot_draft_publish(d, &facts, NULL, id, &err), VH_ESTATE);
    vh__snapshot_draft_abort(d);
    cJSON_Delete(machine);
    assert_ok(vh_snapshots_manifest(f.s, id, &text, &err), err);
    json = cJSON_Parse(text);
    assert_string_equal(cJSON_GetObjectItem(json, "key")->valuestring, key_of(1, key));
    cJSON_Delete(json);
    free(text);
    assert_ok(vh__snapshot_open(f.s, key, &snap, &err), err);
    assert_string_equal(cJSON_GetObjectItem(vh__snapshot_machine(snap), "type")->valuestring, "microvm");
    vh__snapshot_close(snap);
    fixture_fini(&f);
}

static void a_catalogue_that_others_can_write_is_refused(void **state)
{
    fixture f;
    vh_snapshots *s;
    vh_error err = { 0 };

    (void)state;
    fixture_init(&f);
    assert_int_equal(chmod(path_of(&f, "", ""), 0777), 0);
    assert_int_equal(vh_snapshots_new(f.t.env, &s, &err), VH_ESTATE);
    assert_non_null(strstr(err.msg, "chmod 700"));
    fixture_fini(&f);
}

static int attempt_new(void *arg)
{
    vh_snapshots *s = NULL;
    int rc = vh_snapshots_new(((fixture *)arg)->t.env, &s, NULL);

    assert_true((rc == 0) == (s != NULL));
    vh_snapshots_free(s);
    return rc;
}

static int attempt_save(void *arg)
{
    static int n;
    fixture *f = arg;
    char id[VH_SNAPSHOT_ID];

    return save(f->s, n++, f->memfd, MEMORY, "hello", id, NULL);
}

static int attempt_read(void *arg)
{
    fixture *f = arg;
    vh_snapshot_info info = VH_SNAPSHOT_INFO_INIT;
    vh__snapshot *snap = NULL;
    char key[VH_DIGEST_TEXT] = "", *text = NULL;
    cJSON *j = identity(1000);
    int n = 0, rc = vh__snapshot_key(j, key, NULL);

    cJSON_Delete(j);
    if (rc == 0)
        rc = vh__snapshot_open(f->s, key, &snap, NULL);
    vh__snapshot_close(snap);
    if (rc == 0)
        rc = vh_snapshots_list(f->s, count_info, &n, NULL);
    if (rc == 0)
        rc = vh_snapshots_inspect(f->s, "hello", &info, NULL);
    if (rc == 0)
        rc = vh_snapshots_manifest(f->s, "hello", &text, NULL);
    free(text);
    return rc ? rc : vh_snapshots_verify(f->s, "hello", NULL, NULL);
}

static void every_failing_allocation_is_an_error_that_leaves_nothing(void **state)
{
    fixture f;
    char id[VH_SNAPSHOT_ID];
    vh_error err = { 0 };

    (void)state;
    fixture_init(&f);
    failalloc_sweep(attempt_new, &f);
    failalloc_sweep(attempt_save, &f);
    assert_int_equal(count_entries(&f), 1); /* of the undisturbed run */
    assert_ok(save(f.s, 1000, f.memfd, MEMORY, "hello", id, &err), err);
    failalloc_sweep(attempt_read, &f);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looking_for_a_catalogue_makes_none),
        cmocka_unit_test(a_saved_snapshot_opens_with_what_was_saved),
        cmocka_unit_test(an_evicted_snapshot_is_not_in_the_page_cache),
        cmocka_unit_test(the_memory_file_equals_the_guest_and_keeps_its_holes),
        cmocka_unit_test(the_key_depends_on_values_not_on_their_order),
        cmocka_unit_test(a_label_moves_to_the_snapshot_that_got_it_last),
        cmocka_unit_test(names_that_could_mean_something_else_are_no_labels),
        cmocka_unit_test(a_reference_is_an_id_a_label_or_the_beginning_of_one_id),
        cmocka_unit_test(a_link_among_the_labels_that_leads_away_is_no_label),
        cmocka_unit_test(what_is_in_use_is_not_removed),
        cmocka_unit_test(a_snapshot_set_aside_is_made_anew_while_its_users_go_on),
        cmocka_unit_test(one_recorder_of_the_working_set_at_a_time),
        cmocka_unit_test(the_manifest_is_given_as_text_with_the_makers_machine),
        cmocka_unit_test(a_catalogue_that_others_can_write_is_refused),
        cmocka_unit_test(every_failing_allocation_is_an_error_that_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
