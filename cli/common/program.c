#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "encode.h"
#include "interrupt.h"
#include "yaml.h"

void cli_tell(cli *c, const char *kind, const char *text)
{
    cli_console *console = &c->console;

    cli_console_hold(console);
    fprintf(console->err, "%s: %s: ", c->program->name, kind);
    for (const char *line = text; *line;) { /* a function's last lines may be in it */
        size_t n = strcspn(line, "\n");
        char part[VH_ERROR_MSG];

        snprintf(part, sizeof(part), "%.*s", (int)n, line);
        cli_put_plain(console->err, part);
        line += n + (line[n] == '\n');
        fputs(*line ? " | " : "", console->err);
    }
    fputc('\n', console->err);
    fflush(console->err);
    cli_console_release(console);
}

void cli_print_error(cli *c, const vh_error *err)
{
    cli_tell(c, "error", err->msg);
}

static int exit_code_of(int rc)
{
    if (cli_interrupt_received())
        return 128 + cli_interrupt_received();
    switch (rc) {
    case VH_EINVALID:
        return CLI_EXIT_USAGE;
    case VH_EMISSING:
    case VH_ENODAEMON:
    case -EPERM:
    case -EACCES:
        return CLI_EXIT_MISSING;
    case VH_ENOTFOUND:
        return CLI_EXIT_NOT_FOUND;
    default:
        return CLI_EXIT_FAILURE;
    }
}

static int check_operands(const cli *c, const cli_command *command, vh_error *err)
{
    const cli_parser *p = &c->args;

    const char *space = *command->operands ? " " : "";

    if (p->noperands < command->min)
        return vh_error_set(err, VH_EINVALID, "%s: operand is missing; usage: %s %s%s%s", command->name,
                            c->program->name, command->name, space, command->operands);
    if (p->noperands > command->max)
        return vh_error_set(err, VH_EINVALID, "%s: '%.64s' is too much; usage: %s %s%s%s", command->name,
                            p->operands[command->max], c->program->name, command->name, space, command->operands);
    return 0;
}

int cli_config_load(cli *c, vh_error *err)
{
    int rc = vh_config_load_file(c->config, cli_parser_value(&c->args, "config"), err);

    if (rc == 0)
        rc = vh_config_load_env(c->config, NULL, err);
    if (rc == 0)
        c->console.format = cli_log_format_of(c->config);
    return rc;
}

/* Calls the command; negative codes come with their message. */
static int call(cli *c, const cli_command *command, vh_error *err)
{
    int rc;

    if (command->root && geteuid() != 0)
        return vh_error_set(err, VH_EMISSING,
                            "%s: must be root, for network namespaces and the VMM's devices; start it with sudo",
                            command->name);
    rc = command->run(c, err);
    if ((rc == -EACCES || rc == -EPERM) && geteuid() != 0)
        strncat(err->msg, "; start it with sudo, or choose a --state-dir of your own",
                sizeof(err->msg) - strlen(err->msg) - 1);
    if (rc == -EROFS)
        strncat(err->msg, "; name a --state-dir and a --run-dir that can be written to",
                sizeof(err->msg) - strlen(err->msg) - 1);
    return rc;
}

/* What was printed must have arrived: a full disk or a closed pipe is a failure too. */
static int flush_output(vh_error *err)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    return vh_error_set(err, errno ? -errno : -EIO, "write standard output");
}

/*
 * Commands print JSON to stdout and know nothing of YAML: for the time of one, stdout is the stream that translates
 * (in glibc it is a variable made to be set). So there is no result that could be had in one form only.
 */
static int call_in_yaml(cli *c, const cli_command *command, vh_error *err)
{
    FILE *out = stdout, *yaml = cli_yaml_open(out);
    vh_error other = { 0 };
    int rc, flushed;

    if (!yaml)
        return vh_error_set(err, -ENOMEM, "YAML");
    stdout = yaml;
    rc = call(c, command, err);
    flushed = flush_output(&other);
    stdout = out;
    if (fclose(yaml) && flushed == 0)
        flushed = vh_error_set(&other, -EIO, "write standard output");
    if (rc < 0 || !flushed || ferror(out)) /* whoever ends the program sees to |out| */
        return rc;
    *err = other;
    return flushed;
}

