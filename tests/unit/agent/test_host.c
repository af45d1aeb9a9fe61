/* The host's calls, over a socket pair. */
#include "testenv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent_host.h"
#include "auto.h"

struct pair {
    testenv env;
    int ours, theirs;
    vh__agent_decoder *d;
    vh__wait wait;
};

static int setup(void **state)
{
    struct pair *p = test_calloc(1, sizeof(*p));
    int fds[2];

    testenv_init(&p->env);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    p->ours = fds[0];
    p->theirs = fds[1];
    p->d = test_malloc(sizeof(*p->d));
    vh__agent_decoder_init(p->d, VH_AGENT_FROM_GUEST);
    p->wait = vh__wait_from(NULL, 5000);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct pair *p = *state;

    vh__fd_close(&p->ours);
    vh__fd_close(&p->theirs);
    testenv_fini(&p->env);
    test_free(p->d);
    test_free(p);
    return 0;
}

static void a_message_is_received(void **state)
{
    struct pair *p = *state;
    vh__agent_msg m = { .type = VH_AGENT_STARTED, .started.pid = 5 }, got;
    vh_error err = { 0 };

    assert_ok(vh__agent_send(p->theirs, &m, &p->wait, &err), err);
    assert_ok(vh__agent_receive(p->d, p->ours, &p->wait, &got, &err), err);
    assert_int_equal(got.started.pid, 5);
}

static void silence_ends_at_the_deadline(void **state)
{
    struct pair *p = *state;
    vh__wait soon = vh__wait_within(&p->wait, 10);
    vh_error err = { 0 };
    vh__agent_msg got;

    assert_int_equal(vh__agent_receive(p->d, p->ours, &soon, &got, &err), VH_ETIMEDOUT);
}

static void the_peers_end_is_told(void **state)
{
    struct pair *p = *state;
    vh_error err = { 0 };
    vh__agent_msg got;

    vh__fd_close(&p->theirs);
    assert_int_equal(vh__agent_receive(p->d, p->ours, &p->wait, &got, &err), -EPIPE);
}

static void garbage_is_a_protocol_error(void **state)
{
    struct pair *p = *state;
    vh_error err = { 0 };
    vh__agent_msg got;

    assert_int_equal(send(p->theirs, "SeaBIOS version 1.2", 19, 0), 19);
    assert_int_equal(vh__agent_receive(p->d, p->ours, &p->wait, &got, &err), VH_EPROTOCOL);
    assert_non_null(strstr(err.msg, "bytes that are no frame"));
}

static void a_start_that_is_too_large_names_the_remedy(void **state)
{
    static char large[VH_AGENT_FRAME_MAX];
    const char *argv[] = { large };
    vh__agent_msg m = { .type = VH_AGENT_START, .start.argv = { argv, 1 } };
    vh_auto_buf vh__buf out = { 0 };
    vh_error err = { 0 };

    (void)state;
    memset(large, 'x', sizeof(large) - 1);
    assert_int_equal(vh__agent_append(&out, &m, &err), VH_ELIMIT);
    assert_non_null(strstr(err.msg, "START"));
    assert_int_equal(out.len, 0);
}

static void seeds_are_fresh(void **state)
{
    uint8_t one[VH_AGENT_SEED], other[VH_AGENT_SEED];
    int64_t now = 0;
    vh_error err = { 0 };

    (void)state;
    assert_ok(vh__agent_fresh(one, &now, &err), err);
    assert_ok(vh__agent_fresh(other, &now, &err), err);
    assert_memory_not_equal(one, other, sizeof(one));
    assert_true(now > 1500000000ll * 1000000000);
}

static void text_of_a_guest_is_made_printable(void **state)
{
    char buf[8];

    (void)state;
    assert_string_equal(vh__agent_printable("a\033[2J\xff", buf, sizeof(buf)), "a?[2J?");
    assert_string_equal(vh__agent_printable("0123456789", buf, sizeof(buf)), "0123456");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_message_is_received, setup, teardown),
        cmocka_unit_test_setup_teardown(silence_ends_at_the_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(the_peers_end_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(garbage_is_a_protocol_error, setup, teardown),
        cmocka_unit_test(a_start_that_is_too_large_names_the_remedy),
        cmocka_unit_test(seeds_are_fresh),
        cmocka_unit_test(text_of_a_guest_is_made_printable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
