/* Streaming calls between client and server: both directions, both windows, and every way in which a call ends. */
#include "rpc_fixture.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "clock.h"

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

/* As echo, but it waits by poll(). */
static vh__grpc_status poll_first(vh__rpc_stream *stream, vh__rpc_answer *answer, void *arg)
{
    struct pollfd p = { .fd = vh__rpc_stream_fd(stream), .events = POLLIN };
    vh_auto_buf vh__buf message = { 0 };
    vh__wait none = { .deadline_ns = 0 };

    (void)answer;
    (void)arg;
    for (;;) {
        int rc;

        while (!vh__rpc_stream_ready(stream)) {
            if (poll(&p, 1, 10000) != 1)
                return VH_GRPC_INTERNAL;
        }
        rc = vh__rpc_stream_recv(stream, &message, &none, NULL);
        if (rc == 0)
            return VH_GRPC_OK;
        if (rc < 0 || vh__rpc_stream_send(stream, message.data, message.len, NULL))
            return VH_GRPC_INTERNAL;
    }
}

static void *send_hundred(void *arg)
{
    static const char piece[10000];
    int rc = 0;

    for (int i = 0; !rc && i < 100; i++)
        rc = vh__rpc_stream_send(arg, piece, sizeof(piece), NULL);
    return rc ? arg : NULL;
}

/* Sends and receives at the same time. */
static vh__grpc_status duplex(vh__rpc_stream *stream, vh__rpc_answer *answer, void *arg)
{
    vh_auto_buf vh__buf message = { 0 };
    void *failed = stream;
    pthread_t sender;
    int got = 0;

    (void)answer;
    (void)arg;
    if (pthread_create(&sender, NULL, send_hundred, stream))
        return VH_GRPC_INTERNAL;
    while (vh__rpc_stream_recv(stream, &message, NULL, NULL) > 0)
        got++;
    return pthread_join(sender, &failed) || failed || got != 100 ? VH_GRPC_INTERNAL : VH_GRPC_OK;
}

static const vh__rpc_method methods[] = {
    { .path = "/s.Test/Echo", .stream = echo },
    { .path = "/s.Test/Count", .stream = count },
    { .path = "/s.Test/Flood", .stream = flood },
    { .path = "/s.Test/Linger", .stream = linger },
    { .path = "/s.Test/Watch", .stream = linger, .watch = true },
    { .path = "/s.Test/Explain", .stream = explain },
    { .path = "/s.Test/Poll", .stream = poll_first },
    { .path = "/s.Test/Duplex", .stream = duplex },
};

static void fixture_start(struct fixture *f, vh__rpc_server_options o)
{
    testenv_init(&f->t);
    notes.running = notes.ended_with = notes.sent = 0;
    o.methods = methods;
    o.nmethods = VH_ARRAY_LEN(methods);
    fixture_run(f, &o);
}

static vh__rpc_exchange *open_call(vh__rpc_client *c, const char *path, uint32_t ms)
{
    vh__wait w = vh__wait_from(NULL, ms);
    vh__rpc_exchange *x = NULL;
    vh_error err = { 0 };

    assert_ok(vh__rpc_exchange_open(c, path, &w, &x, &err), err);
    return x;
}

/* A server, a client, and one call between them. */
struct talk {
    struct fixture f;
    vh__rpc_client *c;
    vh__rpc_exchange *x;
};

static void talk_begin(struct talk *t, const char *path, uint32_t ms)
{
    fixture_start(&t->f, (vh__rpc_server_options){ 0 });
    t->c = client_of(&t->f);
    t->x = open_call(t->c, path, ms);
}

