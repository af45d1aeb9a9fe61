/* Working sets in the catalogue: told, verified, bound to the very saving. */
#include "fixture.h"

#include "reap.h"

typedef struct recorded {
    fixture f;
    char id[VH_SNAPSHOT_ID], key[VH_DIGEST_TEXT];
    vh__snapshot *snap;
    vh_error err;
} recorded;

static void record(recorded *r)
{
    static const uint32_t pages[] = { 1, 2, 5, MEMORY / PAGE - 1 };
    vh__ws_identity id = { .memory_size = MEMORY, .page_size = PAGE };

    assert_ok(vh__snapshot_open(r->f.s, r->key, &r->snap, &r->err), r->err);
    id.snapshot = vh__snapshot_ws_owner(r->snap);
    assert_false(vh__snapshot_has_ws(r->snap));
    assert_ok(vh__ws_write(vh__snapshot_dir_fd(r->snap), &id, vh__snapshot_memory_fd(r->snap), pages,
                           VH_ARRAY_LEN(pages), NULL, &r->err), r->err);
    assert_true(vh__snapshot_has_ws(r->snap));
    vh__snapshot_close(r->snap);
}

static void setup(recorded *r)
{
    memset(r, 0, sizeof(*r));
    fixture_init(&r->f);
    key_of(1, r->key);
    assert_ok(save(r->f.s, 1, r->f.memfd, MEMORY, "hello", r->id, &r->err), r->err);
    record(r);
}

static uint64_t pages_told(recorded *r)
{
    vh_snapshot_info info = VH_SNAPSHOT_INFO_INIT;

    assert_ok(vh_snapshots_inspect(r->f.s, "hello", &info, &r->err), r->err);
    return info.ws_pages;
}

static void a_recorded_working_set_is_told_and_verified(void **state)
{
    recorded r;

    (void)state;
    setup(&r);
    assert_int_equal(pages_told(&r), 4);
    assert_ok(vh_snapshots_verify(r.f.s, "hello", NULL, &r.err), r.err);
    fixture_fini(&r.f);
}

static void a_damaged_working_set_is_found_and_the_snapshot_still_opens(void **state)
{
    static const char *const files[] = { VH_WS_FILE, VH_WS_INDEX_FILE };

    (void)state;
    for (size_t i = 0; i < 2 * VH_ARRAY_LEN(files); i++) {
        const char *name = files[i / 2];
        recorded r;

        setup(&r);
        if (i % 2)
            flip_byte(path_of(&r.f, r.id, name), 100);
        else
            assert_int_equal(truncate(path_of(&r.f, r.id, name), 50), 0);
        assert_int_equal(vh_snapshots_verify(r.f.s, "hello", NULL, &r.err), VH_ECORRUPT);
        assert_non_null(strstr(r.err.msg, "ws"));
        assert_ok(vh__snapshot_open(r.f.s, r.key, &r.snap, &r.err), r.err);
        vh__snapshot_close(r.snap);
        fixture_fini(&r.f);
    }
}

static void an_index_without_data_is_found(void **state)
{
    recorded r;

    (void)state;
    setup(&r);
    assert_int_equal(unlink(path_of(&r.f, r.id, VH_WS_FILE)), 0);
    assert_int_equal(vh_snapshots_verify(r.f.s, "hello", NULL, &r.err), VH_ECORRUPT);
    fixture_fini(&r.f);
}

static void the_working_set_of_an_older_saving_is_not_taken_for_its_own(void **state)
{
    static const char *const files[] = { VH_WS_FILE, VH_WS_INDEX_FILE };
    recorded r;
    char from[256];

    (void)state;
    setup(&r);
    assert_ok(vh__snapshot_quarantine(r.f.s, r.id, "test", &r.err), r.err);
    assert_ok(save(r.f.s, 1, r.f.memfd, MEMORY, "hello", r.id, &r.err), r.err);
    for (size_t i = 0; i < VH_ARRAY_LEN(files); i++) {
        snprintf(from, sizeof(from), "%s/state/snapshots/bad-%s/%s", r.f.t.dir, r.id, files[i]);
        assert_int_equal(rename(from, path_of(&r.f, r.id, files[i])), 0);
    }
    assert_int_equal(pages_told(&r), 0);
    assert_int_equal(vh_snapshots_verify(r.f.s, "hello", NULL, &r.err), VH_ECORRUPT);
    fixture_fini(&r.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recorded_working_set_is_told_and_verified),
        cmocka_unit_test(a_damaged_working_set_is_found_and_the_snapshot_still_opens),
        cmocka_unit_test(an_index_without_data_is_found),
        cmocka_unit_test(the_working_set_of_an_older_saving_is_not_taken_for_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
