/* Firecracker's handshake: what is taken, in which pieces, what is refused without leaking a descriptor. */
#include "testenv.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fd.h"
#include "reap.h"

#define ONE "[{\"base_host_virt_addr\":140737488355328,\"size\":8192,\"offset\":0,\"page_size\":4096}]"

static int parse(const char *json, vh__regions *out)
{
    return vh__handshake_parse(json, strlen(json), 1 << 20, out, NULL);
}

static void every_version_of_the_page_size_is_understood(void **state)
{
    vh__regions r = { 0 };

    (void)state;
    assert_int_equal(parse(ONE, &r), 0);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.v[0].base, 1ull << 47);
    assert_int_equal(parse("[{\"base_host_virt_addr\":8192,\"size\":8192,\"offset\":0,"
                           "\"page_size_kib\":8192}]", &r), 0);
    assert_int_equal(r.page_size, 8192);
    assert_int_equal(parse("[{\"base_host_virt_addr\":8192,\"size\":8192,\"offset\":0,\"page_size\":4096,"
                           "\"page_size_kib\":8192,\"new\":[{\"x\":\"]\\\"\"}]}]", &r), 0);
    assert_int_equal(r.page_size, 4096);
    assert_int_equal(parse("[{\"base_host_virt_addr\":8192,\"size\":8192,\"offset\":0}]", &r), 0);
    assert_int_equal(r.page_size, 4096);
}

static void nonsense_is_refused(void **state)
{
    static const char *const bad[] = {
        "", "x", "{}", "[]", "[1]", "[{}]", "[{\"base_host_virt_addr\":\"4096\",\"size\":8192,\"offset\":0}]",
        "[{\"base_host_virt_addr\":4096,\"size\":8192,\"offset\":-1}]",
        "[{\"base_host_virt_addr\":4096,\"size\":8192,\"offset\":0,\"page_size\":0}]",
        "[{\"base_host_virt_addr\":4096,\"size\":8192,\"offset\":0,\"page_size\":8589934592}]",
        "[{\"base_host_virt_addr\":4096,\"size\":2097152,\"offset\":0}]", /* beyond the memory file */
        "[{\"base_host_virt_addr\":8192,\"size\":8192,\"offset\":0,\"page_size\":4096},"
        "{\"base_host_virt_addr\":65536,\"size\":8192,\"offset\":8192,\"page_size\":8192}]",
        ONE "x",
    };
    vh__regions r = { .n = 99 };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(bad); i++)
        if (parse(bad[i], &r) != VH_EINVALID)
            fail_msg("accepted: %s", bad[i]);
    assert_int_equal(parse("[{\"is_guest_memfd\":true}]", &r), VH_EUNSUPPORTED);
    assert_int_equal(r.n, 99);
}

static void more_regions_than_fit_are_refused(void **state)
{
    vh_auto_buf vh__buf b = { 0 };
    vh__regions r;

    (void)state;
    vh__buf_puts(&b, "[");
    for (unsigned i = 0; i <= VH_REGIONS_MAX; i++)
        vh__buf_printf(&b, "%s{\"base_host_virt_addr\":%u,\"size\":4096,\"offset\":%u}", i ? "," : "",
                       (i + 1) * 4096,
                       i * 4096);
    vh__buf_puts(&b, "]");
    assert_int_equal(vh__handshake_parse(b.data, b.len, 1 << 20, &r, NULL), VH_EINVALID);
}

static void the_end_of_the_array_is_found_in_any_prefix(void **state)
{
    static const char text[] = "[{\"a\":\"]\\\"[\"},[]] trailing";
    size_t end = strlen("[{\"a\":\"]\\\"[\"},[]]");

    (void)state;
    for (size_t n = 0; n < end; n++)
        assert_int_equal(vh__handshake_length(text, n), 0);
    assert_int_equal(vh__handshake_length(text, end), end);
    assert_int_equal(vh__handshake_length(text, sizeof(text) - 1), end);
    assert_int_equal(vh__handshake_length("]", 1), 1);
}

struct wire {
    testenv env;
    int ours, theirs;
    int fd; /* what is sent as the userfaultfd */
};

