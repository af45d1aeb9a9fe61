/* Message framing: pieces in any size, limits seen early, no compression. */
#include "testenv.h"

#include <errno.h>
#include <string.h>

#include "auto.h"
#include "failalloc.h"
#include "grpc_frame.h"

#define auto_frames __attribute__((cleanup(vh__grpc_frames_fini)))

static void messages_come_out_whole_whatever_the_pieces(void **state)
{
    vh_auto_buf vh__buf wire = { 0 };

    (void)state;
    vh__grpc_frame_append(&wire, "first", 5);
    vh__grpc_frame_append(&wire, "", 0);
    vh__grpc_frame_append(&wire, "third", 5);
    for (size_t piece = 1; piece <= wire.len; piece++) {
        auto_frames vh__grpc_frames f = { .max = 16 };
        char got[32] = "";
        vh_error err = { 0 };

        for (size_t at = 0; at < wire.len; at += piece) {
            const void *message;
            size_t n;

            assert_ok(vh__grpc_frames_feed(&f, wire.data + at, VH_MIN(piece, wire.len - at), &err), err);
            while (vh__grpc_frames_next(&f, &message, &n, &err) == 1) {
                strncat(got, message, n);
                strcat(got, "|");
            }
            assert_int_equal(err.code, 0);
        }
        assert_string_equal(got, "first||third|");
        assert_false(vh__grpc_frames_partial(&f));
    }
}

/* What the first bytes of a stream lead to. */
static int verdict(const char *bytes, size_t n, size_t max)
{
    auto_frames vh__grpc_frames f = { .max = max };
    const void *message;
    vh_error err = { 0 };
    int rc = vh__grpc_frames_feed(&f, bytes, n, &err);

    return rc ? rc : vh__grpc_frames_next(&f, &message, &n, &err);
}

static void a_long_message_is_refused_at_its_prefix(void **state)
{
    (void)state;
    assert_int_equal(verdict("\0\0\0\0\x10", 5, 16), 0);
    assert_int_equal(verdict("\0\0\0\0\x11", 5, 16), VH_ELIMIT);
    assert_int_equal(verdict("\0\xff\xff\xff\xff", 5, 4 << 20), VH_ELIMIT);
}

static void compressed_and_odd_flags_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(verdict("\1\0\0\0\1x", 6, 16), VH_EUNSUPPORTED);
    assert_int_equal(verdict("\2\0\0\0\1x", 6, 16), VH_EPROTOCOL);
}

static void a_cut_message_is_partial(void **state)
{
    auto_frames vh__grpc_frames f = { .max = 16 };
    const void *message;
    size_t n;
    vh_error err = { 0 };

    (void)state;
    assert_ok(vh__grpc_frames_feed(&f, "\0\0\0\0\2a", 6, &err), err);
    assert_int_equal(vh__grpc_frames_next(&f, &message, &n, &err), 0);
    assert_true(vh__grpc_frames_partial(&f));
}

static int feed_once(void *arg)
{
    auto_frames vh__grpc_frames f = { .max = 16 };

    (void)arg;
    return vh__grpc_frames_feed(&f, "\0\0\0\0\1a", 6, NULL);
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    failalloc_sweep(feed_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_out_whole_whatever_the_pieces),
        cmocka_unit_test(a_long_message_is_refused_at_its_prefix),
        cmocka_unit_test(compressed_and_odd_flags_are_told_apart),
        cmocka_unit_test(a_cut_message_is_partial),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
