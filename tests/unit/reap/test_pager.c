/* The pager against memory of this very process: what is touched must read as the memory file does. */
#include "target.h"

#include <pthread.h>

#include "failalloc.h"

enum { PAGES = 2048, THREADS = 2 };

struct rig {
    testenv env;
    int dirfd, memory_fd, uffd;
    char *at;
    vh__regions regions;
    vh__pager *pager;
    vh__wait wait;
};

static int setup(void **state)
{
    static struct rig r;

    r = (struct rig){ .wait = vh__wait_from(NULL, 30000) };
    testenv_init(&r.env);
    r.dirfd = open_dir(&r.env);
    r.memory_fd = memfile_make(&r.env, PAGES);
    r.uffd = -1;
    *state = &r;
    alarm(100); /* a toucher that is never woken must not hang the tests */
    return 0;
}

static void drop_memory(struct rig *r)
{
    vh__pager_free(r->pager);
    r->pager = NULL;
    if (r->at)
        munmap(r->at, (size_t)PAGES * PAGE);
    r->at = NULL;
    vh__fd_close(&r->uffd);
}

static int teardown(void **state)
{
    struct rig *r = *state;

    drop_memory(r);
    vh__fd_close(&r->dirfd);
    vh__fd_close(&r->memory_fd);
    testenv_fini(&r->env);
    alarm(0);
    return 0;
}

static void map_memory(struct rig *r)
{
    r->uffd = userfaultfd_open(UFFD_FEATURE_EVENT_REMOVE);
    assert_true(r->uffd >= 0);
    r->at = map_registered(r->uffd, PAGES, PAGES);
    assert_non_null(r->at);
    r->regions = one_region(r->at, PAGES);
}

static int start_pager(struct rig *r, vh__pager_mode mode, vh__ws_fetch *fetch, vh_error *err)
{
    vh__pager_options o = { .uffd = r->uffd, .memory_fd = r->memory_fd, .memory_size = (uint64_t)PAGES * PAGE,
                            .regions = &r->regions, .mode = mode, .fetch = fetch };
    int rc = vh__pager_start(&o, &r->pager, err);

    if (rc == 0)
        r->uffd = -1; /* taken */
    return rc;
}

static void start(struct rig *r, vh__pager_mode mode, vh__ws_fetch *fetch)
{
    vh_error err = { 0 };

    if (!r->at)
        map_memory(r);
    assert_ok(start_pager(r, mode, fetch, &err), err);
}

static vh__ws_fetch *start_fetch(struct rig *r)
{
    vh__ws_identity id = memfile_id(PAGES);
    vh__ws_fetch *f = NULL;
    vh_error err = { 0 };

    assert_ok(vh__ws_fetch_start(r->dirfd, &id, &f, &err), err);
    return f;
}

static void write_set(struct rig *r, const uint32_t *pages, size_t n)
{
    vh__ws_identity id = memfile_id(PAGES);
    vh_error err = { 0 };

    assert_ok(vh__ws_write(r->dirfd, &id, r->memory_fd, pages, n, NULL, &err), err);
}

/* Counters lag a little behind the page that they count, unless the pager is stopped. */
static vh__pager_stats stats(struct rig *r)
{
    vh__pager_stats s;

    vh__pager_stats_get(r->pager, &s);
    return s;
}

static vh__pager_stats final_stats(struct rig *r)
{
    vh__pager_stop(r->pager);
    return stats(r);
}

static bool page_is_right(const struct rig *r, uint32_t page)
{
    unsigned char want[PAGE];

    memfile_page(page, want);
    return memcmp(r->at + (size_t)page * PAGE, want, PAGE) == 0;
}

static void assert_pages(const struct rig *r, const uint32_t *pages, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!page_is_right(r, pages[i]))
            fail_msg("page %u differs from the memory file", pages[i]);
}

struct toucher {
    pthread_t thread;
    const struct rig *r;
    uint32_t step; /* odd, so that every page is met once, in an order of its own */
    uint32_t wrong;
};

