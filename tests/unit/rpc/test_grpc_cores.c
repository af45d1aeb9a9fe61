/* Both ends of a gRPC connection, wired together in memory: no sockets, no time. */
#include "grpc_pair.h"

#include <errno.h>
#include <string.h>

#include "auto.h"
#include "failalloc.h"

static vh__grpc_status echo(const vh__rpc_request *request, vh__rpc_answer *answer, void *arg)
{
    int *runs = arg;

    (*runs)++;
    vh__buf_append(&answer->body, request->body, request->len);
    return VH_GRPC_OK;
}

static vh__grpc_status abort_call(const vh__rpc_request *request, vh__rpc_answer *answer, void *arg)
{
    (void)request;
    (void)arg;
    vh__buf_puts(&answer->message, "it is 100% broken");
    return VH_GRPC_ABORTED;
}

static int echo_runs; /* how often the handler ran, over the test at hand */

static const vh__rpc_method methods[] = {
    { .path = "/t.Test/Echo", .handler = echo, .arg = &echo_runs },
    { .path = "/t.Test/Fail", .handler = abort_call },
};

static const vh__rpc_server_options options = {
    .methods = methods, .nmethods = VH_ARRAY_LEN(methods), .max_message = 100000, .max_streams = 10, .idle_ms = 60000
};

static int pair_init(struct pair *p, vh_error *err)
{
    int rc = vh__grpc_client_new("test:1", 100000, &p->client, err);

    return rc ? rc : vh__grpc_server_new(&options, NULL, NULL, &p->server, err);
}

/* A unary call from start to end. */
static void call(struct pair *p, struct seen *s, const char *path, const void *bytes, size_t n)
{
    vh_error err = { 0 };

    assert_ok(pair_start(p, s, path, &err), err);
    assert_ok(vh__grpc_call_send(p->client, &s->call, bytes, n, true, &err), err);
    assert_ok(pump(p, &err), err);
    assert_true(s->ended);
}

static void a_call_brings_its_message_and_status(void **state)
{
    struct pair p = { 0 };
    struct seen s = { 0 };
    vh_error err = { 0 };

    (void)state;
    assert_ok(pair_init(&p, &err), err);
    call(&p, &s, "/t.Test/Echo", "hi", 2);
    assert_status(&s, VH_GRPC_OK, "");
    assert_true(s.headers);
    assert_int_equal(s.messages, 1);
    assert_string_equal(s.body.data, "hi");
    seen_fini(&s);
    pair_fini(&p);
}

static void messages_larger_than_every_window_pass(void **state)
{
    static char big[100000];
    struct pair p = { 0 };
    struct seen s = { 0 };
    vh_error err = { 0 };

    (void)state;
    memset(big, 'b', sizeof(big));
    assert_ok(pair_init(&p, &err), err);
    call(&p, &s, "/t.Test/Echo", big, sizeof(big));
    assert_status(&s, VH_GRPC_OK, "");
    assert_int_equal(s.body.len, sizeof(big));
    assert_memory_equal(s.body.data, big, sizeof(big));
    seen_fini(&s);
    pair_fini(&p);
}

static void an_empty_message_is_a_message(void **state)
{
    struct pair p = { 0 };
    struct seen s = { 0 };
    vh_error err = { 0 };

    (void)state;
    assert_ok(pair_init(&p, &err), err);
    call(&p, &s, "/t.Test/Echo", "", 0);
    assert_status(&s, VH_GRPC_OK, "");
    assert_int_equal(s.messages, 1);
    seen_fini(&s);
    pair_fini(&p);
}

static void refusals_carry_status_and_text(void **state)
{
    static char big[100001];
    struct pair p = { 0 };
    struct seen s[3] = { 0 };
    vh_error err = { 0 };

    (void)state;
    assert_ok(pair_init(&p, &err), err);
    call(&p, &s[0], "/t.Test/Fail", "x", 1);
    assert_status(&s[0], VH_GRPC_ABORTED, "it is 100% broken");
    call(&p, &s[1], "/t.Test/Nope", "x", 1);
    assert_status(&s[1], VH_GRPC_UNIMPLEMENTED, "no such method here: /t.Test/Nope");
    call(&p, &s[2], "/t.Test/Echo", big, sizeof(big));
    assert_status(&s[2], VH_GRPC_RESOURCE_EXHAUSTED, "gRPC message of 100001 bytes: the limit is 100000");
    for (size_t i = 0; i < VH_ARRAY_LEN(s); i++)
        seen_fini(&s[i]);
    pair_fini(&p);
}