static void talk_end(struct talk *t)
{
    vh__rpc_exchange_close(t->x);
    vh__rpc_client_free(t->c);
    fixture_stop(&t->f);
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
            char text[32];

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

/* Every byte has its place, so that a lost or repeated piece shows. */
static char *pattern(size_t n)
{
    char *bytes = malloc(n);

    assert_non_null(bytes);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(i * 31 >> (i & 7));
    return bytes;
}

static void messages_larger_than_every_window_pass(void **state)
{
    const size_t n = 3u << 20;
    vh_auto_free char *big = pattern(n);
    vh_auto_buf vh__buf got = { 0 };
    struct talk t;
    vh__grpc_status status;
    vh_error err = { 0 };

    (void)state;
    talk_begin(&t, "/s.Test/Echo", 30000);
    for (int i = 0; i < 3; i++) {
        assert_ok(vh__rpc_exchange_send(t.x, big, n, i == 2, &err), err);
        assert_int_equal(vh__rpc_exchange_recv(t.x, NULL, &got, &status, &err), 1);
        assert_int_equal(got.len, n);
        assert_memory_equal(got.data, big, n);
    }
    assert_end(t.x, VH_GRPC_OK);
    talk_end(&t);
}

static void all_that_was_sent_before_the_end_arrives(void **state)
{
    static const char piece[5000];
    struct talk t;
    vh_error err = { 0 };

    (void)state;
    talk_begin(&t, "/s.Test/Count", 30000);
    for (int i = 0; i < 200; i++) /* far more than the window, to a handler that is slower */
        assert_ok(vh__rpc_exchange_send(t.x, piece, sizeof(piece), false, &err), err);
    assert_ok(vh__rpc_exchange_end(t.x, &err), err);
    assert_message(t.x, "1000000");
    assert_end(t.x, VH_GRPC_OK);
    talk_end(&t);
}

static void a_handler_that_takes_nothing_holds_the_caller_back(void **state)
{
    static const char piece[10000];
    struct talk t;
    vh_error err = { 0 };
    int sent = 0, rc;

    (void)state;
    talk_begin(&t, "/s.Test/Linger", 300);
    while ((rc = vh__rpc_exchange_send(t.x, piece, sizeof(piece), false, &err)) == 0 && sent < 1000)
        sent++;
    assert_in_range(sent, 1, 7); /* a window of 64 KiB, of which the first message may have been given back */
    if (rc == -EPIPE) /* the server was the first to find the deadline passed */
        assert_end(t.x, VH_GRPC_DEADLINE_EXCEEDED);
    else
        assert_int_equal(rc, VH_ETIMEDOUT);
    talk_end(&t);
}

static void a_caller_that_takes_nothing_holds_the_handler_back(void **state)
{
    vh_auto_buf vh__buf got = { 0 };
    struct talk t;
    vh__grpc_status status;
    vh_error err = { 0 };

    (void)state;
    talk_begin(&t, "/s.Test/Flood", 30000);
    assert_ok(vh__rpc_exchange_send(t.x, "d", 1, true, &err), err);
    usleep(200000);
    assert_in_range(notes.sent, 1, 25); /* a window, and what the loop and the handler are ahead */
    for (int i = 0; i < 'd'; i++) {
        assert_int_equal(vh__rpc_exchange_recv(t.x, NULL, &got, &status, &err), 1);
        assert_int_equal(got.len, 10000);
    }
    assert_end(t.x, VH_GRPC_OK);
    assert_int_equal(notes.sent, 'd');
    talk_end(&t);
}

static void metadata_goes_there_and_details_come_back(void **state)
{
    vh__grpc_metadata words = { 0 };
    struct fixture f;
    vh__rpc_client *c;
    vh__rpc_exchange *x;
    vh_error err = { 0 };

    (void)state;
    vh__grpc_metadata_add(&words, "x-other", 7, "1", 1);
    vh__grpc_metadata_add(&words, "x-word", 6, "a word", 6);
    fixture_start(&f, (vh__rpc_server_options){ 0 });
    c = client_of(&f);
    assert_ok(vh__rpc_client_metadata(c, &words, &err), err);
    vh__grpc_metadata_fini(&words);
    for (int with = 1; with >= 0; with--) { /* with a message before the trailers, and with nothing but them */
        x = open_call(c, "/s.Test/Explain", 10000);
        if (with)
            assert_message(x, "a word");
        assert_end(x, VH_GRPC_FAILED_PRECONDITION);
        assert_string_equal(vh__rpc_exchange_message(x), "100% broken");
        assert_int_equal(vh__rpc_exchange_details(x)->len, 4);
        assert_memory_equal(vh__rpc_exchange_details(x)->data, "\x08\x09\0\xff", 4);
        assert_int_equal(vh__rpc_exchange_send(x, "late", 4, true, &err), -EPIPE);
        vh__rpc_exchange_close(x);
        assert_ok(vh__rpc_client_metadata(c, NULL, &err), err);
    }
    vh__rpc_client_free(c);
    fixture_stop(&f);
}

/* A call of |path| on which the server sees a deadline of 50 ms, while the client has ten seconds. */
static vh__rpc_exchange *open_short_call(vh__rpc_client *c, const char *path)
{
    vh__grpc_metadata timeout = { 0 };
    vh__rpc_exchange *x;
    vh_error err = { 0 };

    vh__grpc_metadata_add(&timeout, "grpc-timeout", 12, "50m", 3);
    assert_ok(vh__rpc_client_metadata(c, &timeout, &err), err);
    x = open_call(c, path, 10000);
    assert_ok(vh__rpc_client_metadata(c, NULL, &err), err);
    vh__grpc_metadata_fini(&timeout);
    return x;
}

static void a_deadline_ends_the_call_and_reaches_the_handler(void **state)
{
    static const struct {
        const char *path;
        int code; /* what the handler sees */
    } cases[] = { { "/s.Test/Linger", VH_ECANCELED }, { "/s.Test/Echo", VH_ETIMEDOUT } };
    struct fixture f;
    vh__rpc_client *c;
    vh__rpc_exchange *x;

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ 0 });
    c = client_of(&f);
    for (size_t i = 0; i < VH_ARRAY_LEN(cases); i++) {
        x = open_short_call(c, cases[i].path);
        assert_end(x, VH_GRPC_DEADLINE_EXCEEDED);
        vh__rpc_exchange_close(x);
        assert_handlers_end();
        assert_int_equal(notes.ended_with, cases[i].code);
    }
    vh__rpc_client_free(c);
    fixture_stop(&f);
}

