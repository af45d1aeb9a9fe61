/* vhive-ctl doctor: what this machine lacks, and how to mend it. */
#include "ctl.h"

#include <string.h>
#include <vhive/doctor.h>

#include "encode.h"

static const cli_column columns[] = {
    { "CHECK", "check", CLI_COLUMN_TEXT },
    { "STATUS", "status", CLI_COLUMN_TEXT },
    { "DETAIL", "detail", CLI_COLUMN_TEXT },
    { "REMEDY", "remedy", CLI_COLUMN_TEXT },
};

struct examination {
    cli *c;
    cli_rows rows;
    unsigned warnings, failures;
};

/* For people: a line for the finding, one for what to do about it, at once, since some checks take their time. */
static void print_finding(const vh_finding *f)
{
    printf("%-4s  %-18s ", vh_finding_level_name(f->level), f->check);
    cli_put_plain(stdout, f->detail);
    fputc('\n', stdout);
    if (*f->remedy) {
        printf("%25s-> ", "");
        cli_put_plain(stdout, f->remedy);
        fputc('\n', stdout);
    }
    fflush(stdout);
}

static void on_finding(const vh_finding *f, void *arg)
{
    struct examination *e = arg;

    e->warnings += f->level == VH_FINDING_WARN;
    e->failures += f->level == VH_FINDING_FAIL;
    if (e->c->format == CLI_TABLE || e->c->format == CLI_PLAIN) {
        print_finding(f);
        return;
    }
    if (e->c->format == CLI_IDS && f->level == VH_FINDING_OK)
        return;
    cli_rows_text(&e->rows, f->check);
    cli_rows_text(&e->rows, vh_finding_level_name(f->level));
    cli_rows_text(&e->rows, f->detail);
    cli_rows_text(&e->rows, f->remedy);
}

static void print_end(const struct examination *e)
{
    if (e->failures)
        printf("\n%u missing; functions do not run, or not by the default engine\n", e->failures);
    else if (e->warnings)
        printf("\nfunctions run; %u could be better\n", e->warnings);
    else
        printf("\nall is well\n");
}

static int run_doctor(cli *c, vh_error *err)
{
    struct examination e = { .c = c, .rows = { .columns = columns, .ncolumns = 4 } };
    vh_call call = cli_call(c);
    vh_env_options o;
    int rc;

    cli_env_options(c, &o);
    rc = vh_doctor_run(c->config, &o, &call, on_finding, &e, err);
    if (rc == 0 && (c->format == CLI_JSON || c->format == CLI_IDS))
        rc = cli_rows_print(&e.rows, stdout, c->format, err);
    else if (rc == 0 && c->format == CLI_TABLE)
        print_end(&e);
    cli_rows_fini(&e.rows);
    if (rc)
        return rc;
    return e.failures ? CLI_EXIT_MISSING : CLI_EXIT_OK;
}

const cli_command ctl_cmd_doctor = {
    .name = "doctor",
    .summary = "Try what functions need on this machine, and tell how to mend what is missing",
    .operands = "",
    .details = "Each check tries the thing itself and leaves nothing behind. \"warn\": functions run, but could do better;\n"
               "\"fail\": they do not run, or not by the default engine, and the exit code is 126. -q prints the names of\n"
               "what is not ok.\n",
    .examples = "  sudo vhive-ctl doctor\n"
                "  sudo vhive-ctl doctor -o json\n",
    .run = run_doctor,
};
