/* Working sets on disk: what is written is what is read, and nothing else is ever taken for it. */
#include "memfile.h"

#include <dirent.h>
#include <sys/stat.h>

#include "failalloc.h"

enum { PAGES = 64, MANY = 400 }; /* MANY make several pieces */

struct set {
    testenv env;
    int dirfd, memory_fd;
    vh__ws_identity id;
};

static int setup(void **state)
{
    static struct set s;

    testenv_init(&s.env);
    s.dirfd = open_dir(&s.env);
    s.memory_fd = memfile_make(&s.env, PAGES);
    s.id = memfile_id(PAGES);
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    struct set *s = *state;

    vh__fd_close(&s->dirfd);
    vh__fd_close(&s->memory_fd);
    testenv_fini(&s->env);
    return 0;
}

static void write_set(struct set *s, const uint32_t *pages, size_t n, vh__ws_info *info)
{
    vh_error err = { 0 };

    assert_ok(vh__ws_write(s->dirfd, &s->id, s->memory_fd, pages, n, info, &err), err);
}

/* Start and join; |*f| is to be freed if 0 is returned. */
static int fetch_set(struct set *s, const vh__ws_identity *id, vh__ws_fetch **out, vh_error *err)
{
    vh__wait w = vh__wait_from(NULL, 10000);
    vh__ws_fetch *f = NULL;
    int rc = vh__ws_fetch_start(s->dirfd, id, &f, err);

    if (rc)
        return rc;
    rc = vh__ws_fetch_join(f, &w, err);
    assert_int_equal(vh__ws_fetch_join(f, &w, NULL), rc); /* it stays so */
    if (rc)
        vh__ws_fetch_free(f);
    else
        *out = f;
    return rc;
}

static int fetch_fails(struct set *s)
{
    vh__ws_fetch *f = NULL;
    int rc = fetch_set(s, &s->id, &f, NULL);

    assert_int_not_equal(rc, 0);
    return rc;
}

/* Changes one byte of a file; a negative offset counts from its end. */
static void flip(struct set *s, const char *name, off_t off)
{
    vh_auto_fd int fd = openat(s->dirfd, name, O_RDWR | O_CLOEXEC);
    unsigned char byte;

    assert_true(fd >= 0);
    if (off < 0)
        off += lseek(fd, 0, SEEK_END);
    assert_int_equal(pread(fd, &byte, 1, off), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, off), 1);
}

static void pages_are_sorted_into_runs(void **state)
{
    static const uint32_t pages[] = { 5, 20, 2, 1, 6, 5, 21, 3, 4, 2 }; /* 3 is zero */
    struct set *s = *state;
    const vh__ws_index *x;
    unsigned char want[PAGE];
    vh__ws_fetch_stats stats;
    vh__ws_fetch *f = NULL;
    vh_error err = { 0 };
    vh__ws_info info;

    write_set(s, pages, VH_ARRAY_LEN(pages), &info);
    assert_int_equal(info.pages, 8);
    assert_int_equal(info.zero_pages, 1);
    assert_int_equal(info.runs, 4);
    assert_int_equal(info.data_bytes, 7 * PAGE);
    assert_ok(fetch_set(s, &s->id, &f, &err), err);
    x = vh__ws_fetch_index(f);
    assert_int_equal(x->n, 4);
    assert_true(x->runs[0].page == 1 && x->runs[0].count == 2 && !x->runs[0].zero);
    assert_true(x->runs[1].page == 3 && x->runs[1].count == 1 && x->runs[1].zero);
    assert_true(x->runs[2].page == 4 && x->runs[2].count == 3 && !x->runs[2].zero);
    assert_true(x->runs[3].page == 20 && x->runs[3].count == 2 && !x->runs[3].zero);
    for (uint32_t i = 0; i < 7; i++) {
        memfile_page((const uint32_t[]){ 1, 2, 4, 5, 6, 20, 21 }[i], want);
        assert_memory_equal((const char *)vh__ws_fetch_data(f) + i * PAGE, want, PAGE);
    }
    vh__ws_fetch_stats_get(f, &stats);
    assert_int_equal(stats.bytes, 7 * PAGE);
    assert_true(stats.end_ns >= stats.start_ns);
    vh__ws_fetch_free(f);
}

