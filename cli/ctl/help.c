/* --help on every level, from the same rows that are executed. */
#include "ctl.h"

#include <string.h>

const ctl_option ctl_globals[] = {
    { "help", 'h', CTL_FLAG, .help = "show help for what is named" },
    { "output", 'o', CTL_CHOICE, "FORMAT", .choices = "table|json", .help = "form of the result" },
    { "config", 'c', CTL_TEXT, "FILE", .help = "configuration file, instead of " VH_CONFIG_FILE },
    { "state-dir", 0, CTL_SETTING, "DIR", .key = "state_dir" },
    { "run-dir", 0, CTL_SETTING, "DIR", .key = "run_dir" },
    { "log-level", 0, CTL_SETTING, "LEVEL", .key = "log.level" },
    { "log-format", 0, CTL_SETTING, "FORMAT", .key = "log.format" },
    { .name = NULL },
};

/* "  -o, --output FORMAT   form of the result: table|json" */
static void put_option(FILE *out, const ctl_option *o)
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

static void put_options(FILE *out, const char *title, const ctl_option *options)
{
    if (!options)
        return;
    fprintf(out, "\n%s:\n", title);
    for (const ctl_option *o = options; o->name; o++)
        put_option(out, o);
}

/* Whether the first word of |c| is |group|; "" is that of all. */
static bool in_group(const ctl_command *c, const char *group)
{
    size_t n = strlen(group);

    return !n || (strncmp(c->name, group, n) == 0 && c->name[n] == ' ');
}

static void put_commands(FILE *out, const char *group)
{
    const ctl_command *c;

    for (size_t i = 0; (c = ctl_command_at(i)) != NULL; i++)
        if (in_group(c, group))
            fprintf(out, "  %-18s %s\n", c->name, c->summary);
}

static void help_top(FILE *out)
{
    fputs("vhive-ctl: serverless functions in microVMs, from OCI images, with snapshots and REAP\n\n"
          "Usage: vhive-ctl [OPTION]... COMMAND [OPTION]... [OPERAND]...\n\nCommands:\n",
          out);
    put_commands(out, "");
    put_options(out, "Options of every command", ctl_globals);
    fputs("\nEvery setting is an option too: vhive-ctl help config lists them with their VHIVE_ variables.\n"
          "\nExamples:\n"
          "  vhive-ctl run oci:build/functions/hello\n"
          "  vhive-ctl run oci:build/functions/pyhello --engine reap --invoke http:/\n"
          "  vhive-ctl snapshot ls -o json\n"
          "\nExit codes: 0 done; 1 failed; 2 wrong usage or configuration; 126 a program, device or privilege is\n"
          "missing; 127 no such image, snapshot or file; 128+N ended by signal N. 'run' passes on the code of a\n"
          "function that ends by itself.\n",
          out);
}

static void help_group(FILE *out, const char *group)
{
    fprintf(out, "Usage: vhive-ctl %s COMMAND [OPTION]... [OPERAND]...\n\nCommands:\n", group);
    put_commands(out, group);
    fprintf(out, "\nExamples:\n");
    for (size_t i = 0; ctl_command_at(i); i++)
        if (in_group(ctl_command_at(i), group))
            fputs(ctl_command_at(i)->examples, out);
}

static void help_command(FILE *out, const ctl_command *c)
{
    fprintf(out, "%s\n\nUsage: vhive-ctl %s%s%s%s\n", c->summary, c->name, c->options ? " [OPTION]..." : "",
            *c->operands ? " " : "", c->operands);
    if (c->details)
        fprintf(out, "\n%s", c->details);
    put_options(out, "Options", c->options);
    put_options(out, "Options of every command", ctl_globals);
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

bool ctl_help(FILE *out, const char *topic)
{
    const ctl_command *c = topic ? ctl_command_find(topic) : NULL;

    if (!topic || !*topic)
        help_top(out);
    else if (c)
        help_command(out, c);
    else if (ctl_command_is_group(topic))
        help_group(out, topic);
    else
        return false;
    if (topic && strncmp(topic, "config", 6) == 0)
        put_settings(out);
    return true;
}

static int run_help(ctl *c, vh_error *err)
{
    char topic[128] = "";

    for (size_t i = 0; i < c->args.noperands; i++) {
        size_t n = strlen(topic);

        snprintf(topic + n, sizeof(topic) - n, "%s%s", i ? " " : "", c->args.operands[i]);
    }
    return ctl_help(stdout, topic) ? CTL_EXIT_OK : ctl_command_unknown(topic, err);
}

const ctl_command ctl_cmd_help = {
    .name = "help",
    .summary = "Show help for a command",
    .operands = "[COMMAND]",
    .max = 2,
    .examples = "  vhive-ctl help snapshot create\n"
                "  vhive-ctl help config\n",
    .plain = true,
    .run = run_help,
};
