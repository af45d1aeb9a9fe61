/* Ways into a program's table of commands. */
#include "cli.h"

#include <string.h>

const cli_command *cli_command_find(const cli_program *program, const char *name)
{
    for (const cli_command *const *c = program->commands; *c; c++)
        if (strcmp((*c)->name, name) == 0)
            return *c;
    return NULL;
}

bool cli_command_is_group(const cli_program *program, const char *name)
{
    size_t n = strlen(name);

    for (const cli_command *const *c = program->commands; n && *c; c++)
        if (strncmp((*c)->name, name, n) == 0 && (*c)->name[n] == ' ')
            return true;
    return false;
}

int cli_command_unknown(const cli_program *program, const char *name, vh_error *err)
{
    unsigned least = cli_nearby(name);
    const char *best = NULL;

    for (const cli_command *const *c = program->commands; *c; c++)
        best = cli_nearer(name, best, (*c)->name, &least);
    if (best)
        return vh_error_set(err, VH_EINVALID, "unknown command '%.64s'; did you mean '%s'?", name, best);
    return vh_error_set(err, VH_EINVALID, "unknown command '%.64s'; '%s --help' lists the known ones", name,
                        program->name);
}

static int run_version(cli *c, vh_error *err)
{
    (void)err;
    printf(c->format == CLI_JSON ? "{\"name\": \"%s\", \"version\": \"%s\"}\n" : "%s %s\n", c->program->name,
           VH_VERSION);
    return CLI_EXIT_OK;
}

const cli_command cli_cmd_version = {
    .name = "version",
    .summary = "Print the version",
    .operands = "",
    .plain = true,
    .run = run_version,
};
