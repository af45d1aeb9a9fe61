/* The agent protocol: what goes in comes out, and nothing else does. */
#include "testenv.h"

#include <stdlib.h>
#include <string.h>

#include "agent.h"

static vh__agent_decoder *decoder(vh__agent_from from)
{
    vh__agent_decoder *d = test_malloc(sizeof(*d));

    vh__agent_decoder_init(d, from);
    return d;
}

static void feed(vh__agent_decoder *d, const void *bytes, size_t n)
{
    size_t room;
    void *to = vh__agent_decoder_space(d, &room);

    assert_true(n <= room);
    memcpy(to, bytes, n);
    vh__agent_decoder_fed(d, n);
}

/* Encodes |m| and decodes it again into |out|. */
static void round_trip(vh__agent_decoder *d, const vh__agent_msg *m, vh__agent_msg *out)
{
    static uint8_t frame[VH_AGENT_FRAME_MAX];
    size_t n = vh__agent_encode(m, frame, sizeof(frame));

    assert_true(n >= VH_AGENT_HEADER);
    feed(d, frame, n);
    assert_int_equal(vh__agent_decoder_next(d, out), 1);
    assert_int_equal(out->type, m->type);
    assert_int_equal(out->stream, m->stream);
}

static void start_survives_the_way(void **state)
{
    const char *argv[] = { "/bin/server", "", "--x" }, *env[] = { "A=1", "B=two words" }, *dns[] = { "10.0.0.1" };
    vh__agent_msg m = { .type = VH_AGENT_START }, got;
    vh__agent_decoder *d = decoder(VH_AGENT_FROM_HOST);

    (void)state;
    m.start = (vh__agent_start){
        .argv = { argv, 3 }, .env = { env, 2 }, .cwd = "/srv", .user = "web:33", .hostname = "fn",
        .guest_ip = { 172, 16, 0, 2 }, .guest_prefix = 30, .gateway_ip = { 172, 16, 0, 1 },
        .gateway_mac = { 2, 0, 0, 0, 0, 1 }, .dns = { dns, 1 }, .port = 8080, .tmpfs_bytes = 1ull << 33,
        .stop_signal = 3, .realtime_ns = -5, .seed = { [0] = 7, [63] = 9 },
    };
    round_trip(d, &m, &got);
    assert_int_equal(got.start.argv.n, 3);
    assert_string_equal(got.start.argv.v[0], "/bin/server");
    assert_string_equal(got.start.argv.v[1], "");
    assert_string_equal(got.start.argv.v[2], "--x");
    assert_null(got.start.argv.v[3]);
    assert_int_equal(got.start.env.n, 2);
    assert_string_equal(got.start.env.v[1], "B=two words");
    assert_null(got.start.env.v[2]);
    assert_ptr_equal(got.start.env.v[1], got.start.env.v[0] + strlen("A=1") + 1);
    assert_string_equal(got.start.cwd, "/srv");
    assert_string_equal(got.start.user, "web:33");
    assert_string_equal(got.start.hostname, "fn");
    assert_memory_equal(got.start.guest_ip, m.start.guest_ip, 4);
    assert_memory_equal(got.start.gateway_mac, m.start.gateway_mac, 6);
    assert_int_equal(got.start.guest_prefix, 30);
    assert_string_equal(got.start.dns.v[0], "10.0.0.1");
    assert_int_equal(got.start.port, 8080);
    assert_true(got.start.tmpfs_bytes == 1ull << 33);
    assert_int_equal(got.start.stop_signal, 3);
    assert_true(got.start.realtime_ns == -5);
    assert_memory_equal(got.start.seed, m.start.seed, VH_AGENT_SEED);
    test_free(d);
}

static void restored_survives_the_way(void **state)
{
    const char *env[] = { "POD=x" };
    vh__agent_msg m = { .type = VH_AGENT_RESTORED }, got;
    vh__agent_decoder *d = decoder(VH_AGENT_FROM_HOST);

    (void)state;
    m.restored = (vh__agent_restored){ .realtime_ns = 1ll << 60, .seed = { 1, 2 }, .generation = ~0ull,
                                       .env = { env, 1 } };
    round_trip(d, &m, &got);
    assert_true(got.restored.realtime_ns == 1ll << 60 && got.restored.generation == ~0ull);
    assert_memory_equal(got.restored.seed, m.restored.seed, VH_AGENT_SEED);
    assert_int_equal(got.restored.env.n, 1);
    assert_string_equal(got.restored.env.v[0], "POD=x");
    test_free(d);
}

