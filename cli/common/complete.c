/*
 * The hidden command "__complete -- WORD..." gets the command line up to the cursor and prints what its last word can
 * be, "TEXT\tHELP" a line, and ":files" where a file's name fits as well. The scripts of the shells are a few lines
 * that pass it on.
 */
#include "complete.h"

#include <string.h>

void cli_candidate(cli_candidates *to, const char *text, const char *help)
{
    size_t prefix = strlen(to->prefix), n = strlen(to->word);

    if (n > prefix && strncmp(text, to->word + prefix, n - prefix) != 0)
        return;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) /* would be another line, or command the terminal */
            return;
    fprintf(to->out, "%s%s\t%s\n", to->prefix, text, help ? help : "");
}

/* Each of "a|b|c". */
static void add_choices(cli_candidates *to, const char *choices)
{
    while (*choices) {
        size_t n = strcspn(choices, "|");
        char text[64];

        snprintf(text, sizeof(text), "%.*s", (int)n, choices);
        cli_candidate(to, text, NULL);
        choices += n + (choices[n] == '|');
    }
}

/* What a value of |o| can be. */
static void add_values(cli_candidates *to, const cli_option *o)
{
    const vh_config_key *key = o->key ? vh_config_key_find(o->key) : NULL;

    if (key && key->type == VH_CONFIG_BOOL)
        add_choices(to, "true|false");
    else if (key && key->choices)
        add_choices(to, key->choices);
    else if (o->choices)
        add_choices(to, o->choices);
    to->files = (key && key->type == VH_CONFIG_PATH) || (o->metavar && strcmp(o->metavar, "FILE") == 0);
}

static void add_option(cli_candidates *to, const char *name, const char *help)
{
    char text[VH_CONFIG_NAME_MAX + 2];

    snprintf(text, sizeof(text), "--%s", name);
    cli_candidate(to, text, help);
}

static void add_options(cli_candidates *to, const cli_parser *p)
{
    char flag[VH_CONFIG_NAME_MAX];
    const vh_config_key *key;

    for (size_t t = 0; t < 2; t++)
        for (const cli_option *o = p->tables[t]; o && o->name; o++)
            add_option(to, o->name, o->help ? o->help : vh_config_key_find(o->key)->help);
    for (size_t i = 0; (key = vh_config_key_at(i)) != NULL; i++)
        if (vh_config_flag_name(key, flag) && !cli_parser_find(p, flag, strlen(flag)))
            add_option(to, flag, key->help);
}

void cli_complete_commands(cli_candidates *to, const cli_program *program, const char *group)
{
    size_t skip = *group ? strlen(group) + 1 : 0;
    char last[64] = "";
    const cli_command *c;

    for (size_t i = 0; (c = cli_command_at(program, i)) != NULL; i++) {
        char word[64];
        size_t n;

        if (c->hidden || !cli_command_in_group(c, group))
            continue;
        n = strcspn(c->name + skip, " ");
        snprintf(word, sizeof(word), "%.*s", (int)n, c->name + skip);
        if (strcmp(word, last) != 0)
            cli_candidate(to, word, c->name[skip + n] ? "commands; see its --help" : c->summary);
        strcpy(last, word);
    }
}

/* The option whose value the last of |n| words is; NULL: none. */
static const cli_option *pending(const cli_parser *p, const char *const *words, size_t n, cli_option *setting)
{
    const cli_option *o = n >= 2 && !p->operands_only ? cli_parser_lookup(p, words[n - 2], setting) : NULL;

    return o && cli_option_needs_value(o) && !strchr(words[n - 2], '=') ? o : NULL;
}

/* The last word is "--name=...": its value. */
static void add_inline_values(cli_candidates *to, const cli_parser *p, char *prefix, size_t room)
{
    cli_option setting;
    const cli_option *o = cli_parser_lookup(p, to->word, &setting);

    snprintf(prefix, room, "%.*s", (int)strcspn(to->word, "=") + 1, to->word);
    to->prefix = prefix;
    if (o)
        add_values(to, o);
}

/* What stands where an option or its value does not: the command's name or its operands. */
static int add_operands(cli *c, cli_candidates *to, const cli_command *command, const char *topic, vh_error *err)
{
    int rc;

    if (!command) {
        cli_complete_commands(to, c->program, topic);
        return 0;
    }
    if (!command->complete || c->args.noperands >= command->max)
        return 0;
    rc = command->plain ? 0 : cli_config_load(c, err);
    return rc ? rc : command->complete(c, to, err);
}

/* |c| has read the |n| - 1 words before the last one. */
static int complete(cli *c, const char *const *words, size_t n, const cli_command *command, const char *topic,
                    vh_error *err)
{
    cli_candidates to = { .out = stdout, .word = words[n - 1], .prefix = "" };
    char prefix[VH_CONFIG_NAME_MAX + 4];
    cli_option setting;
    const cli_option *o = pending(&c->args, words, n, &setting);
    int rc = 0;

    if (o)
        add_values(&to, o);
    else if (strncmp(to.word, "--", 2) == 0 && strchr(to.word, '='))
        add_inline_values(&to, &c->args, prefix, sizeof(prefix));
    else if (*to.word == '-' && !c->args.operands_only)
        add_options(&to, &c->args);
    else
        rc = add_operands(c, &to, command, topic, err);
    if (to.files)
        puts(":files");
    return rc;
}

static int run_complete(cli *c, vh_error *err)
{
    const char *const *words = c->args.operands;
    size_t n = c->args.noperands;
    const cli_command *command = NULL;
    cli left = *c;
    const char *topic = "";
    cli_option setting;
    char name[64];
    int rc;

    left.args = (cli_parser){ .argc = (int)n - 1, .argv = words, .tables = { c->program->options }, .config = c->config };
    rc = cli_parser_init(&left.args, err);
    if (rc == 0)
        rc = cli_command_read(&left, &command, &topic, name, err);
    if (rc == 0 && command)
        rc = cli_parser_run(&left.args, false, err);
    left.quiet = true;
    /* what is wrong on the left is told when the line is entered; a value that is still to come is no fault */
    if (rc == 0 || pending(&left.args, words, n, &setting))
        rc = complete(&left, words, n, command, topic, err);
    cli_parser_fini(&left.args);
    return rc ? CLI_EXIT_FAILURE : CLI_EXIT_OK;
}

const cli_command cli_cmd_complete = {
    .name = "__complete",
    .summary = "Print what the last word of a command line can be",
    .operands = "WORD...",
    .min = 1,
    .max = SIZE_MAX,
    .plain = true,
    .text = true,
    .hidden = true,
    .run = run_complete,
};
