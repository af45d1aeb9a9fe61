/* Metadata, the base64 of its binary values, and the queue of messages. */
#include "testenv.h"

#include <errno.h>
#include <string.h>

#include "auto.h"
#include "failalloc.h"
#include "grpc_metadata.h"
#include "grpc_queue.h"

static void fields_are_found_by_name_and_come_in_order(void **state)
{
    vh__grpc_metadata m = { 0 };
    const char *name, *value;

    (void)state;
    assert_null(vh__grpc_metadata_get(&m, "a"));
    assert_null(vh__grpc_metadata_next(&m, NULL, &value));
    vh__grpc_metadata_add(&m, "a", 1, "", 0);
    vh__grpc_metadata_add(&m, "bc", 2, "a", 1);
    vh__grpc_metadata_add(&m, "a", 1, "second", 6);
    assert_string_equal(vh__grpc_metadata_get(&m, "a"), "");
    assert_string_equal(vh__grpc_metadata_get(&m, "bc"), "a");
    assert_null(vh__grpc_metadata_get(&m, "b"));
    name = vh__grpc_metadata_next(&m, NULL, &value);
    name = vh__grpc_metadata_next(&m, name, &value);
    assert_string_equal(name, "bc");
    name = vh__grpc_metadata_next(&m, name, &value);
    assert_string_equal(name, "a");
    assert_string_equal(value, "second");
    assert_null(vh__grpc_metadata_next(&m, name, &value));
    vh__grpc_metadata_fini(&m);
}

static void binary_values_travel_as_base64(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *text;
    } cases[] = { { "", 0, "" },          { "f", 1, "Zg" },           { "fo", 2, "Zm8" },
                  { "foo", 3, "Zm9v" },   { "foob", 4, "Zm9vYg" },    { "\0\xff\xfe", 3, "AP/+" } };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(cases); i++) {
        vh_auto_buf vh__buf there = { 0 }, back = { 0 };

        vh__grpc_binary_encode(cases[i].bytes, cases[i].n, &there);
        assert_string_equal(there.data ? there.data : "", cases[i].text);
        while (there.len % 4) /* with padding it says the same */
            vh__buf_puts(&there, "=");
        for (size_t cut = there.len; cut >= strlen(cases[i].text); cut -= there.len - strlen(cases[i].text)) {
            vh__buf_clear(&back);
            assert_int_equal(vh__grpc_binary_decode(there.data ? there.data : "", cut, &back), 0);
            assert_int_equal(back.len, cases[i].n);
            assert_memory_equal(back.data ? back.data : "", cases[i].bytes, cases[i].n);
            if (there.len == strlen(cases[i].text))
                break;
        }
    }
}

static void what_is_no_base64_is_refused(void **state)
{
    static const char *const bad[] = { "A", "AB C", "AB-_", "A===", "AAAAA", "=", "AB=C" };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(bad); i++) {
        vh_auto_buf vh__buf out = { 0 };

        assert_int_equal(vh__grpc_binary_decode(bad[i], strlen(bad[i]), &out), VH_EINVALID);
    }
    vh_auto_buf vh__buf out = { 0 };
    assert_int_equal(vh__grpc_binary_decode("AB\0D", 4, &out), VH_EINVALID);
}

static void messages_leave_the_queue_as_they_came(void **state)
{
    vh_auto_buf vh__buf got = { 0 };
    vh__grpc_queue q = { 0 };
    vh_error err = { 0 };
    int in = 0, out = 0;

    (void)state;
    assert_int_equal(vh__grpc_queue_pop(&q, &got, &err), 0);
    for (int round = 0; round < 1000; round++) { /* it never runs empty, and does not grow for it */
        for (int i = 0; i < 3; i++, in++)
            assert_ok(vh__grpc_queue_push(&q, &in, (size_t)(in % 5 ? sizeof(in) : 0), &err), err);
        for (int i = 0; i < 3 - (round == 0); i++, out++) {
            assert_int_equal(vh__grpc_queue_pop(&q, &got, &err), 1);
            assert_int_equal(got.len, out % 5 ? sizeof(out) : 0);
            assert_memory_equal(got.data ? got.data : "", &out, got.len);
        }
    }
    assert_false(vh__grpc_queue_empty(&q));
    assert_in_range(q.bytes.cap, 1, 1000);
    assert_int_equal(vh__grpc_queue_pop(&q, &got, &err), 1);
    assert_true(vh__grpc_queue_empty(&q));
    vh__grpc_queue_fini(&q);
}

static void a_queue_without_memory_keeps_what_it_has(void **state)
{
    static const char big[100000];
    vh_auto_buf vh__buf got = { 0 };
    vh__grpc_queue q = { 0 };
    vh_error err = { 0 };

    (void)state;
    assert_ok(vh__grpc_queue_push(&q, "x", 1, &err), err);
    failalloc_at(1);
    assert_int_equal(vh__grpc_queue_push(&q, big, sizeof(big), &err), -ENOMEM);
    failalloc_at(0);
    assert_int_equal(vh__grpc_queue_pop(&q, &got, &err), 1);
    assert_string_equal(got.data, "x");
    assert_int_equal(vh__grpc_queue_pop(&q, &got, &err), 0);
    vh__grpc_queue_fini(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_found_by_name_and_come_in_order),
        cmocka_unit_test(binary_values_travel_as_base64),
        cmocka_unit_test(what_is_no_base64_is_refused),
        cmocka_unit_test(messages_leave_the_queue_as_they_came),
        cmocka_unit_test(a_queue_without_memory_keeps_what_it_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
