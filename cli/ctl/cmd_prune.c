/* vhive-ctl snapshot prune: removes snapshots that no run will restore. */
#include <stdlib.h>
#include <string.h>
#include <vhive/doctor.h>

#include "ctl.h"

static const cli_option options[] = {
    { "dry-run", 'n', CLI_FLAG, .help = "only tell what would be removed" },
    { .name = NULL },
};

static const cli_column columns[] = {
    { "ID", "id", CLI_COLUMN_TEXT },
    { "IMAGE", "image", CLI_COLUMN_TEXT },
    { "ON DISK", "memory_disk_bytes", CLI_COLUMN_BYTES },
    { "WHY", "why", CLI_COLUMN_TEXT },
};

/* They are collected first: a listing goes on while its directory does not change. */
static void collect(const vh_snapshot_info *info, const char *why, void *rows)
{
    cli_rows_text(rows, info->id);
    cli_rows_text(rows, info->image);
    cli_rows_number(rows, (int64_t)info->memory_disk_bytes);
    cli_rows_text(rows, why);
}

/* Removes what |rows| name and keeps the rows of what is gone. One that is in use is told; returns the last failure. */
static int remove_rows(cli *c, vh_snapshots *snapshots, cli_rows *rows, vh_error *err)
{
    int failed = 0;
    const char *id;

    for (size_t row = 0; (id = cli_rows_first(rows, row)) != NULL;) {
        vh_error one = { 0 };
        int rc = vh_cancel_triggered(c->cancel) ? vh_error_set(&one, VH_ECANCELED, "interrupted before %s", id)
                                                : vh_snapshots_remove(snapshots, id, &one);

        if (rc == 0) {
            row++;
            continue;
        }
        cli_rows_drop(rows, row);
        if (rc == VH_ENOTFOUND || failed == VH_ECANCELED) /* another command was quicker; told already */
            continue;
        if (failed)
            cli_print_error(c, err);
        failed = rc;
        *err = one;
    }
    return failed;
}

static int prune(cli *c, vh_snapshots *snapshots, void *arg, vh_error *err)
{
    cli_rows *rows = arg;
    vh_call call = cli_call(c);
    vh_env_options o;
    int rc;

    cli_env_options(c, &o);
    rc = vh_doctor_stale(c->config, &o, &call, snapshots, collect, rows, err);
    if (rc)
        cli_rows_fini(rows); /* nothing was removed */
    if (rc || rows->oom || cli_parser_value(&c->args, "dry-run")) /* printing tells of lacking memory */
        return rc;
    return remove_rows(c, snapshots, rows, err);
}

static int run_prune(cli *c, vh_error *err)
{
    cli_rows rows = { .columns = columns, .ncolumns = 4 };
    int rc = ctl_with_snapshots(c, prune, &rows, err), printed = 0;

    rc = rc == VH_ENOTFOUND ? 0 : rc; /* there is no catalogue */
    if (rc == 0 || rows.ncells) /* what was removed before a failure too */
        printed = cli_rows_print(&rows, stdout, c->format, rc ? NULL : err);
    cli_rows_fini(&rows);
    return rc ? rc : printed;
}

const cli_command ctl_cmd_snapshot_prune = {
    .name = "snapshot prune",
    .summary = "Remove snapshots that no run will restore",
    .operands = "",
    .options = options,
    .details = "That is those made with another guest kernel, agent or QEMU than there are now, damaged ones, and those that\n"
               "were set aside. What is removed is listed.\n",
    .examples = "  vhive-ctl snapshot prune --dry-run\n",
    .run = run_prune,
};
