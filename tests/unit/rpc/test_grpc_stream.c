/* Streaming calls through both cores in memory: what the owner is told, windows, time, and every way to end. */
#include "grpc_pair.h"

#include <errno.h>
#include <string.h>

#include "auto.h"
#include "failalloc.h"
#include "grpc_frame.h"

#define IDLE_MS 1000

/* The owner of the server's streaming calls. */
struct owner {
    vh__grpc_server *server;
    vh__grpc_stream *stream; /* the latest, while it lives */
    int begun, messages, lasts, drained, gone, gone_code;
    size_t bytes;
    bool hold;
};

static vh__grpc_status on_begin(vh__grpc_stream *stream, void *arg, vh__buf *why)
{
    struct owner *o = arg;

    if (vh__grpc_metadata_get(stream->metadata, "x-no")) {
        vh__buf_puts(why, "not this one");
        return VH_GRPC_PERMISSION_DENIED;
    }
    o->begun++;
    o->stream = stream;
    stream->user = o;
    return VH_GRPC_OK;
}

static int on_message(vh__grpc_stream *stream, const void *bytes, size_t n, vh_error *err)
{
    struct owner *o = stream->user;

    (void)bytes;
    (void)err;
    o->messages++;
    o->bytes += n;
    stream->hold = o->hold;
    return 0;
}

static void on_last(vh__grpc_stream *stream)
{
    struct owner *o = stream->user;

    o->lasts++;
}

static void on_drained(vh__grpc_stream *stream)
{
    struct owner *o = stream->user;

    o->drained++;
}

static void on_gone(vh__grpc_stream *stream, int code)
{
    struct owner *o = stream->user;

    o->gone++;
    o->gone_code = code;
    o->stream = NULL;
}

static const vh__grpc_stream_events owner_events = {
    .begin = on_begin, .message = on_message, .last = on_last, .drained = on_drained, .gone = on_gone
};

static vh__grpc_status echo(const vh__rpc_request *request, vh__rpc_answer *answer, void *arg)
{
    (void)arg;
    vh__buf_append(&answer->body, request->body, request->len);
    return VH_GRPC_OK;
}

static vh__grpc_status unused(vh__rpc_stream *stream, vh__rpc_answer *answer, void *arg)
{
    (void)stream;
    (void)answer;
    (void)arg;
    return VH_GRPC_INTERNAL; /* the core starts no thread */
}

static const vh__rpc_method methods[] = {
    { .path = "/t.Test/Echo", .handler = echo },
    { .path = "/t.Test/Stream", .stream = unused },
    { .path = "/t.Test/Watch", .stream = unused, .watch = true },
};

static const vh__rpc_server_options options = { .methods = methods,
                                                .nmethods = VH_ARRAY_LEN(methods),
                                                .max_message = 100000,
                                                .max_streams = 10,
                                                .idle_ms = IDLE_MS };

static int pair_init(struct pair *p, struct owner *o, vh_error *err)
{
    int rc = vh__grpc_client_new("test:1", 100000, &p->client, err);

    if (!rc)
        rc = vh__grpc_server_new(&options, &owner_events, o, &p->server, err);
    o->server = p->server;
    return rc;
}

static void send_one(struct owner *o, const void *bytes, size_t n)
{
    vh_auto_buf vh__buf framed = { 0 };
    vh_error err = { 0 };

    vh__grpc_frame_append(&framed, bytes, n);
    assert_ok(vh__grpc_stream_send(o->server, o->stream, &framed, &err), err);
    assert_int_equal(framed.len, 0);
}

static void finish(struct owner *o, vh__grpc_status status, const char *message)
{
    vh__rpc_answer answer = { 0 };
    vh_error err = { 0 };

    vh__buf_puts(&answer.message, message);
    vh__buf_puts(&answer.details, *message ? "more" : "");
    assert_ok(vh__grpc_stream_finish(o->server, o->stream, status, &answer, &err), err);
    o->stream = NULL;
    vh__buf_fini(&answer.message);
    vh__buf_fini(&answer.details);
}

/* A pair with one streaming call under way. */
static void begin(struct pair *p, struct owner *o, struct seen *s)
{
    vh_error err = { 0 };

    assert_ok(pair_init(p, o, &err), err);
    assert_ok(pair_start(p, s, "/t.Test/Stream", &err), err);
    assert_ok(pump(p, &err), err);
    assert_int_equal(o->begun, 1);
}

static void end(struct pair *p, struct seen *s)
{
    seen_fini(s);
    pair_fini(p);
}