static void *touch_all(void *arg)
{
    struct toucher *t = arg;

    for (uint32_t i = 0; i < PAGES; i++)
        t->wrong += !page_is_right(t->r, i * t->step % PAGES);
    return NULL;
}

static void touch_all_from_threads(const struct rig *r)
{
    struct toucher t[THREADS] = { { .r = r, .step = 1 }, { .r = r, .step = 1021 } };

    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i].thread, NULL, touch_all, &t[i]), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(t[i].thread, NULL);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(t[i].wrong, 0);
}

static void lazy_memory_reads_as_the_file(void **state)
{
    struct rig *r = *state;
    uint32_t *pages = NULL;
    vh__pager_stats s;
    size_t n;

    start(r, VH_PAGER_LAZY, NULL);
    touch_all_from_threads(r);
    s = final_stats(r);
    assert_int_equal(s.served_pages + s.served_zeros, PAGES);
    assert_int_equal(s.served_zeros, PAGES / 7 + (PAGES % 7 > 3));
    assert_true(s.faults >= PAGES);
    assert_true(s.first_fault_ns > 0);
    assert_int_equal(vh__pager_check(r->pager, NULL), 0);
    assert_int_equal(vh__pager_record_take(r->pager, &pages, &n, NULL), VH_ESTATE);
    assert_int_equal(vh__pager_install_wait(r->pager, &r->wait, NULL), VH_ESTATE);
}

static void recording_keeps_the_order_of_first_touch(void **state)
{
    static const uint32_t touched[] = { 900, 3, 2, 1, 900, 17, 2, 1500 };
    static const uint32_t want[] = { 900, 3, 2, 1, 17, 1500 };
    struct rig *r = *state;
    uint32_t *pages = NULL;
    vh_error err = { 0 };
    size_t n;

    start(r, VH_PAGER_RECORD, NULL);
    assert_pages(r, touched, VH_ARRAY_LEN(touched));
    assert_ok(vh__pager_record_take(r->pager, &pages, &n, &err), err);
    assert_int_equal(n, VH_ARRAY_LEN(want));
    assert_memory_equal(pages, want, sizeof(want));
    free(pages);
    assert_pages(r, (const uint32_t[]){ 40 }, 1); /* it goes on serving */
    assert_int_equal(vh__pager_record_take(r->pager, &pages, &n, NULL), VH_ESTATE);
}

static void replay_leaves_nothing_to_demand(void **state)
{
    static const uint32_t touched[] = { 900, 901, 902, 3, 2, 1, 17, 1500, 2047, 0 };
    struct rig *r = *state;
    uint32_t *pages = NULL;
    vh_error err = { 0 };
    vh__pager_stats s;
    size_t n;

    start(r, VH_PAGER_RECORD, NULL);
    assert_pages(r, touched, VH_ARRAY_LEN(touched));
    assert_ok(vh__pager_record_take(r->pager, &pages, &n, &err), err);
    write_set(r, pages, n);
    free(pages);
    drop_memory(r);

    start(r, VH_PAGER_REPLAY, start_fetch(r));
    assert_ok(vh__pager_install_wait(r->pager, &r->wait, &err), err);
    assert_pages(r, touched, VH_ARRAY_LEN(touched));
    s = stats(r);
    assert_int_equal(s.faults, 0);
    assert_int_equal(s.residual, 0);
    assert_int_equal(s.ws_pages, VH_ARRAY_LEN(touched));
    assert_int_equal(s.installed_pages, 7);
    assert_int_equal(s.installed_zeros, 3); /* 3, 17 and 2047 */
    assert_int_equal(s.fetch.bytes, 7 * PAGE);
    assert_true(s.install_end_ns >= s.install_start_ns && s.install_start_ns > 0);

    assert_pages(r, (const uint32_t[]){ 77, 78 }, 2);
    s = stats(r);
    assert_int_equal(s.residual, 2);
    assert_int_equal(s.early, 0);
    assert_ok(vh__pager_record_take(r->pager, &pages, &n, &err), err);
    assert_int_equal(n, 2);
    assert_int_equal(pages[0], 77);
    free(pages);
}