static void a_second_request_message_is_refused(void **state)
{
    struct pair p = { 0 };
    struct seen s = { 0 };
    vh_error err = { 0 };

    (void)state;
    echo_runs = 0;
    assert_ok(pair_init(&p, &err), err);
    assert_ok(pair_start(&p, &s, "/t.Test/Echo", &err), err);
    assert_ok(vh__grpc_call_send(p.client, &s.call, "1", 1, false, &err), err);
    assert_ok(pump(&p, &err), err);
    assert_false(s.ended);
    assert_ok(vh__grpc_call_send(p.client, &s.call, "2", 1, true, &err), err);
    assert_ok(pump(&p, &err), err);
    assert_status(&s, VH_GRPC_INTERNAL, "a second message to a unary call");
    assert_int_equal(echo_runs, 0);
    seen_fini(&s);
    pair_fini(&p);
}

static void calls_share_a_connection_up_to_its_limit(void **state)
{
    struct pair p = { 0 };
    struct seen s[25] = { 0 };
    vh_error err = { 0 };

    (void)state;
    assert_ok(pair_init(&p, &err), err);
    assert_ok(pump(&p, &err), err); /* the limit of ten is known: the rest waits its turn */
    for (size_t i = 0; i < VH_ARRAY_LEN(s); i++) {
        assert_ok(pair_start(&p, &s[i], "/t.Test/Echo", &err), err);
        assert_ok(vh__grpc_call_send(p.client, &s[i].call, "x", 1, true, &err), err);
    }
    assert_ok(pump(&p, &err), err);
    for (size_t i = 0; i < VH_ARRAY_LEN(s); i++) {
        assert_true(s[i].ended);
        assert_status(&s[i], VH_GRPC_OK, "");
        seen_fini(&s[i]);
    }
    pair_fini(&p);
}

static void all_calls_together_hold_a_bounded_amount(void **state)
{
    static char most[90000];
    struct pair p = { 0 };
    struct seen s[6] = { 0 };
    vh_error err = { 0 };
    int refused = 0;

    (void)state;
    assert_ok(pair_init(&p, &err), err);
    for (size_t i = 0; i < VH_ARRAY_LEN(s); i++) {
        assert_ok(pair_start(&p, &s[i], "/t.Test/Echo", &err), err);
        assert_ok(vh__grpc_call_send(p.client, &s[i].call, most, sizeof(most), false, &err), err);
    }
    assert_ok(pump(&p, &err), err);
    for (size_t i = 0; i < VH_ARRAY_LEN(s); i++) {
        if (s[i].ended) {
            assert_status(&s[i], VH_GRPC_RESOURCE_EXHAUSTED,
                          "the calls under way on this connection hold too much already");
            refused++;
        }
        seen_fini(&s[i]);
    }
    assert_in_range(refused, 1, 2);
    pair_fini(&p);
}

static void a_cancelled_call_gets_no_event_and_frees_its_place(void **state)
{
    struct pair p = { 0 };
    struct seen s[30] = { 0 }, last = { 0 };
    vh_error err = { 0 };

    (void)state;
    assert_ok(pair_init(&p, &err), err);
    for (size_t i = 0; i < VH_ARRAY_LEN(s); i++) {
        assert_ok(pair_start(&p, &s[i], "/t.Test/Echo", &err), err);
        if (i % 2)
            assert_ok(pump(&p, &err), err); /* else it is cancelled before a byte of it went out */
        vh__grpc_call_cancel(p.client, &s[i].call);
        seen_fini(&s[i]);
    }
    call(&p, &last, "/t.Test/Echo", "x", 1);
    assert_status(&last, VH_GRPC_OK, "");
    for (size_t i = 0; i < VH_ARRAY_LEN(s); i++)
        assert_false(s[i].ended);
    seen_fini(&last);
    pair_fini(&p);
}

static void an_event_that_refuses_ends_the_call_with_its_code(void **state)
{
    struct pair p = { 0 };
    struct seen s = { .refuse = VH_ELIMIT };
    vh_error err = { 0 };

    (void)state;
    assert_ok(pair_init(&p, &err), err);
    call(&p, &s, "/t.Test/Echo", "x", 1);
    assert_int_equal(s.call.code, VH_ELIMIT);
    assert_string_equal(s.call.error.msg, "not wanted");
    seen_fini(&s);
    pair_fini(&p);
}

