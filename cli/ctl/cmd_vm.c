/* vhive-ctl vm: the VMs that run on this machine. */
#include "ctl.h"

#include <vhive/exec.h>

#include "complete.h"

static const cli_column columns[] = {
    { "ID", "id", CLI_COLUMN_TEXT },
    { "IMAGE", "image", CLI_COLUMN_TEXT },
    { "ADDRESS", "address", CLI_COLUMN_TEXT },
    { "PORT", "port", CLI_COLUMN_NUMBER },
    { "ENGINE", "engine", CLI_COLUMN_TEXT },
    { "SNAPSHOT", "snapshot", CLI_COLUMN_TEXT },
    { "PID", "pid", CLI_COLUMN_NUMBER },
    { "STARTED", "started", CLI_COLUMN_TIME },
};

static bool add_row(const vh_vm_info *info, void *arg)
{
    cli_rows *rows = arg;

    cli_rows_text(rows, info->id);
    cli_rows_text(rows, info->image);
    cli_rows_text(rows, info->address);
    cli_rows_number(rows, info->port);
    cli_rows_text(rows, info->engine);
    cli_rows_text(rows, info->snapshot);
    cli_rows_number(rows, info->pid);
    cli_rows_number(rows, info->started_ns);
    return true;
}

static bool add_candidate(const vh_vm_info *info, void *to)
{
    cli_candidate(to, info->id, info->image);
    return true;
}

int ctl_complete_vm(cli *c, cli_candidates *to, vh_error *err)
{
    vh_env *env = NULL;
    int rc = cli_env_new(c, &env, err);

    if (rc == 0)
        rc = vh_vms_list(env, NULL, add_candidate, to, err);
    vh_env_free(env);
    return rc;
}

static int vm_ls(cli *c, vh_error *err)
{
    cli_rows rows = { .columns = columns, .ncolumns = sizeof(columns) / sizeof(columns[0]) };
    vh_call call = cli_call(c);
    vh_env *env = NULL;
    int rc = cli_env_new(c, &env, err);

    if (rc == 0)
        rc = vh_vms_list(env, &call, add_row, &rows, err);
    if (rc == 0)
        rc = cli_rows_print(&rows, stdout, c->format, err);
    cli_rows_fini(&rows);
    vh_env_free(env);
    return rc;
}

const cli_command ctl_cmd_vm_ls = {
    .name = "vm ls",
    .summary = "List the VMs that run, of every process",
    .operands = "",
    .options = NULL,
    .details = "PID is the process that owns the VM: when it ends, so does the VM.\n",
    .examples = "  vhive-ctl vm ls -o json\n",
    .run = vm_ls,
};