/* Nobody may sleep on a page that the other of the two put in place. */
static void touching_while_installing_wakes_everybody(void **state)
{
    struct rig *r = *state;
    uint32_t pages[PAGES];
    vh_error err = { 0 };

    for (uint32_t i = 0; i < PAGES; i++)
        pages[i] = i;
    write_set(r, pages, PAGES);
    for (size_t round = 0; round < 10; round++) {
        vh__ws_fetch *f = start_fetch(r);
        vh__pager_stats s;

        assert_ok(vh__ws_fetch_join(f, &r->wait, &err), err);
        start(r, VH_PAGER_REPLAY, f);
        touch_all_from_threads(r);
        assert_ok(vh__pager_install_wait(r->pager, &r->wait, &err), err);
        s = final_stats(r);
        assert_int_equal(s.served_pages + s.served_zeros + s.installed_pages + s.installed_zeros, PAGES);
        assert_int_equal(s.early, s.served_pages + s.served_zeros);
        assert_int_equal(s.residual, 0);
        drop_memory(r);
    }
}

static void removed_pages_come_back_as_zeros(void **state)
{
    static const char zeros[PAGE];
    struct rig *r = *state;
    vh__pager_stats s;

    start(r, VH_PAGER_LAZY, NULL);
    assert_pages(r, (const uint32_t[]){ 1, 2, 4 }, 3);
    assert_int_equal(madvise(r->at + PAGE, 2 * PAGE, MADV_DONTNEED), 0);
    assert_memory_equal(r->at + PAGE, zeros, PAGE);
    assert_memory_equal(r->at + 2 * PAGE, zeros, PAGE);
    assert_pages(r, (const uint32_t[]){ 4, 0 }, 2);
    assert_int_equal(madvise(r->at + 8 * PAGE, PAGE, MADV_DONTNEED), 0); /* never touched so far */
    assert_memory_equal(r->at + 8 * PAGE, zeros, PAGE);
    s = final_stats(r);
    assert_int_equal(s.removed_pages, 3);
    assert_int_equal(s.served_zeros, 3);
}

/* A piece of the batch that comes late must not bring back what the target gave away meanwhile. */
static void the_batch_brings_no_removed_page_back(void **state)
{
    static const char zeros[PAGE];
    struct rig *r = *state;
    uint32_t pages[PAGES];
    vh_error err = { 0 };

    for (uint32_t i = 0; i < PAGES; i++)
        pages[i] = i;
    write_set(r, pages, PAGES);
    for (size_t round = 0; round < 40; round++) {
        vh__ws_fetch *f = start_fetch(r);

        assert_ok(vh__ws_fetch_join(f, &r->wait, &err), err);
        start(r, VH_PAGER_REPLAY, f);
        for (uint32_t i = 0; i < PAGES; i += 5)
            assert_int_equal(madvise(r->at + (size_t)i * PAGE, PAGE, MADV_DONTNEED), 0);
        assert_ok(vh__pager_install_wait(r->pager, &r->wait, &err), err);
        for (uint32_t i = 0; i < PAGES; i++)
            if (i % 5 ? !page_is_right(r, i) : memcmp(r->at + (size_t)i * PAGE, zeros, PAGE) != 0)
                fail_msg("round %zu: page %u is wrong", round, i);
        drop_memory(r);
    }
}

static void *give_back_all(void *arg)
{
    const struct rig *r = arg;

    for (size_t round = 0; round < 4; round++)
        for (uint32_t i = 0; i < PAGES; i += 8)
            if (madvise(r->at + (size_t)i * PAGE, 8 * PAGE, MADV_DONTNEED))
                return arg;
    return NULL;
}

/* While an event is unread every installation is refused: who waits for one must be let go to fault again. */
static void faults_among_removals_are_served(void **state)
{
    static const char zeros[PAGE];
    struct rig *r = *state;
    pthread_t thread;
    void *failed;

    start(r, VH_PAGER_LAZY, NULL);
    assert_int_equal(pthread_create(&thread, NULL, give_back_all, r), 0);
    for (uint32_t i = 0; i < 8 * PAGES; i++) {
        uint32_t page = i * 1021 % PAGES;

        if (!page_is_right(r, page) && memcmp(r->at + (size_t)page * PAGE, zeros, PAGE) != 0)
            fail_msg("page %u is neither the file's nor zero", page);
    }
    pthread_join(thread, &failed);
    assert_null(failed);
    for (uint32_t i = 0; i < PAGES; i++)
        assert_memory_equal(r->at + (size_t)i * PAGE, zeros, PAGE);
    assert_int_equal(vh__pager_check(r->pager, NULL), 0);
}