static void the_owner_hears_of_a_call_from_begin_to_last(void **state)
{
    struct owner o = { 0 };
    struct pair p = { 0 };
    struct seen s = { 0 };
    vh_error err = { 0 };

    (void)state;
    begin(&p, &o, &s);
    assert_int_equal(o.messages + o.lasts, 0);
    assert_ok(vh__grpc_call_send(p.client, &s.call, "one", 3, false, &err), err);
    assert_ok(pump(&p, &err), err);
    assert_int_equal(o.messages, 1);
    send_one(&o, "first", 5);
    assert_ok(pump(&p, &err), err);
    assert_string_equal(s.body.data, "first");
    assert_true(o.drained > 0);
    assert_ok(vh__grpc_call_end(p.client, &s.call, &err), err);
    assert_ok(pump(&p, &err), err);
    assert_int_equal(o.lasts, 1);
    assert_false(s.ended);
    send_one(&o, "", 0);
    finish(&o, VH_GRPC_OUT_OF_RANGE, "that is all");
    assert_ok(pump(&p, &err), err);
    assert_status(&s, VH_GRPC_OUT_OF_RANGE, "that is all");
    assert_int_equal(s.messages, 2);
    assert_string_equal(s.call.details.data, "more");
    assert_int_equal(o.gone, 0);
    assert_false(vh__grpc_server_busy(p.server));
    end(&p, &s);
}

static void an_owner_may_refuse_a_call(void **state)
{
    vh__grpc_metadata metadata = { 0 };
    struct owner o = { 0 };
    struct pair p = { 0 };
    struct seen s = { .call.metadata = &metadata };
    vh_error err = { 0 };

    (void)state;
    vh__grpc_metadata_add(&metadata, "x-no", 4, "1", 1);
    assert_ok(pair_init(&p, &o, &err), err);
    assert_ok(pair_start(&p, &s, "/t.Test/Stream", &err), err);
    assert_ok(pump(&p, &err), err);
    assert_status(&s, VH_GRPC_PERMISSION_DENIED, "not this one");
    assert_int_equal(o.begun + o.gone, 0);
    vh__grpc_metadata_fini(&metadata);
    end(&p, &s);
}

static void messages_that_are_held_close_the_window(void **state)
{
    static const char piece[10000];
    struct owner o = { .hold = true };
    struct pair p = { 0 };
    struct seen s = { 0 };
    vh_error err = { 0 };

    (void)state;
    begin(&p, &o, &s);
    for (int i = 0; i < 20; i++)
        assert_ok(vh__grpc_call_send(p.client, &s.call, piece, sizeof(piece), i == 19, &err), err);
    assert_ok(pump(&p, &err), err);
    assert_int_equal(o.messages, 6); /* what 65,535 bytes have room for */
    assert_in_range(vh__grpc_call_unsent(&s.call), 130000, 140100);
    while (o.lasts == 0) { /* each time the owner takes all, as much comes again */
        int before = o.messages;

        assert_ok(vh__grpc_stream_more(p.server, o.stream, &err), err);
        assert_ok(pump(&p, &err), err);
        assert_in_range(o.messages - before, 0, 7);
    }
    assert_int_equal(o.messages, 20);
    finish(&o, VH_GRPC_OK, "");
    assert_ok(pump(&p, &err), err);
    assert_status(&s, VH_GRPC_OK, "");
    end(&p, &s);
}

static void an_answer_waits_for_a_client_that_holds(void **state)
{
    static const char piece[50000];
    struct owner o = { 0 };
    struct pair p = { 0 };
    struct seen s = { .hold = true };
    vh_error err = { 0 };

    (void)state;
    begin(&p, &o, &s);
    for (int i = 0; i < 4; i++)
        send_one(&o, piece, sizeof(piece));
    assert_ok(pump(&p, &err), err);
    assert_int_equal(s.messages, 1);
    assert_in_range(vh__grpc_stream_unsent(o.stream), 80000, 150000); /* a window went out, and most of a message */
    for (int i = 0; i < 10 && s.messages < 4; i++) {
        assert_ok(vh__grpc_call_more(p.client, &s.call, &err), err);
        assert_ok(pump(&p, &err), err);
    }
    assert_int_equal(s.messages, 4);
    assert_int_equal(s.body.len, 200000);
    end(&p, &s);
    assert_int_equal(o.gone, 1); /* told as the server was freed */
    assert_int_equal(o.gone_code, VH_ECANCELED);
}

