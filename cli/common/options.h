/*
 * Options of a command line from tables. A row says how an option is written, what its value must look like and what
 * its help is; every setting of the configuration is an option as well (--vmm-accel=tcg) without a row of its own.
 *
 *     cli_parser p = { .argc = argc, .argv = argv, .at = 1, .tables = { globals, mine }, .config = config };
 *     if (cli_parser_init(&p, &err) == 0 && cli_parser_run(&p, false, &err) == 0)
 *         cli_parser_value(&p, "port") ...
 *     cli_parser_fini(&p);
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vhive/config.h>
#include <vhive/error.h>

typedef enum cli_type {
    CLI_FLAG = 0, /* takes no value */
    CLI_TEXT,
    CLI_UINT,    /* 1 to max */
    CLI_CHOICE,  /* one of choices */
    CLI_ENV,     /* NAME=VALUE */
    CLI_SETTING, /* sets key of the configuration, which says what is valid */
} cli_type;

/** One row; a table ends with a row without a name. */
typedef struct cli_option {
    const char *name; /* long form, without dashes */
    char letter;      /* short form; 0: none */
    cli_type type;
    const char *metavar; /* what the value is called in help */
    uint64_t max;
    const char *choices; /* separated by '|' */
    const char *key;
    const char *help;
} cli_option;

typedef struct cli_value {
    const cli_option *option;
    const char *text; /* NULL for a flag */
} cli_value;

/** A command line that is being read. The caller fills the first part; all text is borrowed from |argv|. */
typedef struct cli_parser {
    int argc;
    const char *const *argv;
    int at;                       /* next argument */
    const cli_option *tables[2];  /* NULL: none */
    vh_config *config;            /* gets settings */
    bool operands_only;           /* "--" was seen: */
    size_t before_dashes;         /* so many operands came before it */
    cli_value *values;            /* in the order of the command line */
    size_t nvalues;
    const char **operands;
    size_t noperands;
} cli_parser;

/** Makes room for values and operands. 0 or -ENOMEM. */
VH_MUST_CHECK int cli_parser_init(cli_parser *p, vh_error *err);
void cli_parser_fini(cli_parser *p);

/**
 * Reads arguments up to the end, or up to and with the next operand if |one_operand|. VH_EINVALID: an option that is
 * unknown (the nearest one is named), lacks its value or has a bad one.
 */
VH_MUST_CHECK int cli_parser_run(cli_parser *p, bool one_operand, vh_error *err);

/** Whether the next argument is |o|'s value when none stands behind a '='; a setting that is a switch needs none. */
bool cli_option_needs_value(const cli_option *o);

/** Row of the option |name| (|n| bytes, no dashes), NULL if there is none. Settings without a row have none. */
const cli_option *cli_parser_find(const cli_parser *p, const char *name, size_t n);
/** Option that the argument |arg| is ("-o", "--output=x"), settings included, for which |*setting| becomes the row. */
const cli_option *cli_parser_lookup(const cli_parser *p, const char *arg, cli_option *setting);

/** The last value given for option |name|, "" for a flag, NULL if it was not given. */
const char *cli_parser_value(const cli_parser *p, const char *name);
/** The last value of a CLI_UINT option, |fallback| if it was not given. */
uint64_t cli_parser_uint(const cli_parser *p, const char *name, uint64_t fallback);

/** The nearer of |best| (may be NULL) and |candidate| to |word|; |*least| is how far it may be, and is lowered. */
const char *cli_nearer(const char *word, const char *best, const char *candidate, unsigned *least);
/** Distance up to which a suggestion for |word| makes sense. */
unsigned cli_nearby(const char *word);

#endif