static void short_messages_survive_the_way(void **state)
{
    vh__agent_decoder *host = decoder(VH_AGENT_FROM_HOST), *guest = decoder(VH_AGENT_FROM_GUEST);
    vh__agent_msg m, got;

    (void)state;
    m = (vh__agent_msg){ .type = VH_AGENT_SIGNAL, .signal.number = 10 };
    round_trip(host, &m, &got);
    assert_int_equal(got.signal.number, 10);
    m = (vh__agent_msg){ .type = VH_AGENT_STOP, .stop = { .signal = 15, .grace_ms = 2500 } };
    round_trip(host, &m, &got);
    assert_true(got.stop.signal == 15 && got.stop.grace_ms == 2500);
    m = (vh__agent_msg){ .type = VH_AGENT_ADJUST, .adjust.delta_ns = -60000000 };
    round_trip(host, &m, &got);
    assert_true(got.adjust.delta_ns == -60000000);
    m = (vh__agent_msg){ .type = VH_AGENT_HELLO, .hello = { 1, "0.1", 99 } };
    round_trip(guest, &m, &got);
    assert_true(got.hello.version == 1 && got.hello.boottime_ns == 99);
    assert_string_equal(got.hello.agent_version, "0.1");
    m = (vh__agent_msg){ .type = VH_AGENT_STARTED, .started.pid = 77 };
    round_trip(guest, &m, &got);
    assert_int_equal(got.started.pid, 77);
    m = (vh__agent_msg){ .type = VH_AGENT_OUTPUT, .stream = VH_AGENT_STDERR, .output = { "a\0b", 3 } };
    round_trip(guest, &m, &got);
    assert_int_equal(got.output.len, 3);
    assert_memory_equal(got.output.data, "a\0b", 3);
    m = (vh__agent_msg){ .type = VH_AGENT_EXITED, .exited = { .code = 1, .signal = 9, .oom = 1 } };
    round_trip(guest, &m, &got);
    assert_true(got.exited.code == 1 && got.exited.signal == 9 && got.exited.oom == 1);
    m = (vh__agent_msg){ .type = VH_AGENT_ERROR, .error = { "exec", "not found" } };
    round_trip(guest, &m, &got);
    assert_string_equal(got.error.stage, "exec");
    assert_string_equal(got.error.text, "not found");
    m = (vh__agent_msg){ .type = VH_AGENT_LOG, .log.text = "x" };
    round_trip(guest, &m, &got);
    assert_string_equal(got.log.text, "x");
    m = (vh__agent_msg){ .type = VH_AGENT_PONG, .pong = { 4, 5 } };
    round_trip(guest, &m, &got);
    assert_true(got.pong.generation == 4 && got.pong.realtime_ns == 5);
    test_free(host);
    test_free(guest);
}

static void an_exec_survives_the_way(void **state)
{
    const char *argv[] = { "sh", "-c", "ls" }, *env[] = { "TERM=xterm" };
    vh__agent_decoder *host = decoder(VH_AGENT_FROM_HOST);
    vh__agent_msg m = { .type = VH_AGENT_EXEC, .stream = 65535 }, got;

    (void)state;
    m.exec = (vh__agent_exec){ .argv = { argv, 3 }, .env = { env, 1 }, .cwd = "/tmp", .user = "0", .tty = 1,
                               .rows = 50, .cols = 132 };
    round_trip(host, &m, &got);
    assert_int_equal(got.exec.argv.n, 3);
    assert_string_equal(got.exec.argv.v[2], "ls");
    assert_string_equal(got.exec.env.v[0], "TERM=xterm");
    assert_string_equal(got.exec.cwd, "/tmp");
    assert_string_equal(got.exec.user, "0");
    assert_true(got.exec.tty == 1 && got.exec.rows == 50 && got.exec.cols == 132);
    m = (vh__agent_msg){ .type = VH_AGENT_EXEC_INPUT, .stream = 7, .exec_data = { "x", 1 } };
    round_trip(host, &m, &got);
    assert_memory_equal(got.exec_data.data, "x", 1);
    m.exec_data.len = 0; /* the end of the input */
    round_trip(host, &m, &got);
    assert_int_equal(got.exec_data.len, 0);
    m = (vh__agent_msg){ .type = VH_AGENT_EXEC_CREDIT, .stream = 7, .exec_credit = { 4096, 1 } };
    round_trip(host, &m, &got);
    assert_true(got.exec_credit.out == 4096 && got.exec_credit.err == 1);
    m = (vh__agent_msg){ .type = VH_AGENT_EXEC_RESIZE, .stream = 7, .exec_resize = { 24, 80 } };
    round_trip(host, &m, &got);
    assert_true(got.exec_resize.rows == 24 && got.exec_resize.cols == 80);
    m = (vh__agent_msg){ .type = VH_AGENT_EXEC_SIGNAL, .stream = 7, .signal.number = 2 };
    round_trip(host, &m, &got);
    assert_int_equal(got.signal.number, 2);
    m = (vh__agent_msg){ .type = VH_AGENT_EXEC_CLOSE, .stream = 7 };
    round_trip(host, &m, &got);
    test_free(host);
}

