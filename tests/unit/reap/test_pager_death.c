/* What goes wrong: the memory file, the target, the pager itself. Wrong data must never come of it. */
#include "target.h"

enum { PAGES = 64 };

struct rig {
    testenv env;
    int memory_fd, dirfd;
    target target;
    vh__pager *pager;
    vh__regions regions;
    vh__wait wait;
};

static int setup(void **state)
{
    static struct rig r;

    r = (struct rig){ .wait = vh__wait_from(NULL, 20000) };
    testenv_init(&r.env);
    r.dirfd = open_dir(&r.env);
    r.memory_fd = memfile_make(&r.env, PAGES);
    r.target = target_start(PAGES);
    *state = &r;
    alarm(60);
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;

    target_kill(&r->target);
    vh__pager_free(r->pager);
    vh__fd_close(&r->memory_fd);
    vh__fd_close(&r->dirfd);
    testenv_fini(&r->env);
    alarm(0);
    return 0;
}

/* |cut| keeps the last pages out of the region table. */
static void serve_target(struct rig *r, uint32_t cut, vh__ws_fetch *fetch)
{
    vh__pager_options o = { .memory_fd = r->memory_fd, .memory_size = (uint64_t)PAGES * PAGE,
                            .regions = &r->regions, .mode = fetch ? VH_PAGER_REPLAY : VH_PAGER_LAZY,
                                .fetch = fetch };
    vh_error err = { 0 };

    assert_ok(vh__handshake_recv(r->target.sock, &r->wait, o.memory_size, &o.uffd, &r->regions, &err), err);
    r->regions.v[0].size -= (uint64_t)cut * PAGE;
    assert_ok(vh__pager_start(&o, &r->pager, &err), err);
}

static uint64_t first_word(uint32_t page)
{
    unsigned char bytes[PAGE];
    uint64_t word;

    memfile_page(page, bytes);
    memcpy(&word, bytes, sizeof(word));
    return word;
}

static void assert_answer(struct rig *r, uint32_t page)
{
    uint64_t word = 0;

    target_ask(&r->target, page);
    assert_true(target_answers(&r->target, 20000, &word));
    assert_int_equal(word, first_word(page));
}

static void assert_stands_still(struct rig *r)
{
    uint64_t word;

    assert_false(target_answers(&r->target, 200, &word));
}

static int wait_for_failure(struct rig *r, vh_error *err)
{
    assert_ok(vh__wait_fd(&r->wait, vh__pager_event_fd(r->pager), POLLIN, "failure", err), *err);
    return vh__pager_check(r->pager, err);
}

static void another_process_is_served(void **state)
{
    serve_target(*state, 0, NULL);
    assert_answer(*state, 5);
    assert_answer(*state, 3);
    assert_answer(*state, PAGES - 1);
}

static void a_cut_memory_file_stops_the_target(void **state)
{
    struct rig *r = *state;
    vh_error err = { 0 };

    serve_target(r, 0, NULL);
    assert_answer(r, 5);
    assert_int_equal(ftruncate(r->memory_fd, 10 * PAGE), 0);
    assert_answer(r, 9);
    target_ask(&r->target, 20);
    assert_int_equal(wait_for_failure(r, &err), VH_ECORRUPT);
    assert_stands_still(r);
}

/* The rest of its last page would read as zeros through a mapping. */
static void a_file_cut_within_a_page_stops_the_target(void **state)
{
    struct rig *r = *state;
    vh_error err = { 0 };

    serve_target(r, 0, NULL);
    assert_int_equal(ftruncate(r->memory_fd, 20 * PAGE + 100), 0);
    target_ask(&r->target, 20);
    assert_int_equal(wait_for_failure(r, &err), VH_ECORRUPT);
    assert_stands_still(r);
}

static void a_fault_outside_of_the_regions_is_a_failure(void **state)
{
    struct rig *r = *state;
    vh_error err = { 0 };

    serve_target(r, 1, NULL);
    target_ask(&r->target, PAGES - 1);
    assert_int_equal(wait_for_failure(r, &err), VH_EPROTOCOL);
    assert_stands_still(r);
}

static void a_stopped_pager_freezes_the_target(void **state)
{
    struct rig *r = *state;

    serve_target(r, 0, NULL);
    assert_answer(r, 5);
    vh__pager_stop(r->pager);
    target_ask(&r->target, 6);
    assert_stands_still(r);
    assert_int_equal(vh__pager_check(r->pager, NULL), 0);
}

/* The target holds its own descriptor, as every VMM must: the last one closed would let zeros in. */
static void a_freed_pager_freezes_the_target(void **state)
{
    struct rig *r = *state;

    serve_target(r, 0, NULL);
    vh__pager_free(r->pager);
    r->pager = NULL;
    target_ask(&r->target, 6);
    assert_stands_still(r);
}

static void the_end_of_the_target_is_no_failure(void **state)
{
    struct rig *r = *state;
    vh__ws_identity id = memfile_id(PAGES);
    vh__ws_fetch *f = NULL;
    vh_error err = { 0 };
    uint32_t page = 5;

    assert_ok(vh__ws_write(r->dirfd, &id, r->memory_fd, &page, 1, NULL, &err), err);
    assert_ok(vh__ws_fetch_start(r->dirfd, &id, &f, &err), err);
    kill(r->target.pid, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)r->target.pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
    serve_target(r, 0, f);
    assert_int_equal(vh__pager_install_wait(r->pager, &r->wait, &err), VH_ESTATE);
    assert_int_equal(vh__pager_check(r->pager, NULL), 0);
}

int main(void)
{
#define with_target(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        with_target(another_process_is_served),
        with_target(a_cut_memory_file_stops_the_target),
        with_target(a_file_cut_within_a_page_stops_the_target),
        with_target(a_fault_outside_of_the_regions_is_a_failure),
        with_target(a_stopped_pager_freezes_the_target),
        with_target(a_freed_pager_freezes_the_target),
        with_target(the_end_of_the_target_is_no_failure),
    };

    return have_userfaultfd() ? cmocka_run_group_tests(tests, NULL, NULL) : without_userfaultfd();
}
