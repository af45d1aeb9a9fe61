/*
 * Manual pages from the rows that are executed: the hidden command "__man" prints the program's own page, "__man config"
 * that of the configuration file, in the macros of man(7). The build stores what they print.
 */
#include <string.h>

#include "cli.h"

/* Writes |n| bytes of |text|, so that none of them is an instruction. */
static void put_n(FILE *out, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((i == 0 || text[i - 1] == '\n') && (text[i] == '.' || text[i] == '\''))
            fputs("\\&", out);
        if (text[i] == '\\')
            fputs("\\e", out);
        else if (text[i] == '-')
            fputs("\\-", out);
        else if (text[i] == '\'')
            fputs("\\(aq", out);
        else
            fputc(text[i], out);
    }
}

static void put(FILE *out, const char *text)
{
    put_n(out, text, strlen(text));
}

/* Lines as they stand. */
static void put_verbatim(FILE *out, const char *text)
{
    fputs(".PP\n.nf\n", out);
    put(out, text);
    fputs(text[strlen(text) - 1] == '\n' ? ".fi\n" : "\n.fi\n", out);
}

/* Lines that begin with a space stand as they are, the others flow; empty ones end a paragraph. */
static void put_prose(FILE *out, const char *text)
{
    bool verbatim = false;

    fputs(".PP\n", out);
    for (size_t n; *text; text += n + (text[n] == '\n')) {
        n = strcspn(text, "\n");
        if ((*text == ' ') != verbatim && n)
            fputs(verbatim ? ".fi\n.PP\n" : ".PP\n.nf\n", out);
        if (n)
            verbatim = *text == ' ';
        if (n)
            put_n(out, text, n);
        fputs(n ? "\n" : verbatim ? "" : ".PP\n", out);
    }
    fputs(verbatim ? ".fi\n" : "", out);
}

/* ".TP" with "-o, --output FORMAT" and what it does. */
static void put_option(FILE *out, const cli_option *o)
{
    const vh_config_key *key = o->key ? vh_config_key_find(o->key) : NULL;
    const char *choices = key ? key->choices : o->choices;

    fputs(".TP\n", out);
    if (o->letter)
        fprintf(out, "\\fB\\-%c\\fR, ", o->letter);
    fputs("\\fB\\-\\-", out);
    put(out, o->name);
    fputs("\\fR", out);
    if (o->metavar)
        fprintf(out, " \\fI%s\\fR", o->metavar);
    fputc('\n', out);
    put(out, o->help ? o->help : key->help);
    fputs(choices ? ": " : "", out);
    put(out, choices ? choices : "");
    if (key && *key->fallback) {
        fputs(" (default ", out);
        put(out, key->fallback);
        fputc(')', out);
    }
    fputc('\n', out);
}

static void put_options(FILE *out, const cli_option *options)
{
    for (const cli_option *o = options; o && o->name; o++)
        put_option(out, o);
}

static void put_command(FILE *out, const cli_command *c)
{
    fputs(".SS ", out);
    put(out, c->name);
    fputs(*c->operands ? " " : "", out);
    put(out, c->operands);
    fputc('\n', out);
    put(out, c->summary);
    fputs(".\n", out);
    if (c->root)
        fputs("Needs root.\n", out);
    if (c->details)
        put_prose(out, c->details);
    put_options(out, c->options);
    if (c->examples)
        put_verbatim(out, c->examples);
}

static void put_exit_codes(FILE *out)
{
    fputs(".SH EXIT STATUS\n", out);
    for (const cli_exit_code *e = cli_exit_codes; e->code; e++) {
        fprintf(out, ".TP\n%s\n", e->code);
        put(out, e->meaning);
        fputs(".\n", out);
    }
}

