/*
 * Peers that mean harm, as raw frames on a real connection: each is refused, reset or closed, costs a bounded amount of
 * memory, leaves no handler behind, and others are served on.
 */
#include "rpc_fixture.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "clock.h"

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION };
enum { END_STREAM = 1, END_HEADERS = 4 };

static atomic_int running; /* handlers */

static vh__grpc_status linger(vh__rpc_stream *stream, vh__rpc_answer *answer, void *arg)
{
    vh__wait w = vh__wait_from(vh__rpc_stream_call(stream), 60000);

    (void)answer;
    (void)arg;
    running++;
    vh_ignore(vh__wait_sleep(&w, 60000, "linger", NULL));
    running--;
    return VH_GRPC_OK;
}

static vh__grpc_status flood(vh__rpc_stream *stream, vh__rpc_answer *answer, void *arg)
{
    static const char piece[10000];

    (void)answer;
    (void)arg;
    running++;
    while (vh__rpc_stream_send(stream, piece, sizeof(piece), NULL) == 0)
        ;
    running--;
    return VH_GRPC_OK;
}

static vh__grpc_status echo(const vh__rpc_request *request, vh__rpc_answer *answer, void *arg)
{
    (void)arg;
    vh__buf_append(&answer->body, request->body, request->len);
    return VH_GRPC_OK;
}

static const vh__rpc_method methods[] = {
    { .path = "/h/Echo", .handler = echo },
    { .path = "/h/Wait", .stream = linger },
    { .path = "/h/Pour", .stream = flood },
};

static void fixture_start(struct fixture *f, vh__rpc_server_options o)
{
    testenv_init(&f->t);
    o.methods = methods;
    o.nmethods = VH_ARRAY_LEN(methods);
    fixture_run(f, &o);
}

