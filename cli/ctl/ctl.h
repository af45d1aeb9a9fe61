/*
 * vhive-ctl: a table of commands over the public headers. main() reads the command line with the table's rows, opens
 * what is common (configuration, console, signals) and calls the row's function; a command returns an exit code, or
 * a negative error code with its message, and prints no errors itself.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <vhive/config.h>
#include <vhive/env.h>
#include <vhive/error.h>

#include "console.h"
#include "options.h"
#include "output.h"

/** Exit codes; a function's own one is passed through by run, 128 + N stands for signal N. */
enum {
    CTL_EXIT_OK = 0,
    CTL_EXIT_FAILURE = 1,
    CTL_EXIT_USAGE = 2,
    CTL_EXIT_MISSING = 126,  /* this machine or user lacks something: a program, a device, root */
    CTL_EXIT_NOT_FOUND = 127, /* no such image, snapshot or file */
};

/** What a command has at hand. */
typedef struct ctl {
    ctl_parser args; /* operands: those of the command */
    vh_config *config;
    ctl_format format;
    ctl_console console;
    vh_cancel *cancel; /* triggered by SIGINT and SIGTERM */
} ctl;

typedef struct ctl_command {
    const char *name; /* "run", or "snapshot ls" */
    const char *summary;
    const char *operands; /* as shown in help; "" for none */
    size_t min, max;      /* how many operands */
    const ctl_option *options;
    const char *details; /* paragraphs for --help, NULL: none */
    const char *examples;
    bool root;  /* needs root */
    bool plain; /* works without configuration */
    int (*run)(ctl *c, vh_error *err);
} ctl_command;

/** The rows, one file per group. */
extern const ctl_command ctl_cmd_run;
extern const ctl_command ctl_cmd_snapshot_create, ctl_cmd_snapshot_ls, ctl_cmd_snapshot_inspect,
    ctl_cmd_snapshot_verify, ctl_cmd_snapshot_rm;
extern const ctl_command ctl_cmd_image_ls, ctl_cmd_image_inspect, ctl_cmd_image_rm;
extern const ctl_command ctl_cmd_config_dump, ctl_cmd_config_validate, ctl_cmd_version, ctl_cmd_help;

/** Row |i| of the table of all commands, NULL beyond its end. */
const ctl_command *ctl_command_at(size_t i);
/** Row of |name|, NULL if there is none. */
const ctl_command *ctl_command_find(const char *name);
/** Whether |name| is the first word of commands of two words. */
bool ctl_command_is_group(const char *name);
/** Refuses the unknown command |name|, naming the nearest one. Returns VH_EINVALID. */
int ctl_command_unknown(const char *name, vh_error *err);

/** Options of every command. */
extern const ctl_option ctl_globals[];

/** Writes help: of vhive-ctl, of a group, or of one command; NULL and "" is vhive-ctl's. False: no such topic. */
bool ctl_help(FILE *out, const char *topic);

/** Fills |o| with directories and log level of the configuration and the console's sinks; |o| borrows from |c|. */
void ctl_env_options(ctl *c, vh_env_options *o);
/** Makes the environment of these options, for commands that need no host; the caller owns |*env|. */
VH_MUST_CHECK int ctl_env_new(ctl *c, vh_env **env, vh_error *err);
/** Bounds of the calls of a command: their own deadlines, ended by signals. */
vh_call ctl_call(const ctl *c);
/** Runs |each| for every operand; failures but the last are printed, the last is returned. */
int ctl_each_operand(ctl *c, int (*each)(ctl *c, const char *operand, void *object, vh_error *err), void *object,
                     vh_error *err);
/** Writes "vhive-ctl: error: ..." as one line to stderr. */
void ctl_print_error(ctl_console *console, const vh_error *err);

#endif