static void page_program(FILE *out, const cli_program *p)
{
    const cli_command *c;

    fprintf(out, ".TH %s 1 \"\" \"vHive %s\" \"User Commands\"\n.SH NAME\n", p->name, VH_VERSION);
    put(out, p->name);
    fputs(" \\- ", out);
    put(out, p->summary);
    fputs("\n.SH SYNOPSIS\n", out);
    if (p->bare)
        fprintf(out, ".B %s\n[\\fIOPTION\\fR]...\n.br\n", p->name);
    fprintf(out, ".B %s\n[\\fIOPTION\\fR]... \\fICOMMAND\\fR [\\fIOPTION\\fR]... [\\fIOPERAND\\fR]...\n", p->name);
    if (p->bare) {
        fputs(".SH DESCRIPTION\n", out);
        put_prose(out, p->bare->details);
    }
    fputs(".SH OPTIONS\nOf every command. Each setting of\n.BR vhive.yaml (5)\nis an option as well.\n", out);
    put_options(out, p->options);
    fputs(".SH COMMANDS\n", out);
    for (size_t i = 0; (c = cli_command_at(p, i)) != NULL; i++)
        if (!c->hidden)
            put_command(out, c);
    put_exit_codes(out);
    fputs(".SH FILES\n.TP\n" VH_CONFIG_FILE "\nsettings; see\n.BR vhive.yaml (5)\n.SH EXAMPLES\n", out);
    put_verbatim(out, p->examples);
    fputs(".SH SEE ALSO\n.BR vhived (1),\n.BR vhive-ctl (1),\n.BR vhive-bench (1),\n.BR vhive.yaml (5),\n.BR libvhive (3)\n", out);
}

static void put_setting(FILE *out, const vh_config_key *key)
{
    char flag[VH_CONFIG_NAME_MAX], env[VH_CONFIG_NAME_MAX];

    fprintf(out, ".TP\n\\fB%s\\fR (default ", key->name);
    put(out, *key->fallback ? key->fallback : "empty");
    fputs(")\n", out);
    put(out, key->help);
    fputs(key->choices ? ": " : "", out);
    put(out, key->choices ? key->choices : "");
    fputs(".\nOption \\-\\-", out);
    put(out, vh_config_flag_name(key, flag));
    fputs(key->type == VH_CONFIG_BOOL ? "" : " ", out);
    put(out, cli_setting_metavar(key));
    fputs(", variable ", out);
    put(out, vh_config_env_name(key, env));
    fputs(".\n", out);
}

static void page_config(FILE *out)
{
    const vh_config_key *key;

    fprintf(out, ".TH vhive.yaml 5 \"\" \"vHive %s\" \"File Formats\"\n", VH_VERSION);
    fputs(".SH NAME\nvhive.yaml \\- settings of vHive\n.SH DESCRIPTION\n", out);
    put_prose(out,
              "Settings are read from " VH_CONFIG_FILE " or the file that --config names, as YAML: a dot in a\n"
              "setting's name is a level of the file. A variable of the environment beats the file, and an option of\n"
              "the command line beats both. An unknown key, a bad value or a key that is there twice is refused with\n"
              "its file, line and column.\n"
              "\n"
              "Sizes are whole numbers with K, M, G or T (powers of 1024), durations have ms, s, m or h.\n"
              "\n"
              "  log:\n"
              "    level: debug\n"
              "  function:\n"
              "    memory: 512M\n");
    fputs(".SH SETTINGS\n", out);
    for (size_t i = 0; (key = vh_config_key_at(i)) != NULL; i++)
        put_setting(out, key);
    fputs(".SH SEE ALSO\n.BR vhive-ctl (1)\n", out);
}

static int run_man(cli *c, vh_error *err)
{
    const char *page = c->args.noperands ? c->args.operands[0] : "";

    if (*page && strcmp(page, "config") != 0)
        return vh_error_set(err, VH_EINVALID, "__man: '%.64s' is no page; there is: config", page);
    if (*page)
        page_config(stdout);
    else
        page_program(stdout, c->program);
    return CLI_EXIT_OK;
}

const cli_command cli_cmd_man = {
    .name = "__man",
    .summary = "Print the manual page of the program, or of the configuration file",
    .operands = "[config]",
    .max = 1,
    .plain = true,
    .text = true,
    .hidden = true,
    .run = run_man,
};
