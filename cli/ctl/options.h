/*
 * Options of a command line from tables. A row says how an option is written, what its value must look like and what
 * its help is; every setting of the configuration is an option as well (--vmm-accel=tcg) without a row of its own.
 *
 *     ctl_parser p = { .argc = argc, .argv = argv, .at = 1, .tables = { globals, mine }, .config = config };
 *     if (ctl_parser_init(&p, &err) == 0 && ctl_parser_run(&p, false, &err) == 0)
 *         ctl_parser_value(&p, "port") ...
 *     ctl_parser_fini(&p);
 */
#ifndef CTL_OPTIONS_H
#define CTL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vhive/config.h>
#include <vhive/error.h>

typedef enum ctl_type {
    CTL_FLAG = 0, /* takes no value */
    CTL_TEXT,
    CTL_UINT,    /* 1 to max */
    CTL_CHOICE,  /* one of choices */
    CTL_ENV,     /* NAME=VALUE */
    CTL_SETTING, /* sets key of the configuration, which says what is valid */
} ctl_type;

/** One row; a table ends with a row without a name. */
typedef struct ctl_option {
    const char *name; /* long form, without dashes */
    char letter;      /* short form; 0: none */
    ctl_type type;
    const char *metavar; /* what the value is called in help */
    uint64_t max;
    const char *choices; /* separated by '|' */
    const char *key;
    const char *help;
} ctl_option;

typedef struct ctl_value {
    const ctl_option *option;
    const char *text; /* NULL for a flag */
} ctl_value;

/** A command line that is being read. The caller fills the first part; all text is borrowed from |argv|. */
typedef struct ctl_parser {
    int argc;
    const char *const *argv;
    int at;                       /* next argument */
    const ctl_option *tables[2];  /* NULL: none */
    vh_config *config;            /* gets settings */
    bool operands_only;           /* "--" was seen */
    ctl_value *values;            /* in the order of the command line */
    size_t nvalues;
    const char **operands;
    size_t noperands;
} ctl_parser;

/** Makes room for values and operands. 0 or -ENOMEM. */
VH_MUST_CHECK int ctl_parser_init(ctl_parser *p, vh_error *err);
void ctl_parser_fini(ctl_parser *p);

/**
 * Reads arguments up to the end, or up to and with the next operand if |one_operand|. VH_EINVALID: an option that is
 * unknown (the nearest one is named), lacks its value or has a bad one.
 */
VH_MUST_CHECK int ctl_parser_run(ctl_parser *p, bool one_operand, vh_error *err);

/** The last value given for option |name|, "" for a flag, NULL if it was not given. */
const char *ctl_parser_value(const ctl_parser *p, const char *name);
/** The last value of a CTL_UINT option, |fallback| if it was not given. */
uint64_t ctl_parser_uint(const ctl_parser *p, const char *name, uint64_t fallback);

/** The nearer of |best| (may be NULL) and |candidate| to |word|; |*least| is how far it may be, and is lowered. */
const char *ctl_nearer(const char *word, const char *best, const char *candidate, unsigned *least);
/** Distance up to which a suggestion for |word| makes sense. */
unsigned ctl_nearby(const char *word);

#endif