static void goaway_answers_what_is_under_way_and_ends(void **state)
{
    struct pair p = { 0 };
    struct seen s = { 0 }, late = { 0 };
    vh_error err = { 0 };

    (void)state;
    assert_ok(pair_init(&p, &err), err);
    assert_ok(pair_start(&p, &s, "/t.Test/Echo", &err), err);
    assert_ok(pump(&p, &err), err);
    assert_ok(vh__grpc_server_goaway(p.server, &err), err);
    assert_ok(pump(&p, &err), err);
    assert_ok(vh__grpc_call_send(p.client, &s.call, "x", 1, true, &err), err);
    assert_ok(pump(&p, &err), err);
    assert_status(&s, VH_GRPC_OK, "");
    assert_false(vh__grpc_server_alive(p.server));
    call(&p, &late, "/t.Test/Echo", "x", 1);
    assert_int_equal(late.call.status, VH_GRPC_UNAVAILABLE);
    seen_fini(&late);
    seen_fini(&s);
    pair_fini(&p);
}

static void a_flood_of_resets_closes_the_connection(void **state)
{
    struct pair p = { 0 };
    vh_error err = { 0 };
    int rounds = 0;

    (void)state;
    assert_ok(pair_init(&p, &err), err);
    for (; rounds < 5000 && vh__grpc_server_alive(p.server); rounds++) {
        struct seen s = { 0 };

        if (pair_start(&p, &s, "/t.Test/Echo", &err))
            break; /* told to go away */
        assert_ok(pump(&p, &err), err);
        vh__grpc_call_cancel(p.client, &s.call);
        assert_ok(pump(&p, &err), err);
        seen_fini(&s);
    }
    assert_in_range(rounds, 500, 2000); /* nghttp2: a thousand at once, then 33 a second */
    assert_false(vh__grpc_server_alive(p.server));
    pair_fini(&p);
}

static void garbage_instead_of_http2_is_an_error(void **state)
{
    static const char http1[] = "GET / HTTP/1.1\r\nHost: here\r\n\r\n";
    vh_auto_buf vh__buf out = { 0 };
    struct pair p = { 0 };
    vh_error err = { 0 };

    (void)state;
    assert_ok(pair_init(&p, &err), err);
    assert_int_equal(vh__grpc_server_recv(p.server, http1, sizeof(http1) - 1, &err), VH_EPROTOCOL);
    if (vh__grpc_client_recv(p.client, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, &err) == 0)
        assert_ok(vh__grpc_client_output(p.client, &out, &err), err);
    assert_false(vh__grpc_client_alive(p.client));
    pair_fini(&p);
}

static int make_pair(void *arg)
{
    struct pair p = { 0 };
    int rc = pair_init(&p, NULL);

    (void)arg;
    pair_fini(&p);
    return rc;
}

static void running_out_of_memory_unwinds(void **state)
{
    (void)state;
    failalloc_sweep(make_pair, NULL);
}

/* Any allocation of a whole call may fail: it must end or fail, and neither leak nor crash. */
static void a_call_survives_any_failing_allocation(void **state)
{
    (void)state;
    for (unsigned i = 1; i < 400; i++) {
        struct pair p = { 0 };
        struct seen s = { 0 };

        if (pair_init(&p, NULL) == 0 && pair_start(&p, &s, "/t.Test/Echo", NULL) == 0) {
            failalloc_at(i);
            if (vh__grpc_call_send(p.client, &s.call, "x", 1, true, NULL) == 0)
                (void)pump(&p, NULL);
            failalloc_at(0);
        }
        seen_fini(&s);
        pair_fini(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_brings_its_message_and_status),
        cmocka_unit_test(messages_larger_than_every_window_pass),
        cmocka_unit_test(an_empty_message_is_a_message),
        cmocka_unit_test(refusals_carry_status_and_text),
        cmocka_unit_test(a_second_request_message_is_refused),
        cmocka_unit_test(calls_share_a_connection_up_to_its_limit),
        cmocka_unit_test(all_calls_together_hold_a_bounded_amount),
        cmocka_unit_test(a_cancelled_call_gets_no_event_and_frees_its_place),
        cmocka_unit_test(an_event_that_refuses_ends_the_call_with_its_code),
        cmocka_unit_test(goaway_answers_what_is_under_way_and_ends),
        cmocka_unit_test(a_flood_of_resets_closes_the_connection),
        cmocka_unit_test(garbage_instead_of_http2_is_an_error),
        cmocka_unit_test(running_out_of_memory_unwinds),
        cmocka_unit_test(a_call_survives_any_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
