#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "encode.h"
#include "interrupt.h"

void ctl_print_error(ctl_console *console, const vh_error *err)
{
    ctl_console_hold(console);
    fputs("vhive-ctl: error: ", console->err);
    for (const char *line = err->msg; *line;) { /* a function's last lines may be in it */
        size_t n = strcspn(line, "\n");
        char part[VH_ERROR_MSG];

        snprintf(part, sizeof(part), "%.*s", (int)n, line);
        ctl_put_plain(console->err, part);
        line += n + (line[n] == '\n');
        fputs(*line ? " | " : "", console->err);
    }
    fputc('\n', console->err);
    fflush(console->err);
    ctl_console_release(console);
}

static int exit_code_of(int rc)
{
    if (ctl_interrupt_received())
        return 128 + ctl_interrupt_received();
    switch (rc) {
    case VH_EINVALID:
        return CTL_EXIT_USAGE;
    case VH_EMISSING:
    case -EPERM:
    case -EACCES:
        return CTL_EXIT_MISSING;
    case VH_ENOTFOUND:
        return CTL_EXIT_NOT_FOUND;
    default:
        return CTL_EXIT_FAILURE;
    }
}

/*
 * The command that the next operands name; NULL when they end before. |*topic| is what is known of it, for help; both
 * texts lie in |name|.
 */
static int find_command(ctl_parser *p, const ctl_command **command, const char **topic, char name[64], vh_error *err)
{
    int rc = ctl_parser_run(p, true, err);

    *command = NULL;
    if (rc || p->noperands == 0)
        return rc;
    snprintf(name, 64, "%s", p->operands[0]);
    if (ctl_command_is_group(name)) {
        *topic = name;
        rc = ctl_parser_run(p, true, err);
        if (rc || p->noperands == 1)
            return rc;
        snprintf(name + strlen(name), 64 - strlen(name), " %s", p->operands[1]);
    }
    p->noperands = 0;
    *command = ctl_command_find(name);
    if (!*command)
        return ctl_command_unknown(name, err);
    *topic = name;
    p->tables[1] = (*command)->options;
    return 0;
}

static int check_operands(const ctl_command *command, const ctl_parser *p, vh_error *err)
{
    if (p->noperands < command->min)
        return vh_error_set(err, VH_EINVALID, "%s: operand is missing; usage: vhive-ctl %s %s", command->name,
                            command->name, command->operands);
    if (p->noperands > command->max)
        return vh_error_set(err, VH_EINVALID, "%s: '%.64s' is too much; usage: vhive-ctl %s %s", command->name,
                            p->operands[command->max], command->name, command->operands);
    return 0;
}

static int load_config(ctl *c, vh_error *err)
{
    int rc = vh_config_load_file(c->config, ctl_parser_value(&c->args, "config"), err);
    const char *format;

    if (rc == 0)
        rc = vh_config_load_env(c->config, NULL, err);
    if (rc)
        return rc;
    format = vh_config_str(c->config, "log.format");
    c->console.format = strcmp(format, "json") == 0     ? CTL_LOG_JSON
                        : strcmp(format, "logfmt") == 0 ? CTL_LOG_LOGFMT
                                                        : CTL_LOG_TEXT;
    return 0;
}

/* Calls the command; negative codes come with their message. */
static int call(ctl *c, const ctl_command *command, vh_error *err)
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

/* From command line to exit code. */
static int dispatch(ctl *c, vh_error *err)
{
    const ctl_command *command = NULL;
    const char *topic = "", *format;
    char name[64];
    int rc = find_command(&c->args, &command, &topic, name, err);

    if (rc == 0 && command)
        rc = ctl_parser_run(&c->args, false, err);
    if (ctl_parser_value(&c->args, "help")) {
        ctl_help(stdout, topic);
        return CTL_EXIT_OK;
    }
    if (rc == 0 && !command)
        rc = vh_error_set(err, VH_EINVALID, "%s%scommand is missing; 'vhive-ctl%s%s --help' lists them", topic,
                          *topic ? ": " : "", *topic ? " " : "", topic);
    if (rc == 0)
        rc = check_operands(command, &c->args, err);
    if (rc == 0 && !command->plain)
        rc = load_config(c, err);
    if (rc) {
        ctl_print_error(&c->console, err);
        return CTL_EXIT_USAGE;
    }
    format = ctl_parser_value(&c->args, "output");
    c->format = format && strcmp(format, "json") == 0 ? CTL_JSON : CTL_TABLE;
    rc = call(c, command, err);
    if (rc == VH_ECANCELED && ctl_interrupt_received())
        (void)vh_error_set(err, rc, "interrupted by SIG%s: nothing is left running",
                           sigabbrev_np(ctl_interrupt_received()));
    if (rc < 0)
        ctl_print_error(&c->console, err);
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

int main(int argc, char **argv)
{
    ctl c = { .args = { .argc = argc, .argv = (const char *const *)argv, .at = 1, .tables = { ctl_globals } } };
    ctl_terminal terminal;
    vh_error err = { 0 }, flush_err = { 0 };
    int code = CTL_EXIT_FAILURE, rc;

    open_standard_descriptors();
    terminal = ctl_terminal_of(stderr);
    ctl_console_init(&c.console, stderr, &terminal);
    rc = vh_config_new(&c.config, &err);
    if (rc == 0)
        rc = vh_cancel_new(&c.cancel, &err);
    if (rc == 0)
        rc = ctl_parser_init(&c.args, &err);
    c.args.config = c.config;
    if (rc == 0) {
        ctl_interrupt_install(c.cancel);
        code = dispatch(&c, &err);
    } else {
        ctl_print_error(&c.console, &err);
    }
    if (flush_output(&flush_err) && code == CTL_EXIT_OK) {
        ctl_print_error(&c.console, &flush_err);
        code = CTL_EXIT_FAILURE;
    }
    ctl_parser_fini(&c.args);
    vh_config_free(c.config);
    ctl_console_fini(&c.console);
    /* the cancel token stays: a signal may come until the very end */
    return code;
}