static void regions_may_be_anywhere_in_the_file(void **state)
{
    struct rig *r = *state;
    size_t half = (size_t)PAGES / 2 * PAGE;
    unsigned char want[PAGE];
    vh_error err = { 0 };

    write_set(r, (const uint32_t[]){ PAGES / 2 - 1, PAGES / 2 }, 2); /* one run, two regions */
    map_memory(r);
    r->regions = (vh__regions){ .n = 2, .page_size = PAGE,
                                .v = { { .base = (uintptr_t)r->at, .size = half, .offset = half },
                                       { .base = (uintptr_t)r->at + half, .size = half } } };
    start(r, VH_PAGER_REPLAY, start_fetch(r));
    assert_ok(vh__pager_install_wait(r->pager, &r->wait, &err), err);
    for (uint32_t i = 0; i < PAGES; i++) {
        memfile_page((i + PAGES / 2) % PAGES, want);
        assert_memory_equal(r->at + (size_t)i * PAGE, want, PAGE);
    }
    assert_int_equal(stats(r).installed_pages, 2);
}

/* Stands in for huge pages, which a machine may have none of: everything goes by the regions' page size. */
static void larger_pages_are_brought_whole(void **state)
{
    struct rig *r = *state;

    map_memory(r);
    r->regions.page_size = 4 * PAGE;
    start(r, VH_PAGER_RECORD, NULL);
    assert_pages(r, (const uint32_t[]){ 1, 0, 2, 3, 9 }, 5);
    assert_int_equal(final_stats(r).served_pages, 2);
    assert_int_equal(stats(r).bytes_read, 8 * PAGE);
}

static void a_run_across_two_mappings_is_installed(void **state)
{
    struct rig *r = *state;
    uint32_t pages[100];
    vh_error err = { 0 };

    for (uint32_t i = 0; i < 100; i++)
        pages[i] = i;
    write_set(r, pages, 100);
    map_memory(r);
    assert_int_equal(madvise(r->at + 50 * PAGE, PAGE, MADV_DONTDUMP), 0); /* splits the mapping in three */
    start(r, VH_PAGER_REPLAY, start_fetch(r));
    assert_ok(vh__pager_install_wait(r->pager, &r->wait, &err), err);
    assert_int_equal(stats(r).installed_pages + stats(r).installed_zeros, 100);
    assert_pages(r, pages, 100);
    assert_int_equal(stats(r).faults, 0);
}

static void a_refused_set_is_made_up_for_by_demand(void **state)
{
    struct rig *r = *state;
    vh__ws_identity other = memfile_id(PAGES);
    vh__ws_fetch *f = NULL;
    uint32_t *pages = NULL;
    vh_error err = { 0 };
    size_t n;

    write_set(r, (const uint32_t[]){ 1, 2, 3 }, 3);
    other.snapshot = "another";
    assert_ok(vh__ws_fetch_start(r->dirfd, &other, &f, &err), err);
    start(r, VH_PAGER_REPLAY, f);
    assert_int_equal(vh__pager_install_wait(r->pager, &r->wait, &err), VH_EINVALID);
    assert_non_null(strstr(err.msg, "not of another"));
    assert_pages(r, (const uint32_t[]){ 1, 2, 500 }, 3);
    assert_int_equal(vh__pager_check(r->pager, NULL), 0);
    assert_int_equal(stats(r).residual, 3);
    assert_ok(vh__pager_record_take(r->pager, &pages, &n, &err), err);
    assert_int_equal(n, 3);
    free(pages);
}

