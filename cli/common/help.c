/* --help on every level, from the same rows that are executed. */
#include <string.h>

#include "complete.h"

const cli_exit_code cli_exit_codes[] = {
    { "0", "done" },
    { "1", "failed: the message says what, why, and what to do" },
    { "2", "wrong usage, invalid value, or invalid configuration" },
    { "126", "this machine or user lacks something: a program, a device, root" },
    { "127", "no such image, snapshot, VM or file" },
    { "128+N", "ended in order by signal N" },
    { NULL, NULL },
};

/* "  -o, --output FORMAT   form of the result: table|json" */
static void put_option(FILE *out, const cli_option *o)
{
    const vh_config_key *key = o->key ? vh_config_key_find(o->key) : NULL;
    const char *choices = key ? key->choices : o->choices;
    char left[64];

    snprintf(left, sizeof(left), "%c%c%s --%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
             o->letter ? "," : " ", o->name, o->metavar ? " " : "", o->metavar ? o->metavar : "");
    fprintf(out, "  %-25s %s%s%s", left, o->help ? o->help : key->help, choices ? ": " : "", choices ? choices : "");
    if (key && *key->fallback)
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

static void put_commands(FILE *out, const cli_program *program, const char *group)
{
    const cli_command *c;

    for (size_t i = 0; (c = cli_command_at(program, i)) != NULL; i++)
        if (!c->hidden && cli_command_in_group(c, group))
            fprintf(out, "  %-18s %s\n", c->name, c->summary);
}

static void help_top(FILE *out, const cli_program *p)
{
    fprintf(out, "%s: %s\n\nUsage: ", p->name, p->summary);
    if (p->bare)
        fprintf(out, "%s [OPTION]...\n       ", p->name);
    fprintf(out, "%s [OPTION]... COMMAND [OPTION]... [OPERAND]...\n", p->name);
    if (p->bare)
        fprintf(out, "\n%s", p->bare->details);
    fputs("\nCommands:\n", out);
    put_commands(out, p, "");
    put_options(out, p->bare ? "Options" : "Options of every command", p->options);
    fprintf(out,
            "\nEvery setting is an option too: %s help config lists them with their VHIVE_ variables.\n"
            "\nExamples:\n%s\nExit codes:\n",
            p->name, p->examples);
    for (const cli_exit_code *e = cli_exit_codes; e->code; e++)
        fprintf(out, "  %-8s %s\n", e->code, e->meaning);
}

static void help_group(FILE *out, const cli_program *p, const char *group)
{
    fprintf(out, "Usage: %s %s COMMAND [OPTION]... [OPERAND]...\n\nCommands:\n", p->name, group);
    put_commands(out, p, group);
    fprintf(out, "\nExamples:\n");
    for (const cli_command *const *c = p->commands; *c; c++)
        if (cli_command_in_group(*c, group) && (*c)->examples)
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

const char *cli_setting_metavar(const vh_config_key *key)
{
    switch (key->type) {
    case VH_CONFIG_STRING:
        return "TEXT";
    case VH_CONFIG_PATH:
        return "PATH";
    case VH_CONFIG_BOOL:
        return "[=true|false]";
    case VH_CONFIG_UINT:
        return "NUMBER";
    case VH_CONFIG_BYTES:
        return "SIZE";
    case VH_CONFIG_DURATION:
        return "DURATION";
    case VH_CONFIG_ENUM:
        return "WORD";
    case VH_CONFIG_CIDR:
        return "NETWORK";
    }
    return "VALUE";
}

/* All settings, as flags and variables. */
static void put_settings(FILE *out)
{
    char flag[VH_CONFIG_NAME_MAX], env[VH_CONFIG_NAME_MAX];
    const vh_config_key *key;

    fprintf(out, "\nSettings: default < file (%s or --config) < environment < option\n", VH_CONFIG_FILE);
    for (size_t i = 0; (key = vh_config_key_at(i)) != NULL; i++)
        fprintf(out, "\n  %s (--%s%s%s, %s)\n      %s%s%s; default %s\n", key->name, vh_config_flag_name(key, flag),
                key->type == VH_CONFIG_BOOL ? "" : " ", cli_setting_metavar(key), vh_config_env_name(key, env),
                key->help, key->choices ? ": " : "", key->choices ? key->choices : "",
                *key->fallback ? key->fallback : "empty");
}

bool cli_help(const cli_program *program, FILE *out, const char *topic)
{
    const cli_command *c = topic ? cli_command_find(program, topic) : NULL;
    bool settings = topic && strncmp(topic, "config", 6) == 0 && strchr(" ", topic[6]);

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

static int complete_help(cli *c, cli_candidates *to, vh_error *err)
{
    (void)err;
    cli_complete_commands(to, c->program, c->args.noperands ? c->args.operands[0] : "");
    if (c->args.noperands == 0)
        cli_candidate(to, "config", "all settings");
    return 0;
}

const cli_command cli_cmd_help = {
    .name = "help",
    .summary = "Show help for a command, or for \"config\": all settings",
    .operands = "[COMMAND]",
    .max = 2,
    .plain = true,
    .text = true,
    .run = run_help,
    .complete = complete_help,
};
