/* Command lines read by tables. */
#include "testenv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "failalloc.h"
#include "options.h"

static const cli_option globals[] = {
    { "help", 'h', CLI_FLAG, .help = "h" },
    { "tty", 't', CLI_FLAG, .help = "t" },
    { "output", 'o', CLI_CHOICE, .metavar = "FORMAT", .choices = "table|json" },
    { "state-dir", 0, CLI_SETTING, "DIR", .key = "state_dir" },
    { .name = NULL },
};

static const cli_option mine[] = {
    { "port", 'p', CLI_UINT, "PORT", .max = 65535 },
    { "env", 'e', CLI_ENV, .metavar = "NAME=VALUE" },
    { "memory", 'm', CLI_SETTING, "SIZE", .key = "function.memory" },
    { "invoke", 'i', CLI_TEXT, .metavar = "SPEC" },
    { .name = NULL },
};

#define ARGS(...) { "vhive-ctl", __VA_ARGS__, NULL }

static int count(const char *const *argv)
{
    int n = 0;

    while (argv[n])
        n++;
    return n;
}

static cli_parser fresh(const char *const *argv)
{
    cli_parser p = { .argc = count(argv), .argv = argv, .at = 1, .tables = { globals, mine } };
    vh_error err = { 0 };

    assert_ok(vh_config_new(&p.config, &err), err);
    assert_ok(cli_parser_init(&p, &err), err);
    return p;
}

static void done(cli_parser *p)
{
    cli_parser_fini(p);
    vh_config_free(p->config);
}

static void a_setting_that_is_a_switch_needs_no_value(void **state)
{
    const char *argv[] = ARGS("--net-allow-private", "image", "--net-allow-private=no");
    cli_parser p = fresh(argv);
    const cli_option *o;
    cli_option setting;
    vh_error err = { 0 };

    (void)state;
    assert_ok(cli_parser_run(&p, true, &err), err);
    assert_true(vh_config_bool(p.config, "net.allow_private"));
    assert_string_equal(p.operands[0], "image");
    assert_ok(cli_parser_run(&p, false, &err), err);
    assert_false(vh_config_bool(p.config, "net.allow_private"));
    o = cli_parser_lookup(&p, "--net-allow-private", &setting);
    assert_false(cli_option_needs_value(o));
    assert_true(cli_option_needs_value(cli_parser_lookup(&p, "-o", &setting)));
    assert_string_equal(cli_parser_lookup(&p, "--vmm-accel=x", &setting)->key, "vmm.accel");
    assert_null(cli_parser_lookup(&p, "--", &setting));
    assert_null(cli_parser_lookup(&p, "--nosuch", &setting));
    assert_null(cli_parser_lookup(&p, "image", &setting));
    done(&p);
}

static void flags_of_one_letter_may_be_joined(void **state)
{
    const char *argv[] = ARGS("-ht", "-tojson", "-tp", "80");
    cli_parser p = fresh(argv);
    vh_error err = { 0 };

    (void)state;
    assert_ok(cli_parser_run(&p, false, &err), err);
    assert_int_equal(p.nvalues, 6);
    assert_string_equal(cli_parser_value(&p, "output"), "json");
    assert_int_equal(cli_parser_uint(&p, "port", 0), 80);
    done(&p);
}

static void operands_before_two_dashes_are_counted(void **state)
{
    const char *argv[] = ARGS("vm", "-t", "--", "ls", "-l", "--");
    cli_parser p = fresh(argv);
    vh_error err = { 0 };

    (void)state;
    assert_ok(cli_parser_run(&p, false, &err), err);
    assert_int_equal(p.noperands, 4);
    assert_int_equal(p.before_dashes, 1);
    assert_string_equal(p.operands[3], "--");
    done(&p);
}

static void long_and_short_forms_mean_the_same(void **state)
{
    const char *argv[] = ARGS("--port=80", "-e", "A=1", "image", "-eB=2", "--output", "json", "-p", "81", "-h",
                              "--invoke=");
    cli_parser p = fresh(argv);
    vh_error err = { 0 };

    (void)state;
    assert_ok(cli_parser_run(&p, false, &err), err);
    assert_int_equal(cli_parser_uint(&p, "port", 0), 81);
    assert_string_equal(cli_parser_value(&p, "output"), "json");
    assert_string_equal(cli_parser_value(&p, "env"), "B=2");
    assert_string_equal(cli_parser_value(&p, "invoke"), "");
    assert_string_equal(cli_parser_value(&p, "help"), "");
    assert_null(cli_parser_value(&p, "memory"));
    assert_int_equal(p.noperands, 1);
    assert_string_equal(p.operands[0], "image");
    done(&p);
}

