#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cli_parser_init(cli_parser *p, vh_error *err)
{
    size_t room = (size_t)p->argc + 1;

    p->values = calloc(room, sizeof(*p->values));
    p->operands = calloc(room, sizeof(*p->operands));
    return p->values && p->operands ? 0 : vh_error_set(err, -ENOMEM, "command line");
}

void cli_parser_fini(cli_parser *p)
{
    free(p->values);
    free(p->operands);
    p->values = NULL;
    p->operands = NULL;
    p->nvalues = p->noperands = 0;
}

unsigned cli_nearby(const char *word)
{
    size_t n = strlen(word);

    return (unsigned)(n < 24 ? n : 24) / 3 + 1;
}

const char *cli_nearer(const char *word, const char *best, const char *candidate, unsigned *least)
{
    unsigned d = vh_config_distance(word, candidate);

    if (d > *least || (best && d == *least))
        return best;
    *least = d;
    return candidate;
}

const cli_option *cli_parser_find(const cli_parser *p, const char *name, size_t n)
{
    for (size_t t = 0; t < 2; t++)
        for (const cli_option *o = p->tables[t]; o && o->name; o++)
            if (strlen(o->name) == n && strncmp(o->name, name, n) == 0)
                return o;
    return NULL;
}

static const cli_option *find_short(const cli_parser *p, char letter)
{
    for (size_t t = 0; t < 2; t++)
        for (const cli_option *o = p->tables[t]; o && o->name; o++)
            if (o->letter == letter)
                return o;
    return NULL;
}

static int unknown_option(const cli_parser *p, const char *arg, const char *name, size_t n, vh_error *err)
{
    char word[64], best[VH_CONFIG_NAME_MAX] = "", flag[VH_CONFIG_NAME_MAX];
    const vh_config_key *key;
    unsigned least;

    snprintf(word, sizeof(word), "%.*s", (int)n, name);
    least = cli_nearby(word);
    for (size_t t = 0; t < 2; t++)
        for (const cli_option *o = p->tables[t]; o && o->name; o++)
            if (cli_nearer(word, *best ? best : NULL, o->name, &least) == o->name)
                snprintf(best, sizeof(best), "%s", o->name);
    for (size_t i = 0; (key = vh_config_key_at(i)) != NULL; i++)
        if (cli_nearer(word, *best ? best : NULL, vh_config_flag_name(key, flag), &least) == flag)
            snprintf(best, sizeof(best), "%s", flag);
    if (*best)
        return vh_error_set(err, VH_EINVALID, "unknown option '%.64s'; did you mean '--%s'?", arg, best);
    return vh_error_set(err, VH_EINVALID, "unknown option '%.64s'; --help lists the known ones", arg);
}

static bool parse_uint(const char *text, uint64_t max, uint64_t *value)
{
    uint64_t v = 0;

    if (!*text || strlen(text) > 12)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        v = v * 10 + (uint64_t)(*text - '0');
    }
    *value = v;
    return v >= 1 && v <= max;
}

static bool is_choice(const char *choices, const char *text)
{
    size_t n = strlen(text), len;

    for (const char *c = choices;; c += len + 1) {
        len = strcspn(c, "|");
        if (len == n && strncmp(c, text, n) == 0)
            return true;
        if (!c[len])
            return false;
    }
}

/* Sets a key of the configuration. Paths may be relative on a command line, where there is a current directory. */
static int set_setting(const cli_parser *p, const char *name, const char *key, const char *text, vh_error *err)
{
    char origin[VH_CONFIG_NAME_MAX + 2], here[2048], path[sizeof(here) + VH_CONFIG_VALUE_MAX];
    const vh_config_key *row = vh_config_key_find(key);

    snprintf(origin, sizeof(origin), "--%s", name);
    if (row && row->type == VH_CONFIG_PATH && *text && *text != '/' && strlen(text) < VH_CONFIG_VALUE_MAX) {
        if (!getcwd(here, sizeof(here)))
            return vh_error_set(err, -errno, "%s: current directory", origin);
        snprintf(path, sizeof(path), "%s/%s", here, text);
        text = path;
    }
    return vh_config_set(p->config, key, text, VH_CONFIG_FROM_FLAG, origin, err);
}

/* Takes option |o| with |text| after looking at it. */
static int take(cli_parser *p, const cli_option *o, const char *text, vh_error *err)
{
    uint64_t number;

    switch (o->type) {
    case CLI_UINT:
        if (!parse_uint(text, o->max, &number))
            return vh_error_set(err, VH_EINVALID, "--%s: '%.64s' is not a number from 1 to %llu", o->name, text,
                                (unsigned long long)o->max);
        break;
    case CLI_CHOICE:
        if (!is_choice(o->choices, text))
            return vh_error_set(err, VH_EINVALID, "--%s: '%.64s' is not one of %s", o->name, text, o->choices);
        break;
    case CLI_ENV:
        if (!strchr(text, '=') || *text == '=')
            return vh_error_set(err, VH_EINVALID, "--%s: '%.64s' is not of the form NAME=VALUE", o->name, text);
        break;
    case CLI_SETTING:
        return set_setting(p, o->name, o->key, text, err);
    case CLI_FLAG:
    case CLI_TEXT:
        break;
    }
    p->values[p->nvalues++] = (cli_value){ .option = o, .text = text };
    return 0;
}