static void what_is_needed_first_comes_first(void **state)
{
    static const uint32_t pages[] = { 33, 2, 34, 1, 50 }, order[] = { 33, 34, 1, 2, 50 };
    struct set *s = *state;
    const vh__ws_index *x;
    unsigned char want[PAGE];
    vh__ws_fetch *f = NULL;
    vh_error err = { 0 };

    write_set(s, pages, VH_ARRAY_LEN(pages), NULL);
    assert_ok(fetch_set(s, &s->id, &f, &err), err);
    x = vh__ws_fetch_index(f);
    assert_int_equal(x->n, 3);
    assert_true(x->runs[0].page == 33 && x->runs[0].count == 2);
    assert_true(x->runs[1].page == 1 && x->runs[1].count == 2);
    assert_true(x->runs[2].page == 50 && x->runs[2].count == 1);
    for (uint32_t i = 0; i < VH_ARRAY_LEN(order); i++) {
        memfile_page(order[i], want);
        assert_memory_equal((const char *)vh__ws_fetch_data(f) + i * PAGE, want, PAGE);
    }
    vh__ws_fetch_free(f);
}

/* Starts the fetch of a larger set, after damage to one byte of its data; 0: none. Its first page is page 0. */
static vh__ws_fetch *fetch_many(struct set *s, off_t damage_at)
{
    vh_auto_fd int memory = memfile_make(&s->env, MANY);
    uint32_t pages[MANY];
    vh__ws_fetch *f = NULL;
    vh_error err = { 0 };

    s->id = memfile_id(MANY);
    for (uint32_t i = 0; i < MANY; i++)
        pages[i] = i;
    assert_ok(vh__ws_write(s->dirfd, &s->id, memory, pages, MANY, NULL, &err), err);
    if (damage_at)
        flip(s, VH_WS_FILE, damage_at);
    assert_ok(vh__ws_fetch_start(s->dirfd, &s->id, &f, &err), err);
    return f;
}

static void pieces_may_be_used_while_the_rest_is_read(void **state)
{
    vh__wait w = vh__wait_from(NULL, 10000);
    vh__ws_fetch *f = fetch_many(*state, 0);
    unsigned char want[PAGE];
    vh_error err = { 0 };

    assert_ok(vh__ws_fetch_await(f, 0, &w, &err), err);
    assert_true(vh__ws_fetch_index(f)->npieces > 1);
    assert_ok(vh__ws_fetch_await(f, PAGE, &w, &err), err);
    memfile_page(0, want);
    assert_memory_equal(vh__ws_fetch_data(f), want, PAGE);
    assert_ok(vh__ws_fetch_await(f, vh__ws_fetch_index(f)->data_bytes, &w, &err), err);
    assert_ok(vh__ws_fetch_join(f, &w, &err), err);
    vh__ws_fetch_free(f);
}

static void a_damaged_piece_is_never_handed_on(void **state)
{
    vh__wait w = vh__wait_from(NULL, 10000);
    vh__ws_fetch *f = fetch_many(*state, -1); /* the last byte of the last piece */

    assert_int_equal(vh__ws_fetch_await(f, (MANY - 1) * PAGE, &w, NULL), VH_ECORRUPT);
    assert_int_equal(vh__ws_fetch_join(f, &w, NULL), VH_ECORRUPT);
    vh__ws_fetch_free(f);
}

static void the_whole_memory_makes_one_set(void **state)
{
    struct set *s = *state;
    uint32_t pages[PAGES];
    vh__ws_fetch *f = NULL;
    vh_error err = { 0 };
    vh__ws_info info;

    for (uint32_t i = 0; i < PAGES; i++)
        pages[i] = PAGES - 1 - i;
    write_set(s, pages, PAGES, &info);
    assert_int_equal(info.pages, PAGES);
    assert_int_equal(info.zero_pages, 9);
    assert_int_equal(info.runs, 19);
    assert_ok(fetch_set(s, &s->id, &f, &err), err);
    vh__ws_fetch_free(f);
}