static void a_deadline_cuts_an_answer_that_nobody_reads(void **state)
{
    vh_auto_buf vh__buf got = { 0 };
    struct fixture f;
    vh__rpc_client *c;
    vh__rpc_exchange *x;
    vh__grpc_status status = VH_GRPC_OK;
    vh_error err = { 0 };
    int rc;

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ 0 });
    c = client_of(&f);
    x = open_short_call(c, "/s.Test/Flood");
    assert_ok(vh__rpc_exchange_end(x, &err), err);
    usleep(200000);
    assert_handlers_end();
    assert_int_equal(notes.ended_with, VH_ETIMEDOUT);
    while ((rc = vh__rpc_exchange_recv(x, NULL, &got, &status, &err)) == 1)
        ;
    assert_ok(rc, err);
    assert_int_equal(status, VH_GRPC_DEADLINE_EXCEEDED);
    vh__rpc_exchange_close(x);
    vh__rpc_client_free(c);
    fixture_stop(&f);
}

static void a_shorter_wait_leaves_the_call_as_it_was(void **state)
{
    vh_auto_buf vh__buf got = { 0 };
    struct fixture f;
    vh__rpc_client *c;
    vh__rpc_exchange *x, *second;
    vh__wait brief;
    vh__grpc_status status;
    vh_error err = { 0 };

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ 0 });
    c = client_of(&f);
    x = open_call(c, "/s.Test/Echo", 10000);
    brief = vh__wait_from(NULL, 30);
    assert_int_equal(vh__rpc_exchange_recv(x, &brief, &got, &status, &err), VH_ETIMEDOUT);
    assert_int_equal(vh__rpc_exchange_open(c, "/s.Test/Echo", &brief, &second, &err), VH_ETIMEDOUT);
    brief = vh__wait_from(NULL, 1000);
    assert_int_equal(vh__rpc_exchange_open(c, "/s.Test/Echo", &brief, &second, &err), VH_ESTATE);
    assert_ok(vh__rpc_exchange_send(x, "x", 1, true, &err), err);
    assert_message(x, "x");
    assert_end(x, VH_GRPC_OK);
    vh__rpc_exchange_close(x);
    vh__rpc_client_free(c);
    fixture_stop(&f);
}