bool cli_option_needs_value(const cli_option *o)
{
    const vh_config_key *key = o->key ? vh_config_key_find(o->key) : NULL;

    return o->type != CLI_FLAG && !(key && key->type == VH_CONFIG_BOOL);
}

/* |inline_value| is what stood behind '=', NULL for nothing; otherwise the next argument is the value. */
static int take_with_value(cli_parser *p, const cli_option *o, const char *inline_value, vh_error *err)
{
    if (o->type == CLI_FLAG)
        return inline_value ? vh_error_set(err, VH_EINVALID, "--%s takes no value", o->name) : take(p, o, NULL, err);
    if (!inline_value && !cli_option_needs_value(o))
        inline_value = "true"; /* a setting that is a switch */
    if (inline_value)
        return take(p, o, inline_value, err);
    if (p->at >= p->argc)
        return vh_error_set(err, VH_EINVALID, "--%s needs a value: --%s %s", o->name, o->name,
                            o->metavar ? o->metavar : "VALUE");
    return take(p, o, p->argv[p->at++], err);
}

/* A setting without a row: --vmm-accel kvm, --net-allow-private. */
static int take_key(cli_parser *p, const vh_config_key *key, const char *inline_value, vh_error *err)
{
    char flag[VH_CONFIG_NAME_MAX];
    cli_option o = { .name = vh_config_flag_name(key, flag), .type = CLI_SETTING, .key = key->name };

    return take_with_value(p, &o, inline_value, err);
}

const cli_option *cli_parser_lookup(const cli_parser *p, const char *arg, cli_option *setting)
{
    size_t n = strcspn(arg, "=");
    const vh_config_key *key;
    const cli_option *o;

    if (arg[0] != '-' || !arg[1] || strcmp(arg, "--") == 0)
        return NULL;
    if (arg[1] != '-')
        return arg[2] ? NULL : find_short(p, arg[1]);
    o = cli_parser_find(p, arg + 2, n - 2);
    key = o ? NULL : vh_config_key_of_flag(arg + 2, n - 2);
    if (key)
        *setting = (cli_option){ .name = key->name, .type = CLI_SETTING, .key = key->name, .help = key->help };
    return o ? o : key ? setting : NULL;
}

static int take_long(cli_parser *p, const char *arg, vh_error *err)
{
    const char *name = arg + 2, *equals = strchr(name, '=');
    size_t n = equals ? (size_t)(equals - name) : strlen(name);
    const cli_option *o = cli_parser_find(p, name, n);
    const vh_config_key *key = o ? NULL : vh_config_key_of_flag(name, n);

    if (o)
        return take_with_value(p, o, equals ? equals + 1 : NULL, err);
    if (key)
        return take_key(p, key, equals ? equals + 1 : NULL, err);
    return unknown_option(p, arg, name, n, err);
}

/* "-o json", "-ojson"; flags may be joined: "-it", "-itojson". */
static int take_short(cli_parser *p, const char *arg, vh_error *err)
{
    for (const char *letter = arg + 1; *letter; letter++) {
        const cli_option *o = find_short(p, *letter);
        int rc;

        if (!o)
            return vh_error_set(err, VH_EINVALID, "unknown option '%.64s'; --help lists the known ones", arg);
        if (o->type != CLI_FLAG)
            return take_with_value(p, o, letter[1] ? letter + 1 : NULL, err);
        rc = take_with_value(p, o, NULL, err);
        if (rc)
            return rc;
    }
    return 0;
}

int cli_parser_run(cli_parser *p, bool one_operand, vh_error *err)
{
    while (p->at < p->argc) {
        const char *arg = p->argv[p->at++];
        int rc = 0;

        if (p->operands_only || arg[0] != '-' || !arg[1]) {
            p->operands[p->noperands++] = arg;
            if (one_operand)
                return 0;
        } else if (strcmp(arg, "--") == 0) {
            p->operands_only = true;
            p->before_dashes = p->noperands;
        } else if (arg[1] == '-') {
            rc = take_long(p, arg, err);
        } else {
            rc = take_short(p, arg, err);
        }
        if (rc)
            return rc;
    }
    return 0;
}

const char *cli_parser_value(const cli_parser *p, const char *name)
{
    for (size_t i = p->nvalues; i > 0; i--)
        if (strcmp(p->values[i - 1].option->name, name) == 0)
            return p->values[i - 1].text ? p->values[i - 1].text : "";
    return NULL;
}

uint64_t cli_parser_uint(const cli_parser *p, const char *name, uint64_t fallback)
{
    const char *text = cli_parser_value(p, name);
    uint64_t value;

    return text && parse_uint(text, UINT64_MAX, &value) ? value : fallback;
}