static int call_in_format(cli *c, const cli_command *command, vh_error *err)
{
    const char *format = cli_parser_value(&c->args, "output");
    bool yaml = format && strcmp(format, "yaml") == 0;

    c->quiet = cli_parser_value(&c->args, "quiet") != NULL;
    c->format = yaml || (format && strcmp(format, "json") == 0)  ? CLI_JSON
                : c->quiet                                       ? CLI_IDS
                : cli_parser_value(&c->args, "no-headers")       ? CLI_PLAIN
                                                                 : CLI_TABLE;
    return yaml && !command->text ? call_in_yaml(c, command, err) : call(c, command, err);
}

/* From command line to exit code. */
static int dispatch(cli *c, vh_error *err)
{
    const cli_command *command = NULL;
    const char *topic = "";
    char name[64];
    int rc = cli_command_read(c, &command, &topic, name, err);

    if (rc == 0 && command)
        rc = cli_parser_run(&c->args, false, err);
    if (cli_parser_value(&c->args, "help")) {
        cli_help(c->program, stdout, topic);
        return CLI_EXIT_OK;
    }
    if (cli_parser_value(&c->args, "version"))
        return cli_cmd_version.run(c, err);
    if (rc == 0 && !command)
        rc = vh_error_set(err, VH_EINVALID, "%s%scommand is missing; '%s%s%s --help' lists them", topic,
                          *topic ? ": " : "", c->program->name, *topic ? " " : "", topic);
    if (rc == 0)
        rc = check_operands(c, command, err);
    if (rc == 0 && !command->plain)
        rc = cli_config_load(c, err);
    if (rc) {
        cli_print_error(c, err);
        return CLI_EXIT_USAGE;
    }
    rc = call_in_format(c, command, err);
    if (rc == VH_ECANCELED && cli_interrupt_received())
        (void)vh_error_set(err, rc, "interrupted by SIG%s: nothing is left running",
                           sigabbrev_np(cli_interrupt_received()));
    if (rc < 0)
        cli_print_error(c, err);
    return rc < 0 ? exit_code_of(rc) : rc;
}

/* Without them a descriptor of ours would become one of the three, and get what is printed. */
static void open_standard_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        (void)close(fd); /* one too many */
}

/* Which errno of an earlier write does not tell any more. */
static bool reader_is_gone(void)
{
    struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };

    return poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLHUP));
}

/* The exit code. A reader that is gone wanted no more, as in `| head`: that is told as SIGPIPE would tell it. */
static int end_output(cli *c)
{
    vh_error err = { 0 };

    if (flush_output(&err) == 0)
        return CLI_EXIT_OK;
    if (reader_is_gone())
        return 128 + SIGPIPE;
    cli_print_error(c, &err);
    return CLI_EXIT_FAILURE;
}

int cli_main(const cli_program *program, int argc, char **argv)
{
    cli c = { .program = program,
              .args = { .argc = argc, .argv = (const char *const *)argv, .at = 1, .tables = { program->options } } };
    cli_terminal terminal;
    vh_error err = { 0 };
    int code = CLI_EXIT_FAILURE, rc;

    open_standard_descriptors();
    terminal = cli_terminal_of(stderr);
    cli_console_init(&c.console, stderr, &terminal);
    rc = vh_config_new(&c.config, &err);
    if (rc == 0)
        rc = vh_cancel_new(&c.cancel, &err);
    if (rc == 0)
        rc = cli_parser_init(&c.args, &err);
    c.args.config = c.config;
    if (rc == 0) {
        cli_interrupt_install(c.cancel);
        code = dispatch(&c, &err);
    } else {
        cli_print_error(&c, &err);
    }
    if (code == CLI_EXIT_OK)
        code = end_output(&c);
    cli_parser_fini(&c.args);
    vh_config_free(c.config);
    cli_console_fini(&c.console);
    /* the cancel token stays: a signal may come until the very end */
    return code;
}