static void what_an_exec_says_survives_the_way(void **state)
{
    vh__agent_decoder *guest = decoder(VH_AGENT_FROM_GUEST);
    vh__agent_msg m = { .type = VH_AGENT_EXEC_STDOUT, .stream = 9, .exec_data = { "a\0b", 3 } }, got;

    (void)state;
    round_trip(guest, &m, &got);
    assert_memory_equal(got.exec_data.data, "a\0b", 3);
    m = (vh__agent_msg){ .type = VH_AGENT_EXEC_STDERR, .stream = 9, .exec_data = { "e", 1 } };
    round_trip(guest, &m, &got);
    assert_int_equal(got.exec_data.len, 1);
    m = (vh__agent_msg){ .type = VH_AGENT_EXEC_TAKEN, .stream = 9, .exec_taken.bytes = 77 };
    round_trip(guest, &m, &got);
    assert_int_equal(got.exec_taken.bytes, 77);
    m = (vh__agent_msg){ .type = VH_AGENT_EXEC_EXITED, .stream = 9, .exec_exited = { 127, 0, "not found" } };
    round_trip(guest, &m, &got);
    assert_true(got.exec_exited.code == 127 && got.exec_exited.signal == 0);
    assert_string_equal(got.exec_exited.text, "not found");
    test_free(guest);
}

static void messages_without_content_are_a_header(void **state)
{
    static const struct {
        vh__agent_type type;
        vh__agent_from from;
    } bare[] = {
        { VH_AGENT_QUIESCE, VH_AGENT_FROM_HOST }, { VH_AGENT_RESUMED, VH_AGENT_FROM_HOST },
        { VH_AGENT_PING, VH_AGENT_FROM_HOST },    { VH_AGENT_READY, VH_AGENT_FROM_GUEST },
        { VH_AGENT_QUIESCED, VH_AGENT_FROM_GUEST },
    };
    uint8_t frame[VH_AGENT_HEADER];
    vh__agent_msg got;

    (void)state;
    for (size_t i = 0; i < sizeof(bare) / sizeof(bare[0]); i++) {
        vh__agent_decoder *d = decoder(bare[i].from);

        assert_int_equal(vh__agent_encode(&(vh__agent_msg){ .type = bare[i].type }, frame, sizeof(frame)),
                         VH_AGENT_HEADER);
        round_trip(d, &(vh__agent_msg){ .type = bare[i].type }, &got);
        test_free(d);
    }
}

static void absent_fields_are_empty_and_never_null(void **state)
{
    static const uint8_t frame[] = { 'V', 'H', 'A', '1', VH_AGENT_START, 0, 0, 0, 0, 0, 0, 0 };
    vh__agent_decoder *d = decoder(VH_AGENT_FROM_HOST);
    vh__agent_msg got;

    (void)state;
    feed(d, frame, sizeof(frame));
    assert_int_equal(vh__agent_decoder_next(d, &got), 1);
    assert_string_equal(got.start.cwd, "");
    assert_string_equal(got.start.hostname, "");
    assert_int_equal(got.start.env.n, 0);
    assert_null(got.start.env.v[0]);
    assert_int_equal(got.start.port, 0);
    test_free(d);
}

static void bytes_may_come_one_by_one(void **state)
{
    vh__agent_msg m = { .type = VH_AGENT_ERROR, .error = { "net", "no link" } }, got;
    vh__agent_decoder *d = decoder(VH_AGENT_FROM_GUEST);
    uint8_t frame[128];
    size_t n = vh__agent_encode(&m, frame, sizeof(frame));

    (void)state;
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < n; i++) {
            feed(d, frame + i, 1);
            assert_int_equal(vh__agent_decoder_next(d, &got), i + 1 == n);
        }
    assert_string_equal(got.error.text, "no link");
    test_free(d);
}