static void zero_pages_alone_need_no_data(void **state)
{
    struct set *s = *state;
    vh__ws_fetch *f = NULL;
    vh_error err = { 0 };
    struct stat st;

    write_set(s, (const uint32_t[]){ 3, 10, 17 }, 3, NULL);
    assert_int_equal(fstatat(s->dirfd, VH_WS_FILE, &st, 0), 0);
    assert_int_equal(st.st_size, 0);
    assert_ok(fetch_set(s, &s->id, &f, &err), err);
    assert_int_equal(vh__ws_fetch_index(f)->n, 3);
    vh__ws_fetch_free(f);
}

static void nothing_recorded_is_told_apart(void **state)
{
    assert_int_equal(fetch_fails(*state), -ENOENT);
}

static void a_set_of_another_snapshot_is_refused(void **state)
{
    struct set *s = *state;
    vh__ws_identity other = s->id;
    vh__ws_fetch *f = NULL;
    vh_error err = { 0 };

    write_set(s, (const uint32_t[]){ 1, 2 }, 2, NULL);
    other.snapshot = "sha256-1235";
    assert_int_equal(fetch_set(s, &other, &f, &err), VH_EINVALID);
    assert_non_null(strstr(err.msg, "sha256-1234, not of sha256-1235"));
    other = s->id;
    other.memory_size += PAGE;
    assert_int_equal(fetch_set(s, &other, &f, NULL), VH_EINVALID);
    other = s->id;
    other.page_size = 2 * PAGE;
    assert_int_equal(fetch_set(s, &other, &f, NULL), VH_EINVALID);
}

static void any_flipped_byte_is_noticed(void **state)
{
    struct set *s = *state;
    struct stat st;

    write_set(s, (const uint32_t[]){ 1, 2, 9 }, 3, NULL);
    assert_int_equal(fstatat(s->dirfd, VH_WS_INDEX_FILE, &st, 0), 0);
    for (off_t i = 0; i < st.st_size; i++) {
        flip(s, VH_WS_INDEX_FILE, i);
        assert_int_equal(fetch_fails(s), i / 4 == 2 ? VH_EUNSUPPORTED : VH_ECORRUPT); /* 8..11: version */
        flip(s, VH_WS_INDEX_FILE, i);
    }
    flip(s, VH_WS_FILE, 0);
    assert_int_equal(fetch_fails(s), VH_ECORRUPT);
    flip(s, VH_WS_FILE, 0);
    flip(s, VH_WS_FILE, -1);
    assert_int_equal(fetch_fails(s), VH_ECORRUPT);
}

static void cut_files_are_noticed(void **state)
{
    struct set *s = *state;
    vh_auto_fd int data = -1, index = -1;

    write_set(s, (const uint32_t[]){ 1, 2, 9 }, 3, NULL);
    data = openat(s->dirfd, VH_WS_FILE, O_RDWR | O_CLOEXEC);
    index = openat(s->dirfd, VH_WS_INDEX_FILE, O_RDWR | O_CLOEXEC);
    assert_int_equal(ftruncate(data, 2 * PAGE), 0);
    assert_int_equal(fetch_fails(s), VH_ECORRUPT);
    assert_int_equal(ftruncate(data, 3 * PAGE), 0); /* the right size again, with zeros at its end */
    assert_int_equal(fetch_fails(s), VH_ECORRUPT);
    assert_int_equal(ftruncate(index, 150), 0);
    assert_int_equal(fetch_fails(s), VH_ECORRUPT);
    assert_int_equal(ftruncate(index, 0), 0);
    assert_int_equal(fetch_fails(s), VH_ECORRUPT);
    assert_int_equal(ftruncate(index, 1ll << 40), 0);
    assert_int_equal(fetch_fails(s), VH_ELIMIT);
}

/* As after a crash between the two renames. */
static void an_old_index_beside_new_data_is_noticed(void **state)
{
    struct set *s = *state;

    write_set(s, (const uint32_t[]){ 1, 2 }, 2, NULL);
    assert_int_equal(renameat(s->dirfd, VH_WS_INDEX_FILE, s->dirfd, "old"), 0);
    write_set(s, (const uint32_t[]){ 4, 5 }, 2, NULL);
    assert_int_equal(renameat(s->dirfd, "old", s->dirfd, VH_WS_INDEX_FILE), 0);
    assert_int_equal(fetch_fails(s), VH_ECORRUPT);
}