static void time_ends_calls_with_the_right_status(void **state)
{
    struct owner o = { 0 };
    struct pair p = { 0 };
    struct seen s = { 0 };
    int64_t due;
    vh_error err = { 0 };

    (void)state;
    begin(&p, &o, &s);
    due = vh__grpc_server_due(p.server);
    assert_in_range(due - vh__clock_mono_ns(), 58 * VH_NS_PER_S, MINUTE);
    assert_ok(vh__grpc_server_expire(p.server, due - 1, &err), err);
    assert_int_equal(o.gone, 0);
    send_one(&o, "part", 4);
    assert_ok(pump(&p, &err), err);
    assert_ok(vh__grpc_server_expire(p.server, due, &err), err);
    assert_int_equal(o.gone, 1);
    assert_int_equal(o.gone_code, VH_ETIMEDOUT);
    assert_ok(pump(&p, &err), err);
    assert_status(&s, VH_GRPC_DEADLINE_EXCEEDED, "the deadline passed");
    assert_int_equal(vh__grpc_server_due(p.server), INT64_MAX);
    end(&p, &s);
}

static void a_unary_request_has_so_much_time_to_become_whole(void **state)
{
    struct owner o = { 0 };
    struct pair p = { 0 };
    struct seen s = { 0 };
    vh_error err = { 0 };

    (void)state;
    assert_ok(pair_init(&p, &o, &err), err);
    assert_ok(pair_start(&p, &s, "/t.Test/Echo", &err), err);
    assert_ok(pump(&p, &err), err);
    assert_in_range(vh__grpc_server_due(p.server) - vh__clock_mono_ns(), 0, IDLE_MS * VH_NS_PER_MS);
    assert_ok(vh__grpc_server_expire(p.server, vh__grpc_server_due(p.server), &err), err);
    assert_ok(pump(&p, &err), err);
    assert_status(&s, VH_GRPC_DEADLINE_EXCEEDED, "the request took too long to come");
    end(&p, &s);
}

/* Of a finished call and of one that goes on; the time counts from when the client last took something. */
static void an_answer_that_nobody_takes_is_reset(void **state)
{
    static const char piece[80000];
    vh_error err = { 0 };

    (void)state;
    for (int finished = 0; finished < 2; finished++) {
        struct owner o = { 0 };
        struct pair p = { 0 };
        struct seen s = { .hold = true };
        int64_t due;

        begin(&p, &o, &s);
        send_one(&o, piece, sizeof(piece) / 2);
        send_one(&o, piece, sizeof(piece));
        if (finished)
            finish(&o, VH_GRPC_OK, "");
        assert_ok(pump(&p, &err), err);
        due = vh__grpc_server_due(p.server);
        assert_in_range(due - vh__clock_mono_ns(), 0, IDLE_MS * VH_NS_PER_MS);
        assert_ok(vh__grpc_server_expire(p.server, due, &err), err);
        assert_int_equal(o.gone, !finished);
        assert_ok(pump(&p, &err), err);
        assert_true(s.ended);
        assert_int_equal(s.call.status, VH_GRPC_CANCELLED);
        end(&p, &s);
    }
}

static void bad_messages_end_the_call(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        bool last;
        vh__grpc_status status;
    } cases[] = {
        { "\1\0\0\0\1z", 6, false, VH_GRPC_UNIMPLEMENTED },      /* compressed */
        { "\2\0\0\0\1z", 6, false, VH_GRPC_INTERNAL },           /* neither compressed nor not */
        { "\0\0\1\x86\xa1", 5, false, VH_GRPC_RESOURCE_EXHAUSTED }, /* 100,001 bytes */
        { "\0\0\0\0\5part", 9, true, VH_GRPC_INTERNAL },         /* ends inside a message */
    };
    vh_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(cases); i++) {
        struct owner o = { 0 };
        struct pair p = { 0 };
        struct seen s = { 0 };

        begin(&p, &o, &s);
        vh__buf_append(&s.call.out.bytes, cases[i].bytes, cases[i].n);
        s.call.out.last = cases[i].last;
        if (!cases[i].last)
            assert_ok(vh__grpc_call_send(p.client, &s.call, "", 0, false, &err), err);
        else
            assert_ok(vh__grpc_call_end(p.client, &s.call, &err), err);
        assert_ok(pump(&p, &err), err);
        assert_true(s.ended);
        assert_int_equal(s.call.status, cases[i].status);
        assert_int_equal(o.gone, 1);
        assert_int_equal(o.messages + o.lasts, 0);
        end(&p, &s);
    }
}