static int setup(void **state)
{
    static struct wire w;
    int pair[2];

    testenv_init(&w.env);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    w.ours = pair[0];
    w.theirs = pair[1];
    w.fd = eventfd(0, EFD_CLOEXEC);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct wire *w = *state;

    vh__fd_close(&w->ours);
    vh__fd_close(&w->theirs);
    vh__fd_close(&w->fd);
    testenv_fini(&w->env); /* fails if a received descriptor is still open */
    return 0;
}

static void send_piece(struct wire *w, const char *bytes, size_t nfds)
{
    int fds[] = { w->fd, w->fd };
    vh_error err = { 0 };

    assert_ok(vh__fd_send(w->theirs, bytes, strlen(bytes), fds, nfds, &err), err);
}

static int receive(struct wire *w)
{
    vh__wait wait = vh__wait_from(NULL, 300);
    vh__regions r = { 0 };
    int uffd = -1, rc;

    rc = vh__handshake_recv(w->ours, &wait, 1 << 20, &uffd, &r, NULL);
    assert_int_equal(rc == 0, uffd >= 0);
    assert_int_equal(r.n, rc == 0);
    vh__fd_close(&uffd);
    return rc;
}

static void a_whole_message_is_received(void **state)
{
    send_piece(*state, ONE, 1);
    assert_int_equal(receive(*state), 0);
}

static void fragments_are_collected(void **state)
{
    send_piece(*state, "[{\"base_host_virt_addr\":4096,", 1);
    send_piece(*state, "\"size\":8192,", 0);
    send_piece(*state, "\"offset\":0}]", 0);
    assert_int_equal(receive(*state), 0);
}

static void the_descriptor_may_come_with_a_later_fragment(void **state)
{
    send_piece(*state, "[{\"base_host_virt_addr\":4096,", 0);
    send_piece(*state, "\"size\":8192,\"offset\":0}]", 1);
    assert_int_equal(receive(*state), 0);
}

static void no_descriptor_is_refused(void **state)
{
    send_piece(*state, ONE, 0);
    assert_int_equal(receive(*state), VH_EPROTOCOL);
}

static void two_descriptors_are_refused(void **state)
{
    send_piece(*state, ONE, 2);
    assert_int_equal(receive(*state), VH_EPROTOCOL);
}

static void a_descriptor_per_fragment_is_refused(void **state)
{
    send_piece(*state, "[{\"base_host_virt_addr\":4096,", 1);
    send_piece(*state, "\"size\":8192,\"offset\":0}]", 1);
    assert_int_equal(receive(*state), VH_EPROTOCOL);
}

static void an_empty_list_is_refused(void **state)
{
    send_piece(*state, "[]", 1);
    assert_int_equal(receive(*state), VH_EINVALID);
}

static void garbage_is_refused_at_once(void **state)
{
    send_piece(*state, "]", 1);
    assert_int_equal(receive(*state), VH_EINVALID);
}

static void an_early_end_is_refused(void **state)
{
    struct wire *w = *state;

    send_piece(w, "[{", 1);
    vh__fd_close(&w->theirs);
    assert_int_equal(receive(w), VH_EPROTOCOL);
}

static void silence_ends_with_the_deadline(void **state)
{
    send_piece(*state, "[{", 1);
    assert_int_equal(receive(*state), VH_ETIMEDOUT);
}

static void an_endless_message_is_refused(void **state)
{
    static char spaces[VH_HANDSHAKE_MAX / 4 + 2];
    struct wire *w = *state;

    memset(spaces, ' ', sizeof(spaces) - 1);
    for (size_t i = 0; i < 4; i++)
        send_piece(w, spaces, i == 0);
    assert_int_equal(receive(w), VH_EPROTOCOL);
}

int main(void)
{
#define over_wire(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_version_of_the_page_size_is_understood),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(more_regions_than_fit_are_refused),
        cmocka_unit_test(the_end_of_the_array_is_found_in_any_prefix),
        over_wire(a_whole_message_is_received),
        over_wire(fragments_are_collected),
        over_wire(the_descriptor_may_come_with_a_later_fragment),
        over_wire(no_descriptor_is_refused),
        over_wire(two_descriptors_are_refused),
        over_wire(a_descriptor_per_fragment_is_refused),
        over_wire(an_empty_list_is_refused),
        over_wire(garbage_is_refused_at_once),
        over_wire(an_early_end_is_refused),
        over_wire(silence_ends_with_the_deadline),
        over_wire(an_endless_message_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
