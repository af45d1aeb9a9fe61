/* vhive-bench micro: what single mechanisms of this machine take. */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "stats.h"

enum { ITERATIONS = 9, ITERATIONS_MAX = 10000 };

static const cli_option options[] = {
    { "iterations", 'n', CLI_UINT, "N", .max = ITERATIONS_MAX, .help = "how often each is done (default 9)" },
    { "format", 0, CLI_CHOICE, "FORMAT", .choices = "table|json", .help = "form of the result (default table)" },
    { "accel", 0, CLI_SETTING, "ACCEL", .key = "vmm.accel" },
    { .name = NULL },
};

static const cli_column columns[] = {
    { "NAME", "name", CLI_COLUMN_TEXT },   { "N", "n", CLI_COLUMN_NUMBER },     { "MIN", "min", CLI_COLUMN_NUMBER },
    { "P50", "p50", CLI_COLUMN_NUMBER },   { "P90", "p90", CLI_COLUMN_NUMBER }, { "MAX", "max", CLI_COLUMN_NUMBER },
    { "UNIT", "unit", CLI_COLUMN_TEXT },   { "WHAT", "what", CLI_COLUMN_TEXT }, { "ERROR", "error", CLI_COLUMN_TEXT },
};

/* All that the measurements have in common. */
struct series {
    cli *c;
    vh_micro *micro;
    cli_rows rows;
    double *values;
    size_t iterations;
    vh_error failed; /* the first failure; the others go on */
};

static void add_row(struct series *s, const vh_micro_row *row, size_t n, const char *error)
{
    static const double shares[] = { 0, 0.5, 0.9, 1 };

    bench_sort(s->values, n);
    cli_rows_text(&s->rows, row->name);
    cli_rows_number(&s->rows, (int64_t)n);
    for (size_t i = 0; i < 4; i++)
        cli_rows_number(&s->rows, (int64_t)(bench_quantile(s->values, n, shares[i]) + 0.5));
    cli_rows_text(&s->rows, row->unit);
    cli_rows_text(&s->rows, row->help);
    cli_rows_text(&s->rows, error);
}

/* One row; the first run of it brings programs into caches and is not counted. */
static int measure(struct series *s, const vh_micro_row *row, vh_error *err)
{
    vh_call call = cli_call(s->c);
    vh_error why = { 0 };
    double warm_up;
    size_t n = 0;
    int rc;

    cli_progress(s->c, "micro", row->name);
    rc = vh_micro_run(s->micro, row->name, &call, &warm_up, &why);
    while (rc == 0 && n < s->iterations) {
        rc = vh_micro_run(s->micro, row->name, &call, &s->values[n], &why);
        n += rc == 0;
    }
    if (rc == VH_ECANCELED) {
        *err = why;
        return rc;
    }
    if (rc && !s->failed.code)
        s->failed = why;
    add_row(s, row, n, why.msg);
    return 0;
}

static const vh_micro_row *find(const char *name)
{
    const vh_micro_row *row;

    for (size_t i = 0; (row = vh_micro_at(i)) != NULL; i++)
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

static int unknown(const char *name, vh_error *err)
{
    const vh_micro_row *row;
    char names[512] = "";

    for (size_t i = 0; (row = vh_micro_at(i)) != NULL; i++)
        snprintf(names + strlen(names), sizeof(names) - strlen(names), " %s", row->name);
    return vh_error_set(err, VH_EINVALID, "measurement '%.40s': unknown; there are%s", name, names);
}

static int check_names(const cli *c, vh_error *err)
{
    for (size_t i = 0; i < c->args.noperands; i++)
        if (!find(c->args.operands[i]))
            return unknown(c->args.operands[i], err);
    return 0;
}

static int measure_all(struct series *s, vh_error *err)
{
    const cli_parser *p = &s->c->args;
    const vh_micro_row *row;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < p->noperands; i++)
        rc = measure(s, find(p->operands[i]), err);
    for (size_t i = 0; rc == 0 && p->noperands == 0 && (row = vh_micro_at(i)) != NULL; i++)
        rc = measure(s, row, err);
    return rc;
}

static int print(struct series *s, vh_error *err)
{
    const char *format = cli_parser_value(&s->c->args, "format");
    int rc;

    cli_console_hold(&s->c->console);
    rc = cli_rows_print(&s->rows, stdout, format && strcmp(format, "json") == 0 ? CLI_JSON : CLI_TABLE, err);
    cli_console_release(&s->c->console);
    if (rc == 0 && s->failed.code) {
        *err = s->failed;
        return s->failed.code;
    }
    return rc;
}

static int run_micro(cli *c, vh_error *err)
{
    struct series s = { .c = c, .iterations = (size_t)cli_parser_uint(&c->args, "iterations", ITERATIONS),
                        .rows = { .columns = columns, .ncolumns = sizeof(columns) / sizeof(columns[0]) } };
    vh_env *env = NULL;
    int rc = check_names(c, err);

    s.values = calloc(s.iterations, sizeof(*s.values));
    if (rc == 0 && !s.values)
        rc = vh_error_set(err, -ENOMEM, "values");
    if (rc == 0)
        rc = cli_env_new(c, &env, err);
    if (rc == 0)
        rc = bench_micro_new(c, env, &s.micro, err);
    if (rc == 0)
        rc = measure_all(&s, err);
    if (rc == 0)
        rc = print(&s, err);
    vh_micro_free(s.micro);
    vh_env_free(env);
    cli_rows_fini(&s.rows);
    free(s.values);
    return rc;
}

const cli_command bench_cmd_micro = {
    .name = "micro",
    .summary = "Measure single mechanisms: faults, disk, spawning, networks",
    .operands = "[NAME]...",
    .max = SIZE_MAX,
    .options = options,
    .details =
        "Without a NAME all are measured, each N times after a first time that is not counted. They tell a slow\n"
        "machine from a slow program. The disk is that of the state directory; VMMs are spawned with TCG unless\n"
        "--accel kvm is given. What this machine lacks becomes an error in its row, and the exit code.\n",
    .examples = "  vhive-bench micro\n"
                "  vhive-bench micro fault vmm-spawn --iterations 50 --format json\n",
    .root = true,
    .run = run_micro,
};