/* Changes the last byte of the working set's data. */
static void damage_the_end(struct rig *r)
{
    vh_auto_fd int fd = openat(r->dirfd, VH_WS_FILE, O_RDWR | O_CLOEXEC);
    off_t end = lseek(fd, -1, SEEK_END);
    unsigned char byte;

    assert_int_equal(pread(fd, &byte, 1, end), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, end), 1);
}

/* What was installed before the damage was met is not demanded any more, and yet belongs to the next working set. */
static void a_set_damaged_at_its_end_is_recorded_whole(void **state)
{
    struct rig *r = *state;
    bool seen[PAGES] = { false };
    uint32_t pages[PAGES], *record = NULL;
    vh_error err = { 0 };
    size_t n;

    for (uint32_t i = 0; i < PAGES; i++)
        pages[i] = i;
    write_set(r, pages, PAGES);
    damage_the_end(r);
    start(r, VH_PAGER_REPLAY, start_fetch(r));
    assert_int_equal(vh__pager_install_wait(r->pager, &r->wait, &err), VH_ECORRUPT);
    assert_pages(r, pages, PAGES);
    assert_true(stats(r).installed_pages > 0);
    assert_ok(vh__pager_record_take(r->pager, &record, &n, &err), err);
    assert_int_equal(n, PAGES);
    for (size_t i = 0; i < n; i++)
        seen[record[i]] = true;
    for (size_t i = 0; i < PAGES; i++)
        assert_true(seen[i]);
    free(record);
}

static void stopping_is_idempotent_and_ends_an_installation(void **state)
{
    struct rig *r = *state;
    uint32_t pages[PAGES];

    for (uint32_t i = 0; i < PAGES; i++)
        pages[i] = i;
    write_set(r, pages, PAGES);
    for (size_t round = 0; round < 10; round++) {
        start(r, VH_PAGER_REPLAY, start_fetch(r));
        vh__pager_stop(r->pager);
        vh__pager_stop(r->pager);
        drop_memory(r);
    }
    vh__pager_free(NULL);
}

static void a_short_memory_file_is_refused(void **state)
{
    struct rig *r = *state;
    vh_error err = { 0 };

    map_memory(r);
    assert_int_equal(ftruncate(r->memory_fd, (off_t)(PAGES - 1) * PAGE), 0);
    assert_int_equal(start_pager(r, VH_PAGER_LAZY, NULL, &err), VH_ECORRUPT);
    assert_non_null(strstr(err.msg, "truncated"));
}

static void replay_without_a_fetch_is_refused(void **state)
{
    struct rig *r = *state;

    map_memory(r);
    assert_int_equal(start_pager(r, VH_PAGER_REPLAY, NULL, NULL), VH_EINVALID);
}

static int attempt_start(void *arg)
{
    struct rig *r = arg;
    int rc = start_pager(r, VH_PAGER_RECORD, NULL, NULL);

    vh__pager_free(r->pager);
    r->pager = NULL;
    if (rc == 0)
        r->uffd = userfaultfd_open(0);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    struct rig *r = *state;

    map_memory(r);
    failalloc_sweep(attempt_start, r);
}

int main(void)
{
#define with_memory(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        with_memory(lazy_memory_reads_as_the_file),
        with_memory(recording_keeps_the_order_of_first_touch),
        with_memory(replay_leaves_nothing_to_demand),
        with_memory(touching_while_installing_wakes_everybody),
        with_memory(removed_pages_come_back_as_zeros),
        with_memory(the_batch_brings_no_removed_page_back),
        with_memory(faults_among_removals_are_served),
        with_memory(regions_may_be_anywhere_in_the_file),
        with_memory(larger_pages_are_brought_whole),
        with_memory(a_run_across_two_mappings_is_installed),
        with_memory(a_refused_set_is_made_up_for_by_demand),
        with_memory(a_set_damaged_at_its_end_is_recorded_whole),
        with_memory(stopping_is_idempotent_and_ends_an_installation),
        with_memory(a_short_memory_file_is_refused),
        with_memory(replay_without_a_fetch_is_refused),
        with_memory(every_allocation_may_fail),
    };

    return have_userfaultfd() ? cmocka_run_group_tests(tests, NULL, NULL) : without_userfaultfd();
}