static size_t count_files(struct set *s)
{
    vh_auto_dir DIR *d = opendir(s->env.dir);
    size_t n = 0;

    while (readdir(d))
        n++;
    return n;
}

static void what_cannot_be_written_leaves_nothing_behind(void **state)
{
    static const char too_long[VH_WS_SNAPSHOT_MAX + 2] = { [0 ... VH_WS_SNAPSHOT_MAX] = 'x' };
    struct set *s = *state;
    vh__ws_identity bad = s->id;
    size_t files = count_files(s);
    const uint32_t page = 1, beyond = PAGES;

    assert_int_equal(vh__ws_write(s->dirfd, &s->id, s->memory_fd, &page, 0, NULL, NULL), VH_EINVALID);
    assert_int_equal(vh__ws_write(s->dirfd, &s->id, s->memory_fd, &beyond, 1, NULL, NULL), VH_EINVALID);
    bad.snapshot = "";
    assert_int_equal(vh__ws_write(s->dirfd, &bad, s->memory_fd, &page, 1, NULL, NULL), VH_EINVALID);
    bad.snapshot = too_long;
    assert_int_equal(vh__ws_write(s->dirfd, &bad, s->memory_fd, &page, 1, NULL, NULL), VH_EINVALID);
    bad = s->id;
    bad.page_size = 3000;
    assert_int_equal(vh__ws_write(s->dirfd, &bad, s->memory_fd, &page, 1, NULL, NULL), VH_EINVALID);
    assert_int_equal(ftruncate(s->memory_fd, PAGE), 0);
    assert_int_equal(vh__ws_write(s->dirfd, &s->id, s->memory_fd, &page, 1, NULL, NULL), VH_ECORRUPT);
    assert_int_equal(count_files(s), files);
}

static void a_longest_snapshot_id_fits(void **state)
{
    struct set *s = *state;
    char id[VH_WS_SNAPSHOT_MAX + 1];
    vh__ws_fetch *f = NULL;
    vh_error err = { 0 };

    memset(id, 'y', VH_WS_SNAPSHOT_MAX);
    id[VH_WS_SNAPSHOT_MAX] = '\0';
    s->id.snapshot = id;
    write_set(s, (const uint32_t[]){ 1 }, 1, NULL);
    assert_ok(fetch_set(s, &s->id, &f, &err), err);
    vh__ws_fetch_free(f);
}

static void a_fetch_may_be_dropped_at_any_time(void **state)
{
    struct set *s = *state;
    vh_error err = { 0 };

    write_set(s, (const uint32_t[]){ 1, 2, 9 }, 3, NULL);
    for (size_t i = 0; i < 20; i++) {
        vh__ws_fetch *f;

        assert_ok(vh__ws_fetch_start(s->dirfd, &s->id, &f, &err), err);
        vh__ws_fetch_free(f);
    }
    vh__ws_fetch_free(NULL);
}

static int attempt_write(void *arg)
{
    struct set *s = arg;

    return vh__ws_write(s->dirfd, &s->id, s->memory_fd, (const uint32_t[]){ 1, 2 }, 2, NULL, NULL);
}

static int attempt_fetch(void *arg)
{
    vh__ws_fetch *f = NULL;
    int rc = fetch_set(arg, &((struct set *)arg)->id, &f, NULL);

    if (rc == 0)
        vh__ws_fetch_free(f);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    failalloc_sweep(attempt_write, *state);
    failalloc_sweep(attempt_fetch, *state);
}

int main(void)
{
#define with_files(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        with_files(pages_are_sorted_into_runs),
        with_files(what_is_needed_first_comes_first),
        with_files(pieces_may_be_used_while_the_rest_is_read),
        with_files(a_damaged_piece_is_never_handed_on),
        with_files(the_whole_memory_makes_one_set),
        with_files(zero_pages_alone_need_no_data),
        with_files(nothing_recorded_is_told_apart),
        with_files(a_set_of_another_snapshot_is_refused),
        with_files(any_flipped_byte_is_noticed),
        with_files(cut_files_are_noticed),
        with_files(an_old_index_beside_new_data_is_noticed),
        with_files(what_cannot_be_written_leaves_nothing_behind),
        with_files(a_longest_snapshot_id_fits),
        with_files(a_fetch_may_be_dropped_at_any_time),
        with_files(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