static void a_caller_that_resets_or_goes_ends_its_handlers(void **state)
{
    static const struct {
        const char *path;
        bool gone;
    } cases[] = {
        { "/s.Test/Echo", false },  { "/s.Test/Echo", true },  { "/s.Test/Linger", false },
        { "/s.Test/Linger", true }, { "/s.Test/Flood", false }, { "/s.Test/Flood", true },
    };
    struct fixture f;
    vh__rpc_client *c;
    vh__rpc_exchange *x;
    vh_error err = { 0 };

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ 0 });
    c = client_of(&f);
    for (size_t i = 0; i < VH_ARRAY_LEN(cases); i++) {
        x = open_call(c, cases[i].path, 10000);
        assert_ok(vh__rpc_exchange_send(x, "", 1, false, &err), err);
        while (!notes.running)
            usleep(1000);
        usleep(20000); /* in the midst of it */
        vh__rpc_exchange_close(x);
        if (cases[i].gone) {
            vh__rpc_client_free(c);
            c = client_of(&f);
        }
        assert_handlers_end();
        assert_int_equal(notes.ended_with, VH_ECANCELED);
    }
    x = open_call(c, "/s.Test/Echo", 10000); /* the connection that saw resets goes on */
    assert_ok(vh__rpc_exchange_send(x, "x", 1, true, &err), err);
    assert_message(x, "x");
    vh__rpc_exchange_close(x);
    vh__rpc_client_free(c);
    fixture_stop(&f);
}

static void as_many_calls_stream_as_there_may_be_threads(void **state)
{
    struct fixture f;
    vh__rpc_client *c[3];
    vh__rpc_exchange *x[3];

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ .max_threads = 2 });
    for (int i = 0; i < 3; i++) {
        c[i] = client_of(&f);
        x[i] = open_call(c[i], "/s.Test/Linger", 10000);
        while (notes.running < VH_MIN(i + 1, 2))
            usleep(1000);
    }
    assert_end(x[2], VH_GRPC_RESOURCE_EXHAUSTED);
    vh__rpc_exchange_close(x[2]);
    vh__rpc_exchange_close(x[0]);
    while (notes.running > 1)
        usleep(1000);
    usleep(50000); /* the thread has ended, and the loop has heard of it */
    x[2] = open_call(c[2], "/s.Test/Linger", 10000);
    while (notes.running < 2)
        usleep(1000);
    vh__rpc_exchange_close(x[1]);
    vh__rpc_exchange_close(x[2]);
    for (int i = 0; i < 3; i++)
        vh__rpc_client_free(c[i]);
    fixture_stop(&f);
}

static void stopping_ends_watches_at_once_and_the_rest_after_a_grace(void **state)
{
    struct fixture f;
    vh__rpc_client *c[3];
    vh__rpc_exchange *watch, *echoes, *lingers;
    int64_t begin = vh__clock_mono_ns();
    vh_error err = { 0 };

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ .grace_ms = 500 });
    for (int i = 0; i < 3; i++)
        c[i] = client_of(&f);
    watch = open_call(c[0], "/s.Test/Watch", 10000);
    echoes = open_call(c[1], "/s.Test/Echo", 10000);
    lingers = open_call(c[2], "/s.Test/Linger", 10000);
    while (notes.running < 3)
        usleep(1000);
    vh__rpc_server_stop(f.server);
    assert_end(watch, VH_GRPC_UNAVAILABLE);
    assert_true(vh__clock_mono_ns() - begin < 400 * VH_NS_PER_MS);
    assert_ok(vh__rpc_exchange_send(echoes, "x", 1, true, &err), err);
    assert_message(echoes, "x");
    assert_end(echoes, VH_GRPC_OK);
    assert_end(lingers, VH_GRPC_UNAVAILABLE);
    assert_string_equal(vh__rpc_exchange_message(lingers), "the server stops");
    assert_true(vh__clock_mono_ns() - begin >= 500 * VH_NS_PER_MS);
    vh__rpc_exchange_close(watch);
    vh__rpc_exchange_close(echoes);
    vh__rpc_exchange_close(lingers);
    for (int i = 0; i < 3; i++)
        vh__rpc_client_free(c[i]);
    fixture_join(&f);
    assert_int_equal(notes.running, 0);
}