static void a_cut_ends_watches_or_all_streams(void **state)
{
    struct owner o = { 0 };
    struct pair p = { 0 };
    struct seen stream = { 0 }, watch = { 0 };
    vh_error err = { 0 };

    (void)state;
    begin(&p, &o, &stream);
    assert_ok(pair_start(&p, &watch, "/t.Test/Watch", &err), err);
    assert_ok(pump(&p, &err), err);
    assert_ok(vh__grpc_server_cut(p.server, true, VH_GRPC_UNAVAILABLE, "over", &err), err);
    assert_ok(pump(&p, &err), err);
    assert_status(&watch, VH_GRPC_UNAVAILABLE, "over");
    assert_false(stream.ended);
    assert_ok(vh__grpc_server_cut(p.server, false, VH_GRPC_UNAVAILABLE, "over", &err), err);
    assert_ok(pump(&p, &err), err);
    assert_status(&stream, VH_GRPC_UNAVAILABLE, "over");
    assert_int_equal(o.gone, 2);
    seen_fini(&watch);
    end(&p, &stream);
}

static void a_reset_is_the_end_for_the_owner(void **state)
{
    struct owner o = { 0 };
    struct pair p = { 0 };
    struct seen s = { 0 };
    vh_error err = { 0 };

    (void)state;
    begin(&p, &o, &s);
    send_one(&o, "unread", 6);
    vh__grpc_call_cancel(p.client, &s.call);
    assert_ok(pump(&p, &err), err);
    assert_int_equal(o.gone, 1);
    assert_int_equal(o.gone_code, VH_ECANCELED);
    assert_false(s.ended);
    end(&p, &s);
}

/* What a peer leaves in the middle is taken off the account that all calls of a connection share. */
static void what_was_taken_makes_room_for_other_calls(void **state)
{
    static const char piece[90000];
    struct owner o = { 0 };
    struct pair p = { 0 };
    struct seen s = { 0 };
    vh_error err = { 0 };

    (void)state;
    begin(&p, &o, &s);
    for (int i = 0; i < 50; i++) {
        assert_ok(vh__grpc_call_send(p.client, &s.call, piece, sizeof(piece), false, &err), err);
        assert_ok(pump(&p, &err), err);
    }
    assert_int_equal(o.bytes, 50 * sizeof(piece));
    assert_int_equal(o.gone, 0);
    end(&p, &s);
}

/* Any allocation of a streaming call may fail: it must end or fail, and neither leak nor crash. */
static void a_streaming_call_survives_any_failing_allocation(void **state)
{
    (void)state;
    for (unsigned i = 1; i < 400; i++) {
        struct owner o = { 0 };
        struct pair p = { 0 };
        struct seen s = { 0 };
        vh_auto_buf vh__buf framed = { 0 };
        vh__rpc_answer answer = { 0 };

        vh__grpc_frame_append(&framed, "hello", 5);
        if (pair_init(&p, &o, NULL) == 0 && pair_start(&p, &s, "/t.Test/Stream", NULL) == 0) {
            failalloc_at(i);
            if (vh__grpc_call_send(p.client, &s.call, "x", 1, true, NULL) == 0 && pump(&p, NULL) == 0 && o.stream &&
                vh__grpc_stream_send(p.server, o.stream, &framed, NULL) == 0 && pump(&p, NULL) == 0 && o.stream &&
                vh__grpc_stream_finish(p.server, o.stream, VH_GRPC_ABORTED, &answer, NULL) == 0)
                vh_ignore(pump(&p, NULL)); /* any of them may have failed */
            failalloc_at(0);
        }
        end(&p, &s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_owner_hears_of_a_call_from_begin_to_last),
        cmocka_unit_test(an_owner_may_refuse_a_call),
        cmocka_unit_test(messages_that_are_held_close_the_window),
        cmocka_unit_test(an_answer_waits_for_a_client_that_holds),
        cmocka_unit_test(time_ends_calls_with_the_right_status),
        cmocka_unit_test(a_unary_request_has_so_much_time_to_become_whole),
        cmocka_unit_test(an_answer_that_nobody_takes_is_reset),
        cmocka_unit_test(bad_messages_end_the_call),
        cmocka_unit_test(a_cut_ends_watches_or_all_streams),
        cmocka_unit_test(a_reset_is_the_end_for_the_owner),
        cmocka_unit_test(what_was_taken_makes_room_for_other_calls),
        cmocka_unit_test(a_streaming_call_survives_any_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