static void several_frames_may_come_at_once(void **state)
{
    vh__agent_decoder *d = decoder(VH_AGENT_FROM_GUEST);
    uint8_t frames[256];
    vh__agent_msg got;
    size_t n = 0;

    (void)state;
    for (uint32_t pid = 1; pid <= 3; pid++)
        n += vh__agent_encode(&(vh__agent_msg){ .type = VH_AGENT_STARTED, .started.pid = pid }, frames + n,
                              sizeof(frames) - n);
    feed(d, frames, n);
    for (uint32_t pid = 1; pid <= 3; pid++) {
        assert_int_equal(vh__agent_decoder_next(d, &got), 1);
        assert_int_equal(got.started.pid, pid);
    }
    assert_int_equal(vh__agent_decoder_next(d, &got), 0);
    test_free(d);
}

/* Feeds |n| raw bytes and expects death because of |why|. */
static void expect_death(const uint8_t *bytes, size_t n, vh__agent_from from, const char *why)
{
    vh__agent_decoder *d = decoder(from);
    vh__agent_msg got;

    feed(d, bytes, n);
    assert_int_equal(vh__agent_decoder_next(d, &got), -1);
    assert_string_equal(d->error, why);
    assert_int_equal(vh__agent_decoder_next(d, &got), -1);
    test_free(d);
}

static void garbage_kills_a_decoder(void **state)
{
    static const uint8_t ping[] = { 'V', 'H', 'A', '1', VH_AGENT_PING, 0, 0, 0, 0, 0, 0, 0 };
    uint8_t bad[sizeof(ping)];

    (void)state;
    expect_death((const uint8_t *)"login: guest\n", 13, VH_AGENT_FROM_GUEST, "bytes that are no frame");
    expect_death(ping, sizeof(ping), VH_AGENT_FROM_GUEST, "a message of no known type");
    memcpy(bad, ping, sizeof(bad));
    bad[4] = 0x2f;
    expect_death(bad, sizeof(bad), VH_AGENT_FROM_HOST, "a message of no known type");
    memcpy(bad, ping, sizeof(bad));
    bad[6] = 1;
    expect_death(bad, sizeof(bad), VH_AGENT_FROM_HOST, "a stream of no known number");
    memcpy(bad, ping, sizeof(bad));
    bad[4] = VH_AGENT_EXEC_CLOSE; /* of no exec */
    expect_death(bad, sizeof(bad), VH_AGENT_FROM_HOST, "a stream of no known number");
    memcpy(bad, ping, sizeof(bad));
    bad[10] = 1; /* 65536 bytes of body */
    expect_death(bad, sizeof(bad), VH_AGENT_FROM_HOST, "a frame that is too long");
}

/* A frame of |type| with the given body. */
static void expect_body_death(vh__agent_type type, const char *body, size_t n, const char *why)
{
    uint8_t frame[256] = { 'V', 'H', 'A', '1', (uint8_t)type };

    frame[8] = (uint8_t)n;
    memcpy(frame + VH_AGENT_HEADER, body, n);
    expect_death(frame, VH_AGENT_HEADER + n, VH_AGENT_FROM_HOST, why);
}

static void bad_fields_kill_a_decoder(void **state)
{
    (void)state;
    expect_body_death(VH_AGENT_SIGNAL, "\1\0\4", 3, "a field that is cut");
    expect_body_death(VH_AGENT_SIGNAL, "\1\0\4\0\0\0\0\0", 8, "a field longer than its message");
    expect_body_death(VH_AGENT_SIGNAL, "\1\0\xff\xff\xff\xff", 6, "a field longer than its message");
    expect_body_death(VH_AGENT_SIGNAL, "\1\0\2\0\0\0\0\0", 8, "a number of the wrong size");
    expect_body_death(VH_AGENT_SIGNAL, "\1\0\4\0\0\0abcd\1\0\4\0\0\0abcd", 20, "a field twice");
    expect_body_death(VH_AGENT_START, "\3\0\2\0\0\0ab", 8, "a string without its end");
    expect_body_death(VH_AGENT_START, "\3\0\3\0\0\0a\0b", 9, "a string without its end");
    expect_body_death(VH_AGENT_START, "\3\0\3\0\0\0a\0\0", 9, "a string without its end");
    expect_body_death(VH_AGENT_START, "\3\0\0\0\0\0", 6, "a string without its end");
    expect_body_death(VH_AGENT_START, "\1\0\3\0\0\0a\0b", 9, "a string without its end");
    expect_body_death(VH_AGENT_START, "\6\0\3\0\0\0abc", 9, "a field of the wrong size");
    expect_body_death(VH_AGENT_START, "\12\0\5\0\0\0\0\0\0\0\0", 11, "too many strings");
}