/* What goes to the server: frames one after the other. */
static void put_frame(vh__buf *out, int type, int flags, uint32_t stream, const void *payload, size_t n)
{
    const uint8_t head[9] = { (uint8_t)(n >> 16),      (uint8_t)(n >> 8), (uint8_t)n,
                              (uint8_t)type,           (uint8_t)flags,    (uint8_t)(stream >> 24),
                              (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream };

    vh__buf_append(out, head, sizeof(head));
    vh__buf_append(out, payload, n);
}

/* The header block of a call of |path|, in literals that no table remembers. */
static void put_block(vh__buf *out, const char *path)
{
    vh__buf_puts(out, "\x83\x86\x01\x01h"); /* POST, http, :authority "h" */
    vh__buf_printf(out, "\x04%c%s", (char)strlen(path), path);
    vh__buf_puts(out, "\x0f\x10\x10" "application/grpc");
}

static void put_call(vh__buf *out, uint32_t stream, const char *path, int flags)
{
    vh_auto_buf vh__buf block = { 0 };

    put_block(&block, path);
    put_frame(out, HEADERS, END_HEADERS | flags, stream, block.data, block.len);
}

static void put_preface(vh__buf *out)
{
    vh__buf_puts(out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    put_frame(out, SETTINGS, 0, 0, "", 0);
}

/* Sends |out| as long as the server takes it; it may close at any moment. */
static void pour(int fd, vh__buf *out)
{
    size_t sent = 0;

    while (sent < out->len) {
        ssize_t n = send(fd, out->data + sent, out->len - sent, MSG_NOSIGNAL);

        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    vh__buf_clear(out);
}

/* Reads until |type| with |stream| came, or the end: true if it came; its payload is left in |payload|. */
static bool await_frame(int fd, int type, uint32_t stream, vh__buf *payload)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    for (;;) {
        uint8_t head[9];
        size_t n;

        if (poll(&p, 1, 10000) != 1 || recv(fd, head, 9, MSG_WAITALL) != 9)
            return false;
        n = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        vh__buf_clear(payload);
        if (!vh__buf_reserve(payload, n) || recv(fd, payload->data, n, MSG_WAITALL) != (ssize_t)n)
            return false;
        payload->len = n;
        if (head[3] == type && head[8] == stream)
            return true;
    }
}

static uint32_t code_of(const vh__buf *payload, size_t at)
{
    const uint8_t *p = (const uint8_t *)payload->data + at;

    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void assert_serves(const struct fixture *f)
{
    vh__wait w = vh__wait_from(NULL, 20000);
    vh__rpc_client *c = client_of(f);
    vh__rpc_reply reply = { 0 };
    vh_error err = { 0 };

    assert_ok(vh__rpc_call(c, "/h/Echo", "you", 3, &w, &reply, &err), err);
    assert_int_equal(reply.status, VH_GRPC_OK);
    assert_int_equal(reply.body.len, 3);
    vh__rpc_reply_fini(&reply);
    vh__rpc_client_free(c);
}

static void assert_handlers_end(void)
{
    for (int i = 0; i < 1000 && running; i++)
        usleep(10000);
    assert_int_equal(running, 0);
}

/* Resident memory of this process, server included. */
static long resident_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long pages = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*d %ld", &pages), 1);
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Sanitizers keep what was freed, so that memory tells nothing about the server. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GROWTH_KIB (1 << 20)
#else
#define GROWTH_KIB (8 << 10)
#endif

static void frames_that_break_the_protocol_close_the_connection(void **state)
{
    struct fixture f;
    vh__buf bad[7] = { 0 };

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ 0 });
    for (size_t i = 0; i < VH_ARRAY_LEN(bad); i++)
        put_preface(&bad[i]);
    put_frame(&bad[0], DATA, 0, 0, "x", 1);                 /* data of no stream */
    put_call(&bad[1], 2, "/h/Echo", 0);                     /* a stream that only a server opens */
    put_frame(&bad[2], SETTINGS, 0, 0, "12345", 5);         /* no multiple of six */
    put_frame(&bad[3], WINDOW_UPDATE, 0, 0, "\0\0\0\0", 4); /* by nothing */
    put_frame(&bad[4], DATA, 0, 1, "x", 1);                 /* of a stream that is not open */
    put_frame(&bad[5], PUSH, END_HEADERS, 1, "\0\0\0\2", 4);
    put_frame(&bad[6], HEADERS, 0, 1, "\x83", 1); /* the rest of the headers must follow at once */
    put_frame(&bad[6], PING, 0, 0, "12345678", 8);
    for (size_t i = 0; i < VH_ARRAY_LEN(bad); i++) {
        vh_auto_buf vh__buf payload = { 0 };
        int fd = dial(vh__rpc_server_port(f.server));

        pour(fd, &bad[i]);
        vh__buf_fini(&bad[i]);
        if (!await_frame(fd, GOAWAY, 0, &payload))
            print_message("case %zu: closed without a word\n", i);
        else
            assert_int_not_equal(code_of(&payload, 4), 0);
        assert_closed(fd);
        assert_serves(&f);
    }
    assert_handlers_end();
    fixture_stop(&f);
}

static void what_is_not_grpc_starts_no_handler(void **state)
{
    static const char *const blocks[] = {
        "\x82\x86\x01\x01h\x04\x07/h/Wait\x0f\x10\x10" "application/grpc", /* GET */
        "\x83\x86\x01\x01h\x04\x07/h/Wait\x0f\x10\x09text/html",
        "\x83\x86\x01\x01h\x04\x07/h/Wait",
    };
    struct fixture f;

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ 0 });
    for (size_t i = 0; i < VH_ARRAY_LEN(blocks); i++) {
        vh_auto_buf vh__buf out = { 0 }, payload = { 0 };
        int fd = dial(vh__rpc_server_port(f.server));

        put_preface(&out);
        put_frame(&out, HEADERS, END_HEADERS, 1, blocks[i], strlen(blocks[i]));
        pour(fd, &out);
        assert_true(await_frame(fd, HEADERS, 1, &payload)); /* an HTTP status, which is all that it has */
        assert_in_range(payload.len, 1, 8);
        assert_int_equal(running, 0);
        close(fd);
    }
    assert_serves(&f);
    fixture_stop(&f);
}

/* The messages are empty, and thousands; their handler takes none. */
static void more_than_the_window_has_room_for_is_reset(void **state)
{
    static const char zeros[16384];
    vh_auto_buf vh__buf out = { 0 }, payload = { 0 };
    struct fixture f;
    long before;
    int fd;

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ 0 });
    assert_serves(&f);
    before = resident_kib();
    fd = dial(vh__rpc_server_port(f.server));
    put_preface(&out);
    put_call(&out, 1, "/h/Wait", 0);
    for (int i = 0; i < 5; i++)
        put_frame(&out, DATA, 0, 1, zeros, sizeof(zeros));
    pour(fd, &out);
    assert_true(await_frame(fd, RST_STREAM, 1, &payload));
    assert_int_equal(code_of(&payload, 0), 3); /* FLOW_CONTROL_ERROR */
    assert_handlers_end();
    assert_true(resident_kib() - before < GROWTH_KIB);
    close(fd);
    fixture_stop(&f);
}

