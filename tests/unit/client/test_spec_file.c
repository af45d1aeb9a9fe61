/* Files of functions, and single values as command lines have them. */
#include "testenv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vhive/client.h>

#include "failalloc.h"

struct seen {
    unsigned n;
    char text[1024];
};

static int note(const vh_function_spec *s, void *arg, vh_error *err)
{
    struct seen *seen = arg;
    size_t n = strlen(seen->text);

    (void)err;
    seen->n++;
    n += (size_t)snprintf(seen->text + n, sizeof(seen->text) - n, "%s %s %s %u %u %u %s %u-%u %u %u %u", s->name,
                          s->image, s->address ? s->address : "-", s->port, s->memory_mib, s->cpus, vh_engine_name(s->engine),
                          s->min, s->max, s->concurrency, s->keep_alive_ms, s->retire);
    for (size_t i = 0; s->env && s->env[i]; i++)
        n += (size_t)snprintf(seen->text + n, sizeof(seen->text) - n, " %s", s->env[i]);
    strcat(seen->text, ";");
    return 0;
}

static int count(const vh_function_spec *s, void *arg, vh_error *err)
{
    (void)s;
    (void)err;
    ((struct seen *)arg)->n++;
    return 0;
}

static int refuse_two(const vh_function_spec *s, void *arg, vh_error *err)
{
    return note(s, arg, err) || strcmp(s->name, "two") != 0 ? 0 : vh_error_set(err, VH_ELIMIT, "enough");
}

static int read_text(const testenv *t, const char *yaml, vh_function_spec_fn each, struct seen *seen, vh_error *err)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/f.yaml", t->dir);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(yaml, f);
    assert_int_equal(fclose(f), 0);
    return vh_client_read_functions(path, each, seen, err);
}

static void a_file_has_what_functions_are(void **state)
{
    struct seen seen = { 0 };
    char want[1024];
    testenv t;
    vh_error err = { 0 };

    (void)state;
    testenv_init(&t);
    assert_ok(read_text(&t,
                        "# comment\n"
                        "- name: one\n"
                        "  image: oci:images/one\n"
                        "  address: unix:/run/one\n"
                        "  port: 80\n"
                        "  memory: 1G\n"
                        "  cpus: 2\n"
                        "  engine: reap\n"
                        "  min: 1\n"
                        "  max: 3\n"
                        "  concurrency: 10\n"
                        "  keep_alive: 2m\n"
                        "  retire: 5\n"
                        "  env:\n"
                        "    LANG: C\n"
                        "    EMPTY: ''\n"
                        "- { name: two, image: docker://x/y }\n",
                        note, &seen, &err), err);
    snprintf(want, sizeof(want), "one oci:%s/images/one unix:/run/one 80 1024 2 reap 1-3 10 120000 5 LANG=C EMPTY=;"
             "two docker://x/y - 0 0 0 auto 0-0 0 0 0;", t.dir);
    assert_string_equal(seen.text, want);
    testenv_fini(&t);
}

static void a_fault_is_told_with_its_place(void **state)
{
    static const struct {
        const char *yaml, *place, *why;
    } cases[] = {
        { "name: x\n", ":1:1: ", "list of functions" },
        { "", ":1:1: ", "list of functions" },
        { "- name: x\n", ":1:3: ", "image is missing" },
        { "- image: x\n", ":1:3: ", "name is missing" },
        { "- name: x\n  image: y\n  mx: 3\n", ":3:3: ", "did you mean 'max'" },
        { "- name: x\n  image: y\n  max: many\n", ":3:8: ", "max: 'many' is not a whole number" },
        { "- name: x\n  image: y\n  max: 0\n", ":3:8: ", "out of range" },
        { "- name: x\n  image: y\n  engine: warp\n", ":3:11: ", "auto|boot|file|uffd|reap" },
        { "- name: x\n  image: y\n  name: z\n", ":3:3: ", "there already" },
        { "- name: x\n  image: y\n- name: x\n  image: y\n", ":3:3: ", "of this name" },
        { "- name: x\n  image: [y]\n", ":2:10: ", "one text" },
        { "- name: x\n  image: y\n  env: [A=1]\n", ":3:8: ", "NAME: value" },
        { "- name: x\n  image: y\n  env:\n    A=B: c\n", ":4:5: ", "without '='" },
        { "- name: x\n  image: y\n  env:\n    A: b\n    A: c\n", ":5:5: ", "there already" },
        { "- name: x\n  image: y\n  env:\n    ? [A]\n    : c\n", ":4:7: ", "plain word" },
        { "- name: x\n  image: y\n  env:\n    A: [c]\n", ":4:8: ", "must be a text" },
        { "- x\n", ":1:3: ", "'key: value'" },
        { "- name: x\n  image: y\n---\n- name: z\n", ":3:1: ", "second document" },
        { "- name: 'x\n", ":2:1: ", "end of stream" },
        { "- &a [*a]\n", ":1:3: ", "'key: value'" },
        { "- name: x\n  image: \"a\\0b\"\n", ":2:10: ", "one text" },
    };
    testenv t;

    (void)state;
    testenv_init(&t);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct seen seen = { 0 };
        vh_error err = { 0 };

        assert_int_equal(read_text(&t, cases[i].yaml, note, &seen, &err), VH_EINVALID);
        if (!strstr(err.msg, cases[i].place) || !strstr(err.msg, cases[i].why))
            fail_msg("case %zu: %s", i, err.msg);
        assert_int_equal(seen.n, 0); /* nothing is deployed of a file with a fault at its end */
    }
    testenv_fini(&t);
}

