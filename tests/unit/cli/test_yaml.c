/* YAML as it is made of JSON. That a parser reads the same from both is tests/ctl/yaml_is_json.py. */
#include "testenv.h"

#include <stdlib.h>
#include <string.h>

#include "failalloc.h"
#include "yaml.h"

/* What |json|, written |step| bytes at a time, becomes; |*rc| is what closing the stream returned. */
static char *yaml_of(const char *json, size_t step, int *rc)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n), *yaml = cli_yaml_open(out);

    assert_non_null(yaml);
    for (size_t at = 0, all = strlen(json); at < all; at += step) {
        fwrite(json + at, 1, step < all - at ? step : all - at, yaml);
        if (fflush(yaml))
            break;
    }
    *rc = ferror(yaml);
    if (fclose(yaml))
        *rc = EOF;
    assert_int_equal(fclose(out), 0);
    return text;
}

static void becomes(const char *json, const char *want)
{
    for (size_t step = 1; step < 100; step += 40) {
        int rc;
        char *got = yaml_of(json, step, &rc);

        assert_string_equal(got, want);
        assert_int_equal(rc, 0);
        free(got);
    }
}

static void objects_and_lists_become_blocks(void **state)
{
    (void)state;
    becomes("{\"id\": \"x1\", \"size\": -7, \"ok\": true, \"none\": null}\n", "id: x1\nsize: -7\nok: true\nnone: null\n");
    becomes("[{\"a\": 1, \"b\": [\"x\", \"z\"]},\n {\"a\": 2, \"b\": []}]\n",
            "- a: 1\n  b:\n    - x\n    - z\n- a: 2\n  b: []\n");
    becomes("{\"o\": {\"p\": {\"q\": 1}}, \"e\": {}}", "o:\n  p:\n    q: 1\ne: {}\n");
    becomes("[[1, 2], [3]]", "- - 1\n  - 2\n- - 3\n");
    becomes("[]\n", "[]\n");
    becomes("{ }", "{}\n");
}

static void texts_are_quoted_where_they_could_mean_something_else(void **state)
{
    (void)state;
    becomes("[\"plain\", \"a/b:c\", \"no\", \"True\", \"1\", \"\", \"a b\", \"x:\", \"- a\", \"#c\", \"~\"]",
            "- plain\n- a/b:c\n- \"no\"\n- \"True\"\n- \"1\"\n- \"\"\n- \"a b\"\n- \"x:\"\n- \"- a\"\n- \"#c\"\n- \"~\"\n");
    becomes("{\"on\": \"}]\\\"{\\\\\"}", "\"on\": \"}]\\\"{\\\\\"\n");
    becomes("[\"\xc2\x85\xe2\x80\xa8\xef\xbb\xbf\xef\xbf\xbe\xc3\xa4\"]", "- \"\\u0085\\u2028\\ufeff\\ufffe\xc3\xa4\"\n");
}

static void each_document_is_written_when_it_is_complete(void **state)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n), *yaml = cli_yaml_open(out);

    (void)state;
    fputs("{\"a\": 1}\n{\"b\"", yaml);
    fflush(yaml);
    assert_string_equal(text, "a: 1\n");
    fputs(": 2}\n", yaml);
    fclose(yaml);
    assert_string_equal(text, "a: 1\n---\nb: 2\n");
    fclose(out);
    free(text);
}

static void json_that_is_cut_off_fails(void **state)
{
    char deep[40];
    int rc;

    (void)state;
    free(yaml_of("{\"a\": [1, 2", 100, &rc));
    assert_int_not_equal(rc, 0);
    memset(deep, '[', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    free(yaml_of(deep, 100, &rc));
    assert_int_not_equal(rc, 0);
}

static void a_stream_without_memory_is_none(void **state)
{
    (void)state;
    failalloc_at(1);
    assert_null(cli_yaml_open(stderr));
    failalloc_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_and_lists_become_blocks),
        cmocka_unit_test(texts_are_quoted_where_they_could_mean_something_else),
        cmocka_unit_test(each_document_is_written_when_it_is_complete),
        cmocka_unit_test(json_that_is_cut_off_fails),
        cmocka_unit_test(a_stream_without_memory_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