static void settings_go_into_the_configuration(void **state)
{
    const char *argv[] = ARGS("--memory", "1G", "--vmm-accel=tcg", "--net-allow-private", "--state-dir", "there",
                              "--log-level", "debug");
    char here[512], want[600];
    cli_parser p = fresh(argv);
    vh_error err = { 0 };

    (void)state;
    assert_ok(cli_parser_run(&p, false, &err), err);
    assert_int_equal(vh_config_u64(p.config, "function.memory"), 1 << 30);
    assert_string_equal(vh_config_origin(p.config, "function.memory"), "--memory");
    assert_string_equal(vh_config_str(p.config, "vmm.accel"), "tcg");
    assert_true(vh_config_bool(p.config, "net.allow_private"));
    assert_string_equal(vh_config_str(p.config, "log.level"), "debug");
    assert_non_null(getcwd(here, sizeof(here)));
    snprintf(want, sizeof(want), "%s/there", here);
    assert_string_equal(vh_config_str(p.config, "state_dir"), want);
    done(&p);
}

static void what_follows_two_dashes_is_an_operand(void **state)
{
    const char *argv[] = ARGS("-", "--", "--port", "-x");
    cli_parser p = fresh(argv);
    vh_error err = { 0 };

    (void)state;
    assert_ok(cli_parser_run(&p, false, &err), err);
    assert_int_equal(p.noperands, 3);
    assert_string_equal(p.operands[0], "-");
    assert_string_equal(p.operands[2], "-x");
    done(&p);
}

static void reading_can_stop_behind_an_operand(void **state)
{
    const char *argv[] = ARGS("-o", "json", "run", "--port", "x");
    cli_parser p = fresh(argv);
    vh_error err = { 0 };

    (void)state;
    assert_ok(cli_parser_run(&p, true, &err), err);
    assert_string_equal(p.operands[0], "run");
    assert_int_equal(cli_parser_run(&p, true, &err), VH_EINVALID);
    assert_string_equal(err.msg, "--port: 'x' is not a number from 1 to 65535");
    done(&p);
}

static void mistakes_are_named_with_their_remedy(void **state)
{
    static const struct {
        const char *args[2], *message;
    } cases[] = {
        { { "--prot" }, "unknown option '--prot'; did you mean '--port'?" },
        { { "--vm-accel=kvm" }, "unknown option '--vm-accel=kvm'; did you mean '--vmm-accel'?" },
        { { "--frobnicate" }, "unknown option '--frobnicate'; --help lists the known ones" },
        { { "-x" }, "unknown option '-x'; --help lists the known ones" },
        { { "-hx" }, "unknown option '-hx'; --help lists the known ones" },
        { { "--port" }, "--port needs a value: --port PORT" },
        { { "--help=1" }, "--help takes no value" },
        { { "--port", "0" }, "--port: '0' is not a number from 1 to 65535" },
        { { "--port", "65536" }, "--port: '65536' is not a number from 1 to 65535" },
        { { "--port", "99999999999999999999" }, "--port: '99999999999999999999' is not a number from 1 to 65535" },
        { { "-o", "yaml" }, "--output: 'yaml' is not one of table|json" },
        { { "-e", "=x" }, "--env: '=x' is not of the form NAME=VALUE" },
        { { "-m", "1" }, "--memory: '1' is out of range: 96M to 65536M are allowed" },
        { { "--log-level", "loud" }, "--log-level: 'loud' is not one of error|warn|info|debug" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *argv[] = ARGS(cases[i].args[0], cases[i].args[1]);
        cli_parser p = fresh(argv);
        vh_error err = { 0 };

        assert_int_equal(cli_parser_run(&p, false, &err), VH_EINVALID);
        assert_string_equal(err.msg, cases[i].message);
        done(&p);
    }
}

static int build_and_free(void *arg)
{
    const char *argv[] = ARGS("x");
    cli_parser p = { .argc = 2, .argv = argv };
    int rc = cli_parser_init(&p, NULL);

    (void)arg;
    cli_parser_fini(&p);
    return rc;
}

static void running_out_of_memory_is_an_error(void **state)
{
    (void)state;
    failalloc_sweep(build_and_free, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_setting_that_is_a_switch_needs_no_value),
        cmocka_unit_test(flags_of_one_letter_may_be_joined),
        cmocka_unit_test(operands_before_two_dashes_are_counted),
        cmocka_unit_test(long_and_short_forms_mean_the_same),
        cmocka_unit_test(settings_go_into_the_configuration),
        cmocka_unit_test(what_follows_two_dashes_is_an_operand),
        cmocka_unit_test(reading_can_stop_behind_an_operand),
        cmocka_unit_test(mistakes_are_named_with_their_remedy),
        cmocka_unit_test(running_out_of_memory_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
