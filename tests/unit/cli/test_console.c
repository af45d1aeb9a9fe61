/* Progress and log records on terminals and elsewhere. */
#include "testenv.h"

#include <stdlib.h>
#include <string.h>

#include "console.h"

struct screen {
    cli_console console;
    FILE *f;
    char *text;
    size_t n;
};

static void open_screen(struct screen *s, cli_terminal t)
{
    memset(s, 0, sizeof(*s));
    s->f = open_memstream(&s->text, &s->n);
    assert_non_null(s->f);
    cli_console_init(&s->console, s->f, &t);
}

static const char *shown(struct screen *s)
{
    fflush(s->f);
    return s->text;
}

static void close_screen(struct screen *s)
{
    cli_console_fini(&s->console);
    fclose(s->f);
    free(s->text);
}

static const cli_terminal terminal = { .tty = true, .columns = 30, .term = "xterm" };

static const vh_progress half = { "convert", "layer 1 of 2", 5 << 20, 10 << 20 };

static void a_terminal_gets_one_line_that_is_rewritten(void **state)
{
    static const vh_progress boot = { "boot", NULL, 0, 0 };
    struct screen s;

    (void)state;
    open_screen(&s, terminal);
    cli_console_progress(&half, &s.console);
    cli_console_progress(&half, &s.console); /* too soon to be shown again */
    cli_console_progress(&boot, &s.console);
    assert_string_equal(shown(&s), "\033[1mconvert\033[0m  50%  5.0 MiB of 10 M" /* 29 columns: cut */
                                   "\r\033[K\033[1mboot\033[0m");
    close_screen(&s);
}

static void a_record_takes_the_progress_line_away_first(void **state)
{
    static const vh_log_record record = { VH_LOG_WARN, "vm", "v1", NULL, "slow\x1b[2J", 0 };
    struct screen s;
    cli_terminal plain = terminal;

    (void)state;
    plain.no_color = "1";
    open_screen(&s, plain);
    cli_console_progress(&(vh_progress){ "boot", NULL, 0, 0 }, &s.console);
    cli_console_log(&record, &s.console);
    assert_string_equal(shown(&s), "boot\r\033[Kwarn: vm v1: slow?[2J\n");
    close_screen(&s);
}

static void elsewhere_progress_is_plain_lines(void **state)
{
    const cli_terminal others[] = {
        { .tty = false, .columns = 80, .term = "xterm" },
        { .tty = true, .columns = 80, .term = "dumb" },
        { .tty = true, .columns = 80, .term = NULL },
        { .tty = true, .columns = 80, .term = "xterm", .ci = "true" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct screen s;

        open_screen(&s, others[i]);
        cli_console_progress(&half, &s.console);
        cli_console_progress(&half, &s.console);
        assert_string_equal(shown(&s), "convert  50%  5.0 MiB of 10 MiB  layer 1 of 2\n");
        close_screen(&s);
    }
}

static void progress_tells_amount_and_rate_and_keeps_to_its_width(void **state)
{
    static const struct {
        vh_progress p;
        int64_t ns;
        unsigned columns;
        const char *line;
    } cases[] = {
        { { "fetch", NULL, 0, 0 }, 0, 80, "fetch" },
        { { "fetch", "x", 3 << 20, 0 }, 0, 80, "fetch  3.0 MiB  x" },
        { { "fetch", NULL, 3 << 20, 0 }, 500000000, 80, "fetch  3.0 MiB, 6.0 MiB/s" },
        { { "pull", "1 of 2 layers", 1 << 20, 4 << 20 }, 1000000000, 80,
          "pull  25%  1.0 MiB of 4.0 MiB, 1.0 MiB/s, 3 s left  1 of 2 layers" },
        { { "pull", NULL, 1 << 20, 76 << 20 }, 1000000000, 80,
          "pull   1%  1.0 MiB of 76 MiB, 1.0 MiB/s, 1 min 15 s left" },
        { { "pull", NULL, 1, 7201 }, 1000000000, 80, "pull   0%  1 B of 7.0 KiB, 1 B/s, 2 h left" },
        { { "pull", NULL, 4, 4 }, 1000000000, 80, "pull 100%  4 B of 4 B, 4 B/s" },
        { { "fetch", NULL, 30, 20 }, 0, 80, "fetch 100%  30 B of 20 B" }, /* more than was announced */
        { { "fetch", "\xc3\xa4\xc3\xa4\xc3\xa4", 0, 0 }, 0, 9, "fetch  \xc3\xa4\xc3\xa4" },
        { { "fetch", NULL, 0, 0 }, 0, 3, "fet" },
        { { "\n", "\x9b", 0, 0 }, 0, 80, "?  ?" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = NULL;
        size_t n;
        FILE *f = open_memstream(&text, &n);

        assert_non_null(f);
        cli_put_progress(f, &cases[i].p, cases[i].ns, cases[i].columns, false);
        fclose(f);
        assert_string_equal(text, cases[i].line);
        free(text);
    }
}

static void records_have_three_forms(void **state)
{
    static const vh_log_record record = { VH_LOG_INFO, "vm", "v 1", "ab", "a \"b\"", 1700000000000000001 };
    static const char *const lines[] = {
        [CLI_LOG_TEXT] = "info: vm v 1: a \"b\"\n",
        [CLI_LOG_JSON] = "{\"time\": \"2023-11-14T22:13:20.000000001Z\", \"level\": \"info\", \"module\": \"vm\", "
                         "\"vm\": \"v 1\", \"trace\": \"ab\", \"message\": \"a \\\"b\\\"\"}\n",
        [CLI_LOG_LOGFMT] = "time=2023-11-14T22:13:20.000000001Z level=info module=vm vm=\"v 1\" trace=ab "
                           "msg=\"a \\\"b\\\"\"\n",
    };

    (void)state;
    for (int format = CLI_LOG_TEXT; format <= CLI_LOG_LOGFMT; format++) {
        char *text = NULL;
        size_t n;
        FILE *f = open_memstream(&text, &n);

        assert_non_null(f);
        cli_put_record(f, &record, (cli_log_format)format);
        fclose(f);
        assert_string_equal(text, lines[format]);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_terminal_gets_one_line_that_is_rewritten),
        cmocka_unit_test(a_record_takes_the_progress_line_away_first),
        cmocka_unit_test(elsewhere_progress_is_plain_lines),
        cmocka_unit_test(progress_tells_amount_and_rate_and_keeps_to_its_width),
        cmocka_unit_test(records_have_three_forms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
