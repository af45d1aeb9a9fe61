/* Messages as bytes: what is refused, what is mended, what it costs. */
#include "testenv.h"

#include <errno.h>
#include <string.h>

#include "auto.h"
#include "failalloc.h"
#include "proto.h"

static void text_is_utf8_up_to_its_first_fault(void **state)
{
    static const struct {
        const char *text;
        size_t good;
    } cases[] = {
        { "", 0 },
        { "plain", 5 },
        { "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9 },
        { "\x80", 0 },                 /* begins in the middle */
        { "a\xc3", 1 },                /* cut */
        { "\xc0\xaf", 0 },             /* overlong */
        { "\xe0\x80\xaf", 0 },
        { "\xf0\x80\x80\xaf", 0 },
        { "\xed\xa0\x80", 0 },         /* a surrogate */
        { "\xed\x9f\xbf\xee\x80\x80", 6 }, /* what is beside them */
        { "\xf4\x8f\xbf\xbf", 4 },     /* the last one */
        { "\xf4\x90\x80\x80", 0 },
        { "\xf8\x88\x80\x80\x80", 0 },
        { "ab\xff", 2 },
    };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(cases); i++)
        assert_int_equal(vh__proto_utf8(cases[i].text, strlen(cases[i].text)), cases[i].good);
}

static void bytes_that_are_not_utf8_are_written_as_question_marks(void **state)
{
    VH_PB(Event) e = VHIVE__CONTROL__V1__EVENT__INIT;
    ProtobufCMessage *back = NULL;
    vh_auto_buf vh__buf bytes = { 0 };
    vh_error err = { 0 };

    (void)state;
    e.type = (char *)"t";
    e.message = (char *)"\xffgood\xc3\xa4\xc3(\xe2\x82";
    assert_ok(vh__proto_pack(&e.base, &bytes, &err), err);
    assert_ok(vh__proto_unpack(&vhive__control__v1__event__descriptor, bytes.data, bytes.len, &back, &err), err);
    assert_string_equal(((VH_PB(Event) *)back)->message, "?good\xc3\xa4?(?" "?");
    vh__proto_free(back);
}

static void a_message_is_after_its_writing_what_it_was_before(void **state)
{
    char bad[] = "A=\xff", good[] = "B=1", *env[] = { bad, good, NULL };
    VH_PB(FunctionSpec) spec = VHIVE__CONTROL__V1__FUNCTION_SPEC__INIT;
    vh_auto_buf vh__buf bytes = { 0 };
    vh_error err = { 0 };

    (void)state;
    spec.env = env;
    spec.n_env = 2;
    assert_int_equal(vh__proto_check(&spec.base, &err), VH_EINVALID);
    assert_ok(vh__proto_pack(&spec.base, &bytes, &err), err);
    assert_ptr_equal(env[0], bad); /* the list is the caller's */
    assert_ptr_equal(env[1], good);
    assert_string_equal(bad, "A=\xff");
    bad[2] = 'x';
    assert_ok(vh__proto_check(&spec.base, &err), err);
}

static void text_deep_inside_is_looked_at(void **state)
{
    static const char bytes[] = "\x0a\x09\x0a\x07\x1a\x05" "A=\xff\xff" "b"; /* functions.spec.env */
    ProtobufCMessage *m = NULL;
    vh_error err = { 0 };

    (void)state;
    assert_int_equal(vh__proto_unpack(&vhive__control__v1__list_functions_reply__descriptor, bytes, sizeof(bytes) - 1,
                                      &m, &err), VH_EINVALID);
    assert_null(m);
}

static void text_with_a_zero_byte_is_refused_and_not_cut(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        int want;
    } rows[] = {
        { "\x1a\x03" "a\0b", 5, VH_EINVALID },                /* Event.type */
        { "\x08\x00\x1a\x01" "a\x1a\x01\0", 8, VH_EINVALID }, /* the second one counts, and is empty by its length */
        { "\x1a\x02" "ab\x9a\x06\x02\0\0", 9, 0 },           /* a member that is not known */
        { "\x08\x00\x1a\x00", 4, 0 },
    };
    vh_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(rows); i++) {
        ProtobufCMessage *m = NULL;

        assert_int_equal(vh__proto_unpack(&vhive__control__v1__event__descriptor, rows[i].bytes, rows[i].n, &m, &err),
                         rows[i].want);
        vh__proto_free(m);
    }
    assert_non_null(strstr(err.msg, "zero byte"));
}

static void a_message_takes_only_so_much_memory(void **state)
{
    size_t n = 2000000; /* a million texts of no length, which take 16 and more bytes each */
    char *bytes = malloc(n);
    ProtobufCMessage *m = NULL;
    vh_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < n; i++)
        bytes[i] = i % 2 ? 0 : 0x12; /* Snapshot.labels */
    assert_int_equal(vh__proto_unpack(&vhive__control__v1__snapshot__descriptor, bytes, n, &m, &err), VH_ELIMIT);
    free(bytes);
}

static void every_error_has_a_status_and_comes_back_by_its_name(void **state)
{
    static const int codes[] = {
#define CODE(name, value, text) name,
        VH_ERROR_LIST(CODE)
#undef CODE
        -EADDRINUSE, -ENOENT, -EIO, -ENOMEM,
    };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(codes); i++) {
        vh_auto_buf vh__buf details = { 0 };
        vh_error err = { 0 };

        assert_int_not_equal(vh__proto_status(codes[i]), VH_GRPC_OK);
        assert_ok(vh__proto_details(codes[i], &details, &err), err);
        assert_true(details.len < VH_GRPC_DETAILS_MAX);
        assert_int_equal(vh__proto_error(VH_GRPC_UNKNOWN, &details), codes[i]);
    }
}