static void a_flood_of_resets_is_cut_off(void **state)
{
    vh_auto_buf vh__buf out = { 0 };
    struct fixture f;
    long before;
    int fd;

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ 0 });
    assert_serves(&f);
    before = resident_kib();
    fd = dial(vh__rpc_server_port(f.server));
    put_preface(&out);
    for (uint32_t i = 1; i < 20000; i += 2) { /* of calls that would have a thread each */
        put_call(&out, i, "/h/Wait", 0);
        put_frame(&out, RST_STREAM, 0, i, "\0\0\0\x8", 4);
        pour(fd, &out);
    }
    assert_closed(fd);
    assert_handlers_end();
    assert_serves(&f);
    assert_true(resident_kib() - before < GROWTH_KIB);
    fixture_stop(&f);
}

static void a_header_bomb_costs_no_memory(void **state)
{
    static char value[3900];
    vh_auto_buf vh__buf out = { 0 }, block = { 0 }, payload = { 0 };
    struct fixture f;
    long before;
    int fd;

    (void)state;
    memset(value, 'v', sizeof(value));
    fixture_start(&f, (vh__rpc_server_options){ 0 });
    assert_serves(&f);
    before = resident_kib();
    put_block(&block, "/h/Wait");
    vh__buf_append(&block, "\x40\1b\x7f\xbd\x1d", 6); /* "b": 3,900 bytes, to be remembered */
    vh__buf_append(&block, value, sizeof(value));
    while (block.len < 16000)
        vh__buf_puts(&block, "\xbe"); /* and again, 12,000 times */
    fd = dial(vh__rpc_server_port(f.server));
    put_preface(&out);
    put_frame(&out, HEADERS, END_HEADERS, 1, block.data, block.len);
    pour(fd, &out);
    assert_true(await_frame(fd, RST_STREAM, 1, &payload) || payload.len == 0);
    assert_serves(&f);
    assert_true(resident_kib() - before < GROWTH_KIB);
    assert_int_equal(running, 0);
    close(fd);
    fixture_stop(&f);
}

static void headers_without_end_are_cut_off(void **state)
{
    vh_auto_buf vh__buf out = { 0 }, block = { 0 };
    struct fixture f;
    long before;
    int fd;

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ 0 });
    assert_serves(&f);
    before = resident_kib();
    while (block.len < 16000)
        vh__buf_append(&block, "\0\1x\1y", 5);
    fd = dial(vh__rpc_server_port(f.server));
    put_preface(&out);
    put_frame(&out, HEADERS, 0, 1, "\x83\x86", 2);
    for (int i = 0; i < 2000; i++) {
        put_frame(&out, CONTINUATION, 0, 1, block.data, block.len);
        pour(fd, &out);
    }
    assert_closed(fd);
    assert_serves(&f);
    assert_true(resident_kib() - before < GROWTH_KIB);
    fixture_stop(&f);
}

static void a_thousand_calls_at_once_are_refused_beyond_the_limits(void **state)
{
    vh_auto_buf vh__buf out = { 0 }, payload = { 0 };
    struct fixture f;
    int fd;

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ .max_threads = 10 });
    fd = dial(vh__rpc_server_port(f.server));
    put_preface(&out);
    pour(fd, &out);
    assert_true(await_frame(fd, SETTINGS, 0, &payload)); /* from now on the limit of streams holds */
    put_frame(&out, SETTINGS, 1, 0, "", 0);
    for (uint32_t i = 1; i < 2000; i += 2)
        put_call(&out, i, "/h/Wait", 0);
    pour(fd, &out);
    put_frame(&out, PING, 0, 0, "12345678", 8);
    pour(fd, &out);
    if (await_frame(fd, PING, 0, &payload)) /* all is taken in, if the connection was not closed for it */
        assert_in_range(running, 0, 10);
    assert_serves(&f);
    close(fd);
    assert_handlers_end();
    fixture_stop(&f);
}

static void a_window_that_never_opens_is_given_up(void **state)
{
    vh_auto_buf vh__buf out = { 0 }, payload = { 0 };
    struct fixture f;
    int64_t begin = vh__clock_mono_ns();
    int fd;

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ .idle_ms = 300 });
    fd = dial(vh__rpc_server_port(f.server));
    vh__buf_puts(&out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    put_frame(&out, SETTINGS, 0, 0, "\0\4\0\0\0\0", 6); /* no byte of any answer is welcome */
    put_call(&out, 1, "/h/Pour", END_STREAM);
    put_call(&out, 3, "/h/Echo", 0);
    put_frame(&out, DATA, END_STREAM, 3, "\0\0\0\0\1x", 6);
    pour(fd, &out);
    for (int i = 0; i < 2; i++) { /* it is awake, and asks for nothing */
        usleep(100000);
        put_frame(&out, PING, 0, 0, "12345678", 8);
        pour(fd, &out);
    }
    assert_true(await_frame(fd, RST_STREAM, 1, &payload) || await_frame(fd, RST_STREAM, 3, &payload));
    assert_int_equal(code_of(&payload, 0), 8); /* CANCEL */
    assert_handlers_end();
    assert_in_range(vh__clock_mono_ns() - begin, 300 * VH_NS_PER_MS, 5 * VH_NS_PER_S);
    assert_serves(&f);
    close(fd);
    fixture_stop(&f);
}

