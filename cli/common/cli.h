/*
 * What vhive-ctl and vhive-bench share: a program is a table of commands over the public headers. cli_main() reads the
 * command line with the table's rows, opens what is common (configuration, console, signals) and calls the row's
 * function; a command returns an exit code, or a negative error code with its message, and prints no errors itself.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <vhive/config.h>
#include <vhive/env.h>
#include <vhive/error.h>

#include "console.h"
#include "options.h"
#include "output.h"

/** Exit codes; a function's own one is passed through by run, 128 + N stands for signal N. */
enum {
    CLI_EXIT_OK = 0,
    CLI_EXIT_FAILURE = 1,
    CLI_EXIT_USAGE = 2,
    CLI_EXIT_MISSING = 126,  /* this machine or user lacks something: a program, a device, root */
    CLI_EXIT_NOT_FOUND = 127, /* no such image, snapshot, VM or file */
};

/** What an exit code tells, for help and manual pages; the list ends with a NULL code. */
typedef struct cli_exit_code {
    const char *code, *meaning;
} cli_exit_code;

extern const cli_exit_code cli_exit_codes[];

typedef struct cli_program cli_program;

/** Where completions of a word go, complete.h. */
typedef struct cli_candidates cli_candidates;

/** What a command has at hand. */
typedef struct cli {
    const cli_program *program;
    cli_parser args; /* operands: those of the command */
    vh_config *config;
    cli_format format; /* CLI_JSON also for YAML, which is made of it on its way to stdout */
    bool quiet;        /* nothing but results, warnings and errors */
    cli_console console;
    vh_cancel *cancel; /* triggered by SIGINT and SIGTERM */
} cli;

typedef struct cli_command {
    const char *name; /* "run", or "snapshot ls" */
    const char *summary;
    const char *operands; /* as shown in help; "" for none */
    size_t min, max;      /* how many operands */
    const cli_option *options;
    const char *details; /* paragraphs for --help, NULL: none */
    const char *examples;
    bool root;  /* needs root */
    bool plain; /* works without configuration */
    bool text;  /* prints text or bytes of its own, whatever --output says */
    bool hidden; /* is for programs: neither in help nor completed */
    int (*run)(cli *c, vh_error *err);
    /* adds what operands can be, with the configuration loaded; NULL: nothing is known */
    int (*complete)(cli *c, cli_candidates *to, vh_error *err);
} cli_command;

/** A program: its table of commands, and what its help says. */
struct cli_program {
    const char *name;    /* "vhive-ctl" */
    const char *summary; /* one line */
    const cli_command *const *commands; /* NULL-terminated; groups together */
    const cli_command *bare;            /* what it does when no command is named; NULL: one must be */
    const cli_option *options;          /* of every command; beside CLI_GLOBAL_OPTIONS what it wants */
    const char *examples;
};

/** Options of every command of every program, beside --quiet, which does more where results are rows. */
#define CLI_GLOBAL_OPTIONS                                                                                             \
    { "help", 'h', CLI_FLAG, .help = "show help for what is named" },                                                  \
    { "version", 0, CLI_FLAG, .help = "print the version" },                                                           \
    { "config", 'c', CLI_TEXT, "FILE", .help = "configuration file, instead of " VH_CONFIG_FILE },                     \
    { "state-dir", 0, CLI_SETTING, "DIR", .key = "state_dir" },                                                        \
    { "run-dir", 0, CLI_SETTING, "DIR", .key = "run_dir" },                                                            \
    { "log-level", 0, CLI_SETTING, "LEVEL", .key = "log.level" },                                                      \
    { "log-format", 0, CLI_SETTING, "FORMAT", .key = "log.format" }

/** Options of programs whose results are rows. */
#define CLI_OUTPUT_OPTIONS                                                                                             \
    { "quiet", 'q', CLI_FLAG, .help = "no progress, no informational records, only ids in lists" },                    \
    { "output", 'o', CLI_CHOICE, "FORMAT", .choices = "table|json|yaml", .help = "form of the result" },               \
    { "no-headers", 0, CLI_FLAG, .help = "tables without their line of titles" }

/** Rows that every program lists. */
extern const cli_command cli_cmd_help, cli_cmd_version;
/** Rows that programs have without listing them. */
extern const cli_command cli_cmd_completion, cli_cmd_complete, cli_cmd_man;

/** main() of |program|: from the command line to the exit code. */
int cli_main(const cli_program *program, int argc, char **argv);

/** Row |i| of the commands: the program's own, then those that every program has without listing them; else NULL. */
const cli_command *cli_command_at(const cli_program *program, size_t i);
/** Row of the command |name|, NULL if there is none. */
const cli_command *cli_command_find(const cli_program *program, const char *name);
/** Whether |name| is the first word of commands of two words. */
bool cli_command_is_group(const cli_program *program, const char *name);
/** Whether the first word of |command| is |group|; "" is that of all. */
bool cli_command_in_group(const cli_command *command, const char *group);
/** Refuses the unknown command |name|, naming the nearest one. Returns VH_EINVALID. */
int cli_command_unknown(const cli_program *program, const char *name, vh_error *err);
/**
 * Reads options and the operands that name the command; |*command| is NULL when they end before. |*topic| is what is
 * known of it, for help; both texts lie in |name|. VH_EINVALID: no such command, or a bad option before it.
 */
VH_MUST_CHECK int cli_command_read(cli *c, const cli_command **command, const char **topic, char name[64],
                                   vh_error *err);
/** Reads the configuration's file and variables; options were set before. VH_EINVALID, -errno. */
VH_MUST_CHECK int cli_config_load(cli *c, vh_error *err);

/** Writes help: of the program (NULL and ""), of a group, or of one command. False: no such topic. */
bool cli_help(const cli_program *program, FILE *out, const char *topic);

/** What a setting's value is called behind its option; that of a switch, which may be left out, begins with "[". */
const char *cli_setting_metavar(const vh_config_key *key);

/** How log records are written, and the least severe of them, as |config| says. */
cli_log_format cli_log_format_of(const vh_config *config);
vh_log_level cli_log_level_of(const vh_config *config);
/** Fills |o| with directories and log level of the configuration and the console's sinks; |o| borrows from |c|. */
void cli_env_options(cli *c, vh_env_options *o);
/** Makes the environment of these options, for commands that need no host; the caller owns |*env|. */
VH_MUST_CHECK int cli_env_new(cli *c, vh_env **env, vh_error *err);
/** Shows what a command does by itself, |detail| may be NULL; what the library does is shown by the environment. */
void cli_progress(cli *c, const char *what, const char *detail);
/** Bounds of the calls of a command: their own deadlines, ended by signals. */
vh_call cli_call(const cli *c);
/** Runs |each| for every operand; failures but the last are printed, the last is returned. */
int cli_each_operand(cli *c, int (*each)(cli *c, const char *operand, void *object, vh_error *err), void *object,
                     vh_error *err);
/** Writes "PROGRAM: KIND: TEXT" as one line to stderr, without what would command a terminal. */
void cli_tell(cli *c, const char *kind, const char *text);
/** The same of an error. */
void cli_print_error(cli *c, const vh_error *err);

#endif
