/* --help on every level, from the same rows that are executed. */
#include "cli.h"

#include <string.h>

/* "  -o, --output FORMAT   form of the result: table|json" */
static void put_option(FILE *out, const cli_option *o)
{
    const vh_config_key *key = o->key ? vh_config_key_find(o->key) : NULL;
    const char *choices = key ? key->choices : o->choices;
    char left[64];

    snprintf(left, sizeof(left), "%c%c%s --%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
             o->letter ? "," : " ", o->name, o->metavar ? " " : "", o->metavar ? o->metavar : "");
    fprintf(out, "  %-25s %s%s%s", left, o->help ? o->help : key->help, choices ? ": " : "", choices ? choices : "");
    if (key)
        fprintf(out, " (default %s)", key->fallback);
    fputc('\n', out);
}

static void put_options(FILE *out, const char *title, const cli_option *options)
{
    if (!options)
        return;
    fprintf(out, "\n%s:\n", title);
    for (const cli_option *o = options; o->name; o++)
        put_option(out, o);
}

/* Whether the first word of |c| is |group|; "" is that of all. */
static bool in_group(const cli_command *c, const char *group)
{
    size_t n = strlen(group);

    return !n || (strncmp(c->name, group, n) == 0 && c->name[n] == ' ');
}

static void put_commands(FILE *out, const cli_program *program, const char *group)
{
    for (const cli_command *const *c = program->commands; *c; c++)
        if (in_group(*c, group))
            fprintf(out, "  %-18s %s\n", (*c)->name, (*c)->summary);
}

static void help_top(FILE *out, const cli_program *p)
{
    fprintf(out, "%s: %s\n\nUsage: %s [OPTION]... COMMAND [OPTION]... [OPERAND]...\n\nCommands:\n", p->name, p->summary,
            p->name);
    put_commands(out, p, "");
    put_options(out, "Options of every command", p->options);
    fprintf(out,
            "\nEvery setting is an option too: %s help config lists them with their VHIVE_ variables.\n"
            "\nExamples:\n%s"
            "\nExit codes: 0 done; 1 failed; 2 wrong usage or configuration; 126 a program, device or privilege is\n"
            "missing; 127 no such image, snapshot or file; 128+N ended by signal N.\n",
            p->name, p->examples);
}

static void help_group(FILE *out, const cli_program *p, const char *group)
{
    fprintf(out, "Usage: %s %s COMMAND [OPTION]... [OPERAND]...\n\nCommands:\n", p->name, group);
    put_commands(out, p, group);
    fprintf(out, "\nExamples:\n");
    for (const cli_command *const *c = p->commands; *c; c++)
        if (in_group(*c, group))
            fputs((*c)->examples, out);
}

static void help_command(FILE *out, const cli_program *p, const cli_command *c)
{
    fprintf(out, "%s\n\nUsage: %s %s%s%s%s\n", c->summary, p->name, c->name, c->options ? " [OPTION]..." : "",
            *c->operands ? " " : "", c->operands);
    if (c->details)
        fprintf(out, "\n%s", c->details);
    put_options(out, "Options", c->options);
    put_options(out, "Options of every command", p->options);
    if (c->examples)
        fprintf(out, "\nExamples:\n%s", c->examples);
}

/* All settings, as flags and variables. */
static void put_settings(FILE *out)
{
    char flag[VH_CONFIG_NAME_MAX], env[VH_CONFIG_NAME_MAX];
    const vh_config_key *key;

    fprintf(out, "\nSettings: default < file (%s or --config) < environment < option\n", VH_CONFIG_FILE);
    for (size_t i = 0; (key = vh_config_key_at(i)) != NULL; i++)
        fprintf(out, "\n  %s (--%s, %s)\n      %s%s%s; default %s\n", key->name, vh_config_flag_name(key, flag),
                vh_config_env_name(key, env), key->help, key->choices ? ": " : "", key->choices ? key->choices : "",
                *key->fallback ? key->fallback : "empty");
}

bool cli_help(const cli_program *program, FILE *out, const char *topic)
{
    const cli_command *c = topic ? cli_command_find(program, topic) : NULL;
    bool settings = topic && strncmp(topic, "config", 6) == 0;

    if (!topic || !*topic)
        help_top(out, program);
    else if (c)
        help_command(out, program, c);
    else if (cli_command_is_group(program, topic))
        help_group(out, program, topic);
    else if (!settings)
        return false;
    if (settings)
        put_settings(out);
    return true;
}

static int run_help(cli *c, vh_error *err)
{
    char topic[128] = "";

    for (size_t i = 0; i < c->args.noperands; i++) {
        size_t n = strlen(topic);

        snprintf(topic + n, sizeof(topic) - n, "%s%s", i ? " " : "", c->args.operands[i]);
    }
    return cli_help(c->program, stdout, topic) ? CLI_EXIT_OK : cli_command_unknown(c->program, topic, err);
}

const cli_command cli_cmd_help = {
    .name = "help",
    .summary = "Show help for a command, or for \"config\": all settings",
    .operands = "[COMMAND]",
    .max = 2,
    .plain = true,
    .run = run_help,
};