/* Byte by byte, |n| of them at most; false once the server has closed. */
static bool dribble(int fd, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char drop[256];
        ssize_t got;

        if (send(fd, bytes + i, 1, MSG_NOSIGNAL) != 1)
            return false;
        usleep(30000);
        got = recv(fd, drop, sizeof(drop), MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            return false;
    }
    return true;
}

static void headers_byte_by_byte_are_not_waited_for(void **state)
{
    vh_auto_buf vh__buf out = { 0 };
    struct fixture f;
    int fd;

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ .idle_ms = 200 });
    fd = dial(vh__rpc_server_port(f.server));
    put_preface(&out);
    pour(fd, &out);
    put_call(&out, 1, "/h/Echo", 0);
    assert_false(dribble(fd, out.data, out.len)); /* 1.3 s in all */
    close(fd);
    assert_serves(&f);
    fixture_stop(&f);
}

static void a_request_that_takes_too_long_is_answered_so(void **state)
{
    vh_auto_buf vh__buf out = { 0 }, payload = { 0 };
    struct fixture f;
    int fd;

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ .idle_ms = 200 });
    fd = dial(vh__rpc_server_port(f.server));
    put_preface(&out);
    put_call(&out, 1, "/h/Echo", 0);
    put_frame(&out, DATA, 0, 1, "\0\0\1\0\0", 5);
    pour(fd, &out);
    for (int i = 0; i < 10; i++) { /* whole frames, each of which is progress of the connection */
        put_frame(&out, DATA, 0, 1, "x", 1);
        pour(fd, &out);
        usleep(30000);
    }
    assert_true(await_frame(fd, HEADERS, 1, &payload));
    assert_non_null(memmem(payload.data, payload.len, "\x01" "4", 2)); /* grpc-status: DEADLINE_EXCEEDED, as text */
    assert_true(await_frame(fd, RST_STREAM, 1, &payload));
    assert_int_equal(code_of(&payload, 0), 0);
    close(fd);
    assert_serves(&f);
    fixture_stop(&f);
}

/* Many connections at once that hold calls and go without a word. */
static void callers_that_vanish_leave_nothing(void **state)
{
    vh_auto_buf vh__buf out = { 0 };
    struct fixture f;
    int fds[40];

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ 0 });
    for (size_t i = 0; i < VH_ARRAY_LEN(fds); i++) {
        fds[i] = dial(vh__rpc_server_port(f.server));
        put_preface(&out);
        put_call(&out, 1, i % 2 ? "/h/Wait" : "/h/Pour", 0);
        put_frame(&out, DATA, 0, 1, "\0\0\1\0\0half", 9);
        pour(fds[i], &out);
    }
    while (running < (int)VH_ARRAY_LEN(fds))
        usleep(1000);
    for (size_t i = 0; i < VH_ARRAY_LEN(fds); i++)
        close(fds[i]);
    assert_handlers_end();
    assert_serves(&f);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_that_break_the_protocol_close_the_connection),
        cmocka_unit_test(what_is_not_grpc_starts_no_handler),
        cmocka_unit_test(more_than_the_window_has_room_for_is_reset),
        cmocka_unit_test(a_flood_of_resets_is_cut_off),
        cmocka_unit_test(a_header_bomb_costs_no_memory),
        cmocka_unit_test(headers_without_end_are_cut_off),
        cmocka_unit_test(a_thousand_calls_at_once_are_refused_beyond_the_limits),
        cmocka_unit_test(a_window_that_never_opens_is_given_up),
        cmocka_unit_test(headers_byte_by_byte_are_not_waited_for),
        cmocka_unit_test(a_request_that_takes_too_long_is_answered_so),
        cmocka_unit_test(callers_that_vanish_leave_nothing),
    };
    vh__rpc_server_options o = { .methods = methods, .nmethods = 1 };
    vh__rpc_server *s;

    if (vh__rpc_server_new(&o, &s, NULL) == 0)
        vh__rpc_server_free(s); /* libuv opens two descriptors of the process with its first loop */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
