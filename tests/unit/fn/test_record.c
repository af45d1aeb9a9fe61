/* What is deployed: checked, copied, written and read. */
#include "testenv.h"

#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "failalloc.h"
#include "record.h"

static const char *const env[] = { "A=1", "B=two words", NULL };

static vh_function_spec whole(void)
{
    vh_function_spec s = VH_FUNCTION_SPEC_INIT;

    s.name = "hello-1";
    s.image = "oci:somewhere";
    s.env = env;
    s.port = 8080;
    s.memory_mib = 128;
    s.cpus = 2;
    s.retire = 40;
    return s;
}

static void bad_members_are_named(void **state)
{
    static const char *const bad_env[] = { "=x", NULL };
    static const struct { const char *names; vh_function_spec s; } cases[] = {
        { "name", { .name = "Hello", .image = "i" } },   { "name", { .name = "", .image = "i" } },
        { "name", { .name = "-a", .image = "i" } },      { "name", { .name = "a/b", .image = "i" } },
        { "name", { .name = "..", .image = "i" } },      { "image", { .name = "a" } },
        { "address", { .name = "a", .image = "i", .address = "here" } },
        { "env", { .name = "a", .image = "i", .env = bad_env } },
        { "min", { .name = "a", .image = "i", .min = 9 } },
        { "max", { .name = "a", .image = "i", .max = 100000 } },
        { "engine", { .name = "a", .image = "i", .engine = (vh_engine)17 } },
    };

    (void)state;
    for (size_t k = 0; k < VH_ARRAY_LEN(cases); k++) {
        vh_function_spec s = cases[k].s;
        vh_error err = { 0 };
        struct record *r;

        s.size = sizeof(s);
        assert_int_equal(vh__record_new(&s, &r, &err), VH_EINVALID);
        assert_non_null(strstr(err.msg, cases[k].names));
    }
}

static void defaults_are_filled_in(void **state)
{
    vh_function_spec s = whole();
    vh_error err = { 0 };
    struct record *r;

    (void)state;
    assert_ok(vh__record_new(&s, &r, &err), err);
    assert_int_equal(r->spec.max, 8);
    assert_int_equal(r->spec.concurrency, 100);
    assert_int_equal(r->spec.keep_alive_ms, 30000);
    assert_string_equal(r->spec.address, "tcp:127.0.0.1");
    vh__record_drop(r);
}

static void only_what_instances_are_made_of_makes_a_revision(void **state)
{
    vh_function_spec s = whole();
    vh_error err = { 0 };
    struct record *a, *b;

    (void)state;
    assert_ok(vh__record_new(&s, &a, &err), err);
    s.min = 1;
    s.max = 3;
    s.concurrency = s.keep_alive_ms = s.retire = 7;
    assert_ok(vh__record_new(&s, &b, &err), err);
    assert_true(vh__record_same_revision(a, b));
    vh__record_drop(b);
    s.env = env + 1;
    assert_ok(vh__record_new(&s, &b, &err), err);
    assert_false(vh__record_same_revision(a, b));
    vh__record_drop(b);
    vh__record_drop(a);
}

static struct record *stored(void)
{
    vh_function_spec s = whole();
    vh_error err = { 0 };
    struct record *r;

    assert_ok(vh__record_new(&s, &r, &err), err);
    memset(r->image_digest, 'a', sizeof(r->image_digest) - 1);
    memcpy(r->image_digest, "sha256:", 7);
    strcpy(r->listen, "tcp:127.0.0.1:29000");
    r->revision = 4;
    r->deployed_ns = 1763920000123LL * 1000000;
    return r;
}

static void what_is_written_is_read(void **state)
{
    struct record *r = stored(), *again;
    vh_auto_buf vh__buf text = { 0 };
    vh_error err = { 0 };

    (void)state;
    vh__record_print(r, &text);
    assert_ok(vh__record_parse(text.data, text.len, &again, &err), err);
    assert_true(vh__record_same_revision(r, again));
    assert_string_equal(again->listen, r->listen);
    assert_int_equal(again->revision, 4);
    assert_int_equal(again->spec.retire, 40);
    assert_int_equal(again->deployed_ns, r->deployed_ns);
    vh__record_drop(again);
    vh__record_drop(r);
}

static void a_cut_file_is_refused_at_every_length(void **state)
{
    struct record *r = stored(), *none;
    vh_auto_buf vh__buf text = { 0 };

    (void)state;
    vh__record_print(r, &text);
    while (text.len && text.data[text.len - 1] == '\n')
        text.len--;
    for (size_t n = 0; n < text.len; n++) {
        vh_error err = { 0 };

        assert_int_equal(vh__record_parse(text.data, n, &none, &err), VH_EINVALID);
        assert_true(err.msg[0]);
    }
    vh__record_drop(r);
}

static int make_one(void *arg)
{
    vh_function_spec s = whole();
    struct record *r;
    vh_error err = { 0 };
    int rc = vh__record_new(&s, &r, &err);

    (void)arg;
    if (rc == 0)
        vh__record_drop(r);
    return rc;
}

static void a_record_needs_its_memory(void **state)
{
    (void)state;
    failalloc_sweep(make_one, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_members_are_named),
        cmocka_unit_test(defaults_are_filled_in),
        cmocka_unit_test(only_what_instances_are_made_of_makes_a_revision),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_cut_file_is_refused_at_every_length),
        cmocka_unit_test(a_record_needs_its_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
