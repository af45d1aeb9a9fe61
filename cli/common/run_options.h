/* Options that "run" and "snapshot create" share. */
#ifndef CLI_RUN_OPTIONS_H
#define CLI_RUN_OPTIONS_H

#include <vhive/vm.h>

#include "cli.h"

/** Rows for the command's table. --memory, --cpus and --accel are settings: the library reads them there. */
#define CLI_RUN_OPTIONS                                                                                                \
    { "port", 'p', CLI_UINT, "PORT", .max = 65535, .help = "the function's TCP port (default: the image's)" },         \
    { "env", 'e', CLI_ENV, "NAME=VALUE", .help = "add to the function's environment; may be repeated" },               \
    { "memory", 'm', CLI_SETTING, "SIZE", .key = "function.memory" },                                                  \
    { "cpus", 0, CLI_SETTING, "COUNT", .key = "function.cpus" },                                                       \
    { "accel", 0, CLI_SETTING, "ACCEL", .key = "vmm.accel" },                                                          \
    { "snapshot", 0, CLI_TEXT, "NAME", .help = "label of the snapshot that is saved or restored" }

/**
 * |first| (NULL: none) and the values of a repeated option as a NULL-terminated list, to be free()d; its texts are
 * borrowed. NULL: out of memory.
 */
VH_MUST_CHECK const char **cli_env_list(const cli *c, const char *option, const char *first, vh_error *err);

/**
 * Fills |o| from the command line: image, port, environment, label. |*env| gets the list of the environment, to be
 * free()d after |o|'s use; all else is borrowed from |c|. 0 or -ENOMEM.
 */
VH_MUST_CHECK int cli_run_options(const cli *c, vh_run_options *o, const char ***env, vh_error *err);

#endif