static void unknown_fields_are_skipped(void **state)
{
    static const uint8_t frame[] = { 'V', 'H', 'A', '1', VH_AGENT_SIGNAL, 0, 0, 0, 17, 0, 0, 0,
                                     99,  0,   1,   0,   0,               0, 'x', 1, 0, 4, 0, 0, 0, 10, 0, 0, 0 };
    vh__agent_decoder *d = decoder(VH_AGENT_FROM_HOST);
    vh__agent_msg got;

    (void)state;
    feed(d, frame, sizeof(frame));
    assert_int_equal(vh__agent_decoder_next(d, &got), 1);
    assert_int_equal(got.signal.number, 10);
    test_free(d);
}

static void what_exceeds_a_frame_is_not_encoded(void **state)
{
    static uint8_t frame[VH_AGENT_FRAME_MAX + 1];
    static char large[VH_AGENT_FRAME_MAX];
    const char *argv[600], *one[] = { large };
    vh__agent_msg m = { .type = VH_AGENT_START, .start.argv = { one, 1 } };

    (void)state;
    memset(large, 'x', sizeof(large) - 1);
    assert_int_equal(vh__agent_encode(&m, frame, sizeof(frame)), 0);
    for (size_t i = 0; i < 600; i++)
        argv[i] = "";
    m.start.argv = (vh__agent_list){ argv, 512 };
    assert_true(vh__agent_encode(&m, frame, sizeof(frame)) > 0);
    m.start.argv.n = 513;
    assert_int_equal(vh__agent_encode(&m, frame, sizeof(frame)), 0);
    m = (vh__agent_msg){ .type = VH_AGENT_OUTPUT, .stream = 1, .output = { large, VH_AGENT_OUTPUT_MAX } };
    assert_true(vh__agent_encode(&m, frame, sizeof(frame)) > VH_AGENT_OUTPUT_MAX);
    assert_int_equal(vh__agent_encode(&m, frame, VH_AGENT_OUTPUT_MAX), 0);
    m.output.len++;
    assert_int_equal(vh__agent_encode(&m, frame, sizeof(frame)), 0);
    assert_int_equal(vh__agent_encode(&(vh__agent_msg){ .type = 0 }, frame, sizeof(frame)), 0);
}

static void the_largest_lists_fit_a_decoder(void **state)
{
    static const char *many[1532];
    const char *four[] = { "", "", "", "" };
    vh__agent_msg m = { .type = VH_AGENT_START }, got;
    vh__agent_decoder *d = decoder(VH_AGENT_FROM_HOST);

    (void)state;
    for (size_t i = 0; i < 1532; i++)
        many[i] = "";
    m.start.argv = (vh__agent_list){ many, 512 };
    m.start.env = (vh__agent_list){ many, 1532 };
    m.start.dns = (vh__agent_list){ four, 4 };
    m.start.late_env = (vh__agent_list){ many, 1020 };
    round_trip(d, &m, &got);
    assert_true(got.start.argv.n == 512 && got.start.env.n == 1532 && got.start.dns.n == 4 &&
                got.start.late_env.n == 1020);
    assert_null(got.start.dns.v[4]);
    test_free(d);
}

static void types_have_names(void **state)
{
    (void)state;
    assert_string_equal(vh__agent_type_name(VH_AGENT_RESTORED), "RESTORED");
    assert_string_equal(vh__agent_type_name(0x1234), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start_survives_the_way),
        cmocka_unit_test(restored_survives_the_way),
        cmocka_unit_test(short_messages_survive_the_way),
        cmocka_unit_test(an_exec_survives_the_way),
        cmocka_unit_test(what_an_exec_says_survives_the_way),
        cmocka_unit_test(messages_without_content_are_a_header),
        cmocka_unit_test(absent_fields_are_empty_and_never_null),
        cmocka_unit_test(bytes_may_come_one_by_one),
        cmocka_unit_test(several_frames_may_come_at_once),
        cmocka_unit_test(garbage_kills_a_decoder),
        cmocka_unit_test(bad_fields_kill_a_decoder),
        cmocka_unit_test(unknown_fields_are_skipped),
        cmocka_unit_test(what_exceeds_a_frame_is_not_encoded),
        cmocka_unit_test(the_largest_lists_fit_a_decoder),
        cmocka_unit_test(types_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