static void both_ends_can_be_polled(void **state)
{
    struct pollfd p = { .events = POLLIN };
    struct talk t;
    vh_error err = { 0 };

    (void)state;
    talk_begin(&t, "/s.Test/Poll", 10000);
    p.fd = vh__rpc_exchange_fd(t.x);
    for (int i = 0; i < 3; i++) {
        assert_ok(vh__rpc_exchange_send(t.x, "x", 1, i == 2, &err), err);
        while (!vh__rpc_exchange_ready(t.x))
            assert_int_equal(poll(&p, 1, 10000), 1);
        assert_message(t.x, "x");
    }
    while (!vh__rpc_exchange_ready(t.x))
        assert_int_equal(poll(&p, 1, 10000), 1);
    assert_end(t.x, VH_GRPC_OK);
    talk_end(&t);
}

static void one_thread_may_receive_while_another_sends(void **state)
{
    static const char piece[10000];
    vh_auto_buf vh__buf got = { 0 };
    struct talk t;
    vh__grpc_status status;
    vh_error err = { 0 };

    (void)state;
    talk_begin(&t, "/s.Test/Duplex", 30000);
    for (int i = 0; i < 100; i++) {
        assert_ok(vh__rpc_exchange_send(t.x, piece, sizeof(piece), i == 99, &err), err);
        assert_int_equal(vh__rpc_exchange_recv(t.x, NULL, &got, &status, &err), 1);
    }
    assert_end(t.x, VH_GRPC_OK);
    talk_end(&t);
}

/* A peer that is alive answers pings, which ours does while it waits; one that is not is found out. */
static void silent_peers_are_asked_before_their_calls_are_given_up(void **state)
{
    vh_auto_buf vh__buf got = { 0 };
    struct fixture f;
    vh__rpc_client *alive, *dead;
    vh__rpc_exchange *a, *d;
    vh__wait w;
    vh__grpc_status status;
    vh_error err = { 0 };

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ .idle_ms = 100 });
    alive = client_of(&f);
    dead = client_of(&f);
    a = open_call(alive, "/s.Test/Echo", 30000);
    d = open_call(dead, "/s.Test/Linger", 30000);
    w = vh__wait_from(NULL, 700);
    assert_int_equal(vh__rpc_exchange_recv(a, &w, &got, &status, &err), VH_ETIMEDOUT);
    assert_int_equal(notes.running, 1); /* the other's handler has been told */
    assert_int_equal(notes.ended_with, VH_ECANCELED);
    assert_ok(vh__rpc_exchange_send(a, "x", 1, true, &err), err);
    assert_message(a, "x");
    assert_end(a, VH_GRPC_OK);
    assert_int_equal(vh__rpc_exchange_recv(d, NULL, &got, &status, &err), -ECONNRESET);
    vh__rpc_exchange_close(a);
    vh__rpc_exchange_close(d);
    vh__rpc_client_free(alive);
    vh__rpc_client_free(dead);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_pass_one_by_one_in_both_directions),
        cmocka_unit_test(messages_larger_than_every_window_pass),
        cmocka_unit_test(all_that_was_sent_before_the_end_arrives),
        cmocka_unit_test(a_handler_that_takes_nothing_holds_the_caller_back),
        cmocka_unit_test(a_caller_that_takes_nothing_holds_the_handler_back),
        cmocka_unit_test(metadata_goes_there_and_details_come_back),
        cmocka_unit_test(a_deadline_ends_the_call_and_reaches_the_handler),
        cmocka_unit_test(a_deadline_cuts_an_answer_that_nobody_reads),
        cmocka_unit_test(a_shorter_wait_leaves_the_call_as_it_was),
        cmocka_unit_test(a_caller_that_resets_or_goes_ends_its_handlers),
        cmocka_unit_test(as_many_calls_stream_as_there_may_be_threads),
        cmocka_unit_test(stopping_ends_watches_at_once_and_the_rest_after_a_grace),
        cmocka_unit_test(both_ends_can_be_polled),
        cmocka_unit_test(one_thread_may_receive_while_another_sends),
        cmocka_unit_test(silent_peers_are_asked_before_their_calls_are_given_up),
    };
    vh__rpc_server_options o = { .methods = methods, .nmethods = 1 };
    vh__rpc_server *s;

    if (vh__rpc_server_new(&o, &s, NULL) == 0)
        vh__rpc_server_free(s); /* libuv opens two descriptors of the process with its first loop */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