/* A variable as large as |bytes|, which |times| functions share. */
static int read_shared(const testenv *t, size_t bytes, unsigned times, struct seen *seen, vh_error *err)
{
    size_t room = bytes + 128 * (size_t)times + 64, n;
    char *yaml = malloc(room);
    int rc;

    assert_non_null(yaml);
    n = (size_t)snprintf(yaml, room, "- { name: f0, image: i, env: &env { A: '");
    memset(yaml + n, 'x', bytes);
    n += bytes;
    n += (size_t)snprintf(yaml + n, room - n, "' } }\n");
    for (unsigned i = 1; i < times; i++)
        n += (size_t)snprintf(yaml + n, room - n, "- { name: f%u, image: i, env: *env }\n", i);
    rc = read_text(t, yaml, count, seen, err);
    free(yaml);
    return rc;
}

static void aliases_do_not_make_a_file_large(void **state)
{
    struct seen seen = { 0 };
    testenv t;
    vh_error err = { 0 };

    (void)state;
    testenv_init(&t);
    assert_ok(read_shared(&t, 100, 1000, &seen, &err), err);
    assert_int_equal(seen.n, 1000);
    assert_int_equal(read_shared(&t, 900000, 1000, &seen, &err), VH_EINVALID);
    assert_non_null(strstr(err.msg, "aliases"));
    assert_int_equal(seen.n, 1000);
    testenv_fini(&t);
}

static void what_takes_the_functions_can_end_it(void **state)
{
    struct seen seen = { 0 };
    testenv t;
    vh_error err = { 0 };

    (void)state;
    testenv_init(&t);
    assert_int_equal(read_text(&t, "- {name: one, image: x}\n- {name: two, image: x}\n- {name: three, image: x}\n",
                               refuse_two, &seen, &err), VH_ELIMIT);
    assert_int_equal(seen.n, 2);
    assert_int_equal(vh_client_read_functions("/nowhere/f.yaml", note, &seen, &err), VH_ENOTFOUND);
    testenv_fini(&t);
}

static void every_key_says_what_it_takes(void **state)
{
    vh_function_spec spec = VH_FUNCTION_SPEC_INIT;
    const vh_config_key *key;
    vh_error err = { 0 };
    size_t n = 0;

    (void)state;
    for (; (key = vh_client_spec_key(n)) != NULL; n++)
        if (strcmp(key->fallback, "-") != 0)
            assert_ok(vh_client_spec_set(&spec, key->name, key->fallback, &err), err);
    assert_int_equal(n, 12);
    assert_true(spec.memory_mib == 256 && spec.max == 8 && spec.concurrency == 100 && spec.keep_alive_ms == 30000);
    assert_ok(vh_client_spec_set(&spec, "keep-alive", "1h", &err), err);
    assert_int_equal(spec.keep_alive_ms, 3600000);
    assert_int_equal(vh_client_spec_set(&spec, "env", "A=1", &err), VH_EINVALID);
}

static int read_file(void *path)
{
    struct seen seen = { 0 };

    return vh_client_read_functions(path, note, &seen, NULL);
}

static int make_client(void *arg)
{
    vh_client *c = NULL;
    int rc = vh_client_new("/x", &c, NULL);

    (void)arg;
    vh_client_free(c);
    return rc;
}

static void running_out_of_memory_unwinds(void **state)
{
    struct seen seen = { 0 };
    char path[128];
    testenv t;
    vh_error err = { 0 };

    (void)state;
    testenv_init(&t);
    assert_ok(read_text(&t, "- {name: one, image: 'oci:x', env: {A: b}}\n", note, &seen, &err), err);
    snprintf(path, sizeof(path), "%s/f.yaml", t.dir);
    failalloc_sweep(read_file, path);
    failalloc_sweep(make_client, NULL);
    testenv_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_has_what_functions_are),
        cmocka_unit_test(a_fault_is_told_with_its_place),
        cmocka_unit_test(aliases_do_not_make_a_file_large),
        cmocka_unit_test(what_takes_the_functions_can_end_it),
        cmocka_unit_test(every_key_says_what_it_takes),
        cmocka_unit_test(running_out_of_memory_unwinds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
