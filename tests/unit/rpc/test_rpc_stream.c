/* Streaming calls between client and server: both directions, both windows, and every way in which a call ends. */
#include "rpc_fixture.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "clock.h"
#include "path.h"

/* What the handlers of a test leave behind; cleared by fixture_start(). */
static struct notes {
    atomic_int running;
    atomic_int ended_with; /* code that made the last one give up */
    atomic_int sent;       /* messages of the last flood */
} notes;

/* Sends back what it gets. */
static vh__grpc_status echo(vh__rpc_stream *stream, vh__rpc_answer *answer, void *arg)
{
    vh_auto_buf vh__buf message = { 0 };
    vh_error err = { 0 };
    int rc;

    (void)answer;
    (void)arg;
    notes.running++;
    while ((rc = vh__rpc_stream_recv(stream, &message, NULL, &err)) > 0) {
        rc = vh__rpc_stream_send(stream, message.data, message.len, &err);
        if (rc)
            break;
    }
    notes.ended_with = rc;
    notes.running--;
    return VH_GRPC_OK;
}

/* Counts the bytes it gets, taking its time for each message, and tells their number at the end. */
static vh__grpc_status count(vh__rpc_stream *stream, vh__rpc_answer *answer, void *arg)
{
    vh_auto_buf vh__buf message = { 0 };
    size_t total = 0;
    char text[32];
    int n;

    (void)answer;
    (void)arg;
    while (vh__rpc_stream_recv(stream, &message, NULL, NULL) > 0) {
        total += message.len;
        usleep(1000);
    }
    n = snprintf(text, sizeof(text), "%zu", total);
    return vh__rpc_stream_send(stream, text, (size_t)n, NULL) ? VH_GRPC_INTERNAL : VH_GRPC_OK;
}

/* Sends messages of 10,000 bytes for as long as it can, or as many as the first byte of the request says. */
static vh__grpc_status flood(vh__rpc_stream *stream, vh__rpc_answer *answer, void *arg)
{
    vh_auto_buf vh__buf message = { 0 };
    static const char piece[10000];
    int rc = vh__rpc_stream_recv(stream, &message, NULL, NULL);
    int most = rc == 1 && message.len && message.data[0] ? message.data[0] : INT32_MAX;

    (void)answer;
    (void)arg;
    notes.running++;
    for (notes.sent = rc = 0; !rc && notes.sent < most; notes.sent += !rc)
        rc = vh__rpc_stream_send(stream, piece, sizeof(piece), NULL);
    notes.ended_with = rc;
    notes.running--;
    return VH_GRPC_OK;
}

/* Waits for its end by the token of the call, as a handler does that is deep in other calls. */
static vh__grpc_status linger(vh__rpc_stream *stream, vh__rpc_answer *answer, void *arg)
{
    const vh_call *call = vh__rpc_stream_call(stream);
    vh__wait w = vh__wait_from(call, 60000);

    (void)answer;
    (void)arg;
    notes.running++;
    w.deadline_ns += 10 * VH_NS_PER_S; /* the token alone ends it */
    notes.ended_with = vh__wait_sleep(&w, 60000, "linger", NULL);
    notes.running--;
    return VH_GRPC_OK;
}

/* Answers with the metadata "x-word", and fails with all that there is to tell. */
static vh__grpc_status explain(vh__rpc_stream *stream, vh__rpc_answer *answer, void *arg)
{
    const char *word = vh__rpc_stream_metadata(stream, "x-word");

    (void)arg;
    if (vh__rpc_stream_metadata(stream, "x-none"))
        return VH_GRPC_INTERNAL;
    if (word && vh__rpc_stream_send(stream, word, strlen(word), NULL))
        return VH_GRPC_INTERNAL;
    vh__buf_puts(&answer->message, "100% broken");
    vh__buf_append(&answer->details, "\x08\x09\0\xff", 4);
    return VH_GRPC_FAILED_PRECONDITION;
}

static const vh__rpc_method methods[] = {
    { .path = "/s.Test/Echo", .stream = echo },    { .path = "/s.Test/Count", .stream = count },
    { .path = "/s.Test/Flood", .stream = flood },  { .path = "/s.Test/Linger", .stream = linger },
    { .path = "/s.Test/Watch", .stream = linger, .watch = true }, { .path = "/s.Test/Fail", .stream = explain },
};

static void fixture_start(struct fixture *f, vh__rpc_server_options o)
{
    testenv_init(&f->t);
    notes.running = notes.ended_with = notes.sent = 0;
    o.methods = methods;
    o.nmethods = VH_ARRAY_LEN(methods);
    fixture_run(f, &o);
}

static vh__wait seconds(uint32_t n)
{
    return vh__wait_from(NULL, n * 1000);
}

static vh__rpc_exchange *open_call(vh__rpc_client *c, const char *path, uint32_t ms)
{
    vh__wait w = vh__wait_from(NULL, ms);
    vh__rpc_exchange *x = NULL;
    vh_error err = { 0 };

    assert_ok(vh__rpc_exchange_open(c, path, &w, &x, &err), err);
    return x;
}

static void assert_message(vh__rpc_exchange *x, const char *want)
{
    vh_auto_buf vh__buf got = { 0 };
    vh__grpc_status status;
    vh_error err = { 0 };

    assert_int_equal(vh__rpc_exchange_recv(x, NULL, &got, &status, &err), 1);
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.data, want, got.len);
}

static void assert_end(vh__rpc_exchange *x, vh__grpc_status want)
{
    vh_auto_buf vh__buf got = { 0 };
    vh__grpc_status status = VH_GRPC_UNKNOWN;
    vh_error err = { 0 };
    int rc = vh__rpc_exchange_recv(x, NULL, &got, &status, &err);

    if (rc)
        fail_msg("%d: %s", rc, err.msg);
    assert_int_equal(status, want);
}

/* Until no handler runs; fails after ten seconds. */
static void assert_handlers_end(void)
{
    for (int i = 0; i < 1000 && notes.running; i++)
        usleep(10000);
    assert_int_equal(notes.running, 0);
}

static void messages_pass_one_by_one_in_both_directions(void **state)
{
    struct fixture f;
    vh__rpc_client *c;
    vh__rpc_exchange *x;
    vh_error err = { 0 };

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ 0 });
    c = client_of(&f);
    for (int call = 0; call < 3; call++) {
        x = open_call(c, "/s.Test/Echo", 10000);
        for (int i = 0; i < 20; i++) {
            char text[16];

            snprintf(text, sizeof(text), "message %d", i);
            assert_ok(vh__rpc_exchange_send(x, text, strlen(text), i == 19 && call, &err), err);
            assert_message(x, text);
        }
        if (call == 0)
            assert_ok(vh__rpc_exchange_end(x, &err), err);
        assert_end(x, VH_GRPC_OK);
        assert_string_equal(vh__rpc_exchange_message(x), "");
        vh__rpc_exchange_close(x);
    }
    vh__rpc_client_free(c);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_pass_one_by_one_in_both_directions),
    };
    vh__rpc_server_options o = { .methods = methods, .nmethods = 1 };
    vh__rpc_server *s;

    (void)seconds;
    (void)assert_handlers_end;
    if (vh__rpc_server_new(&o, &s, NULL) == 0)
        vh__rpc_server_free(s); /* libuv opens two descriptors of the process with its first loop */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
