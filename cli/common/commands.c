/* Ways into a program's table of commands. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

static const cli_command *const builtin[] = { &cli_cmd_completion, &cli_cmd_complete, &cli_cmd_man };

const cli_command *cli_command_at(const cli_program *program, size_t i)
{
    size_t n = 0;

    while (program->commands[n])
        n++;
    if (i < n)
        return program->commands[i];
    return i - n < sizeof(builtin) / sizeof(builtin[0]) ? builtin[i - n] : NULL;
}

const cli_command *cli_command_find(const cli_program *program, const char *name)
{
    const cli_command *c;

    for (size_t i = 0; (c = cli_command_at(program, i)) != NULL; i++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

bool cli_command_in_group(const cli_command *command, const char *group)
{
    size_t n = strlen(group);

    return !n || (strncmp(command->name, group, n) == 0 && command->name[n] == ' ');
}

bool cli_command_is_group(const cli_program *program, const char *name)
{
    const cli_command *c;

    for (size_t i = 0; *name && (c = cli_command_at(program, i)) != NULL; i++)
        if (cli_command_in_group(c, name))
            return true;
    return false;
}

/* The command, or first word of commands, that |name| is a slip of; NULL: none is near. |group| has room for it. */
static const char *nearest(const cli_program *program, const char *name, char group[64])
{
    unsigned least = cli_nearby(name);
    const char *best = NULL;
    const cli_command *c;

    for (size_t i = 0; (c = cli_command_at(program, i)) != NULL; i++) {
        char word[64];

        if (c->hidden)
            continue;
        best = cli_nearer(name, best, c->name, &least);
        snprintf(word, sizeof(word), "%.*s", (int)strcspn(c->name, " "), c->name);
        if (cli_nearer(name, best, word, &least) == word)
            best = strcpy(group, word);
    }
    return best;
}

int cli_command_unknown(const cli_program *program, const char *name, vh_error *err)
{
    char group[64], first[64];
    const char *best = nearest(program, name, group);

    if (!best && strchr(name, ' ')) { /* the second word may be an operand */
        snprintf(first, sizeof(first), "%.*s", (int)strcspn(name, " "), name);
        if (cli_command_is_group(program, first))
            return vh_error_set(err, VH_EINVALID, "unknown command '%.64s'; '%s %s --help' lists the known ones", name,
                                program->name, first);
        name = first;
        best = nearest(program, name, group);
    }
    if (best)
        return vh_error_set(err, VH_EINVALID, "unknown command '%.64s'; did you mean '%s'?", name, best);
    return vh_error_set(err, VH_EINVALID, "unknown command '%.64s'; '%s --help' lists the known ones", name,
                        program->name);
}

/* Adds the next operand, if there is one, to |name|. */
static int read_word(cli *c, char name[64], vh_error *err)
{
    cli_parser *p = &c->args;
    size_t before = p->noperands;
    int rc = cli_parser_run(p, true, err);

    if (rc == 0 && p->noperands > before)
        snprintf(name + strlen(name), 64 - strlen(name), "%s%s", *name ? " " : "", p->operands[before]);
    return rc;
}

int cli_command_read(cli *c, const cli_command **command, const char **topic, char name[64], vh_error *err)
{
    cli_parser *p = &c->args;
    int rc;

    *name = '\0';
    *command = c->program->bare;
    rc = read_word(c, name, err);
    if (rc || p->noperands == 0)
        return rc;
    *command = NULL;
    if (cli_command_is_group(c->program, name)) {
        *topic = name;
        rc = read_word(c, name, err);
        if (rc || p->noperands == 1)
            return rc;
    }
    *command = cli_command_find(c->program, name);
    if (!*command && p->noperands == 1)
        (void)read_word(c, name, NULL); /* 'snapsho ls' is best told as a whole; what is wrong is told anyway */
    if (!*command)
        return cli_command_unknown(c->program, name, err);
    p->noperands = 0;
    *topic = name;
    p->tables[1] = (*command)->options;
    return 0;
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