static void a_status_without_details_is_the_nearest_error(void **state)
{
    vh__buf none = { 0 }, junk = { .data = (char *)"\xff\x01", .len = 2 };

    (void)state;
    assert_int_equal(vh__proto_error(VH_GRPC_NOT_FOUND, &none), VH_ENOTFOUND);
    assert_int_equal(vh__proto_error(VH_GRPC_INVALID_ARGUMENT, &none), VH_EINVALID);
    assert_int_equal(vh__proto_error(VH_GRPC_RESOURCE_EXHAUSTED, &junk), VH_ELIMIT);
    assert_int_equal(vh__proto_error(VH_GRPC_FAILED_PRECONDITION, &none), VH_ESTATE);
    assert_int_equal(vh__proto_error(VH_GRPC_UNAVAILABLE, &none), -ECONNRESET);
    for (int s = VH_GRPC_CANCELLED; s <= VH_GRPC_UNAUTHENTICATED; s++)
        assert_true(vh__proto_error((vh__grpc_status)s, &none) < 0);
}

static VH_PB(FunctionSpec) good_spec(void)
{
    VH_PB(FunctionSpec) m = VHIVE__CONTROL__V1__FUNCTION_SPEC__INIT;

    m.name = (char *)"hello";
    m.image = (char *)"oci:/x";
    return m;
}

static void a_spec_is_looked_at_member_by_member(void **state)
{
    char long_text[2000], large[66000] = "A=", *no_value[] = { (char *)"NAME" }, *no_name[] = { (char *)"=x" },
         *much[] = { large };
    VH_PB(FunctionSpec) bad[8];
    vh_function_spec spec;
    const char **env = NULL;
    vh_error err = { 0 };

    (void)state;
    memset(long_text, 'a', sizeof(long_text));
    long_text[sizeof(long_text) - 1] = '\0';
    for (size_t i = 0; i < VH_ARRAY_LEN(bad); i++)
        bad[i] = good_spec();
    assert_ok(vh__proto_to_spec(&bad[0], &spec, &env, &err), err);
    assert_int_equal(spec.engine, VH_ENGINE_AUTO);
    assert_null(spec.address);
    assert_null(spec.env[0]);
    free(env);
    env = NULL;
    bad[0].name = bad[1].image = bad[2].address = long_text;
    bad[3].port = 65536;
    bad[4].engine = (char *)"warp";
    bad[5].env = no_value;
    bad[6].env = no_name;
    bad[7].env = much;
    memset(large + 2, 'a', sizeof(large) - 3);
    bad[5].n_env = bad[6].n_env = bad[7].n_env = 1;
    for (size_t i = 0; i < VH_ARRAY_LEN(bad); i++)
        assert_int_equal(vh__proto_to_spec(&bad[i], &spec, &env, &err), VH_EINVALID);
    assert_int_equal(vh__proto_to_spec(NULL, &spec, &env, &err), VH_EINVALID);
    assert_null(env);
}

static void a_snapshot_survives_the_way_there_and_back(void **state)
{
    static vh_snapshot_info in, out;
    char *labels[VH_SNAPSHOT_LABELS_MAX];
    VH_PB(Snapshot) m;
    vh_error err = { 0 };

    (void)state;
    in = (vh_snapshot_info){ .size = sizeof(in), .id = "bad-0123", .problem = "torn", .quarantined = true,
                             .label_count = 2, .labels = { "one", "two" }, .image = "oci:/x",
                             .image_digest = "sha256:aa", .created_ns = 1, .memory_bytes = 2, .memory_disk_bytes = 3,
                             .vmstate_bytes = 4, .ws_pages = 5, .ws_bytes = 6, .vmm = "qemu", .vmm_version = "7.2",
                             .accel = "tcg", .memory_mib = 7, .cpus = 8, .pause_us = 9, .boot_us = 10,
                             .identity = "{}" };
    vh__proto_from_snapshot(&in, labels, &m);
    assert_ok(vh__proto_to_snapshot(&m, &out, &err), err);
    assert_memory_equal(&in, &out, sizeof(in));
    m.vmm = (char *)"a name that is much longer than any monitor's";
    assert_int_equal(vh__proto_to_snapshot(&m, &out, &err), VH_EINVALID);
}

static int there_and_back(void *arg)
{
    VH_PB(Event) e = VHIVE__CONTROL__V1__EVENT__INIT;
    ProtobufCMessage *m = NULL;
    vh_auto_buf vh__buf bytes = { 0 };
    int rc;

    (void)arg;
    e.message = (char *)"\xff";
    e.type = (char *)"\xfe";
    rc = vh__proto_pack(&e.base, &bytes, NULL);
    if (rc == 0)
        rc = vh__proto_unpack(&vhive__control__v1__event__descriptor, bytes.data, bytes.len, &m, NULL);
    vh__proto_free(m);
    return rc;
}

static void running_out_of_memory_unwinds(void **state)
{
    (void)state;
    failalloc_sweep(there_and_back, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_utf8_up_to_its_first_fault),
        cmocka_unit_test(bytes_that_are_not_utf8_are_written_as_question_marks),
        cmocka_unit_test(a_message_is_after_its_writing_what_it_was_before),
        cmocka_unit_test(text_deep_inside_is_looked_at),
        cmocka_unit_test(text_with_a_zero_byte_is_refused_and_not_cut),
        cmocka_unit_test(a_message_takes_only_so_much_memory),
        cmocka_unit_test(every_error_has_a_status_and_comes_back_by_its_name),
        cmocka_unit_test(a_status_without_details_is_the_nearest_error),
        cmocka_unit_test(a_spec_is_looked_at_member_by_member),
        cmocka_unit_test(a_snapshot_survives_the_way_there_and_back),
        cmocka_unit_test(running_out_of_memory_unwinds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
