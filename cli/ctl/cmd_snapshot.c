/* vhive-ctl snapshot: create, list, look at, check and remove snapshots. */
#include "ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vhive/doctor.h>
#include <vhive/host.h>
#include <vhive/snapshot.h>
#include <vhive/vm.h>

#include "complete.h"
#include "run_options.h"

static const cli_option create_options[] = { CLI_RUN_OPTIONS, { .name = NULL } };

static const cli_column list_columns[] = {
    { "ID", "id", CLI_COLUMN_TEXT },
    { "LABELS", "labels", CLI_COLUMN_LIST },
    { "IMAGE", "image", CLI_COLUMN_TEXT },
    { "CREATED", "created", CLI_COLUMN_TIME },
    { "MEMORY", "memory_bytes", CLI_COLUMN_BYTES },
    { "ON DISK", "memory_disk_bytes", CLI_COLUMN_BYTES },
    { "WS PAGES", "ws_pages", CLI_COLUMN_NUMBER },
    { "STATE", "state", CLI_COLUMN_TEXT },
};

static const cli_column detail_columns[] = {
    { "Id", "id", CLI_COLUMN_TEXT },
    { "Labels", "labels", CLI_COLUMN_LIST },
    { "Image", "image", CLI_COLUMN_TEXT },
    { "Created", "created", CLI_COLUMN_TIME },
    { "Memory", "memory_bytes", CLI_COLUMN_BYTES },
    { "Memory on disk", "memory_disk_bytes", CLI_COLUMN_BYTES },
    { "Working set pages", "ws_pages", CLI_COLUMN_NUMBER },
    { "State", "state", CLI_COLUMN_TEXT },
    { "Image digest", "image_digest", CLI_COLUMN_TEXT },
    { "VMM state", "vmstate_bytes", CLI_COLUMN_BYTES },
    { "Working set on disk", "ws_bytes", CLI_COLUMN_BYTES },
    { "VMM", "vmm", CLI_COLUMN_TEXT },
    { "VMM version", "vmm_version", CLI_COLUMN_TEXT },
    { "Acceleration", "accel", CLI_COLUMN_TEXT },
    { "CPUs", "cpus", CLI_COLUMN_NUMBER },
    { "Boot time", "boot_us", CLI_COLUMN_MICROS },
    { "Pause to save", "pause_us", CLI_COLUMN_MICROS },
    { "Identity", "identity", CLI_COLUMN_TEXT },
    { "Problem", "problem", CLI_COLUMN_TEXT },
};

static const cli_column verify_columns[] = {
    { "SNAPSHOT", "snapshot", CLI_COLUMN_TEXT },
    { "INTACT", "ok", CLI_COLUMN_BOOL },
};

#define COUNT(columns) (sizeof(columns) / sizeof((columns)[0]))

/* Cells of list_columns, which are the first of detail_columns too. |state| is NULL for what the snapshot itself says. */
static void add_summary(cli_rows *rows, const vh_snapshot_info *info, const char *state)
{
    char labels[VH_SNAPSHOT_LABELS_MAX * VH_SNAPSHOT_LABEL] = "";

    for (size_t i = 0; i < info->label_count && i < VH_SNAPSHOT_LABELS_MAX; i++) {
        strcat(labels, i ? "," : "");
        strcat(labels, info->labels[i]); /* each fits with its comma: VH_SNAPSHOT_LABEL counts the NUL */
    }
    cli_rows_text(rows, info->id);
    cli_rows_text(rows, labels);
    cli_rows_text(rows, info->image);
    cli_rows_number(rows, info->created_ns);
    cli_rows_number(rows, (int64_t)info->memory_bytes);
    cli_rows_number(rows, (int64_t)info->memory_disk_bytes);
    cli_rows_number(rows, (int64_t)info->ws_pages);
    cli_rows_text(rows, info->quarantined ? "quarantined" : *info->problem ? "damaged" : state ? state : "ready");
}

static void add_detail(cli_rows *rows, const vh_snapshot_info *info)
{
    add_summary(rows, info, NULL);
    cli_rows_text(rows, info->image_digest);
    cli_rows_number(rows, (int64_t)info->vmstate_bytes);
    cli_rows_number(rows, (int64_t)info->ws_bytes);
    cli_rows_text(rows, info->vmm);
    cli_rows_text(rows, info->vmm_version);
    cli_rows_text(rows, info->accel);
    cli_rows_number(rows, info->cpus);
    cli_rows_number(rows, (int64_t)info->boot_us);
    cli_rows_number(rows, (int64_t)info->pause_us);
    cli_rows_text(rows, info->identity);
    cli_rows_text(rows, info->problem);
}

int ctl_with_snapshots(cli *c, int (*use)(cli *c, vh_snapshots *snapshots, void *arg, vh_error *err), void *arg,
                       vh_error *err)
{
    vh_snapshots *snapshots = NULL;
    vh_env *env = NULL;
    int rc = cli_env_new(c, &env, err);

    if (rc == 0)
        rc = vh_snapshots_find(env, &snapshots, err);
    if (rc == 0)
        rc = use(c, snapshots, arg, err);
    vh_snapshots_free(snapshots);
    vh_env_free(env);
    return rc;
}

/* A listing: its rows, and ids of snapshots that no run restores any more, each between spaces. */
struct listing {
    cli_rows rows;
    char *stale;
    size_t size;
    FILE *f;
};

static void note_stale(const vh_snapshot_info *info, const char *why, void *arg)
{
    (void)why;
    fprintf(((struct listing *)arg)->f, " %s ", info->id);
}

static bool add_row(const vh_snapshot_info *info, void *arg)
{
    struct listing *l = arg;
    char id[VH_SNAPSHOT_ID + 2];

    snprintf(id, sizeof(id), " %s ", info->id); /* whole: one that was set aside is "bad-" and the id of its successor */
    add_summary(&l->rows, info, strstr(l->stale, id) ? "stale" : NULL);
    return true;
}

static int list(cli *c, vh_snapshots *snapshots, void *arg, vh_error *err)
{
    struct listing *l = arg;
    vh_call call = cli_call(c);
    vh_env_options o;
    int rc;

    cli_env_options(c, &o);
    l->f = open_memstream(&l->stale, &l->size);
    if (!l->f)
        return vh_error_set(err, -ENOMEM, "list of snapshots");
    rc = vh_doctor_stale(c->config, &o, &call, snapshots, note_stale, l, err);
    if (fclose(l->f) && rc == 0)
        rc = vh_error_set(err, -ENOMEM, "list of snapshots");
    return rc ? rc : vh_snapshots_list(snapshots, add_row, l, err);
}

static int print_one(cli *c, vh_snapshots *snapshots, const char *ref, vh_error *err)
{
    cli_rows rows = { .columns = detail_columns, .ncolumns = COUNT(detail_columns) };
    vh_snapshot_info info = VH_SNAPSHOT_INFO_INIT;
    int rc = vh_snapshots_inspect(snapshots, ref, &info, err);

    if (rc)
        return rc;
    add_detail(&rows, &info);
    rc = cli_rows_print_one(&rows, stdout, c->format, err);
    cli_rows_fini(&rows);
    return rc;
}

static int inspect(cli *c, vh_snapshots *snapshots, void *unused, vh_error *err)
{
    (void)unused;
    return print_one(c, snapshots, c->args.operands[0], err);
}

struct verification {
    vh_snapshots *snapshots;
    cli_rows rows;
};

static int verify_one(cli *c, const char *ref, void *object, vh_error *err)
{
    struct verification *v = object;
    vh_call call = cli_call(c);
    int rc = vh_snapshots_verify(v->snapshots, ref, &call, err);

    cli_rows_text(&v->rows, ref);
    cli_rows_number(&v->rows, rc == 0);
    return rc;
}

static int verify(cli *c, vh_snapshots *snapshots, void *unused, vh_error *err)
{
    struct verification v = { .snapshots = snapshots, .rows = { .columns = verify_columns, .ncolumns = 2 } };
    int rc = cli_each_operand(c, verify_one, &v, err);
    int printed = cli_rows_print(&v.rows, stdout, c->format, rc ? NULL : err);

    (void)unused;
    cli_rows_fini(&v.rows);
    return rc ? rc : printed;
}

static int remove_one(cli *c, const char *ref, void *snapshots, vh_error *err)
{
    (void)c;
    return vh_snapshots_remove(snapshots, ref, err);
}

static int remove_all(cli *c, vh_snapshots *snapshots, void *unused, vh_error *err)
{
    (void)unused;
    return cli_each_operand(c, remove_one, snapshots, err);
}

static int run_create(cli *c, vh_error *err)
{
    const char **env = NULL;
    vh_call call = cli_call(c);
    vh_host *host = NULL;
    vh_env_options eo;
    vh_run_options o;
    char id[VH_SNAPSHOT_ID > 72 ? VH_SNAPSHOT_ID : 72];
    int rc = cli_run_options(c, &o, &env, err);

    cli_env_options(c, &eo);
    if (rc == 0)
        rc = vh_host_new(c->config, &eo, &host, err);
    if (rc == 0)
        rc = vh_vm_snapshot_create(vh_host_vms(host), &o, false, &call, id, err);
    if (rc == 0 && c->format == CLI_JSON)
        rc = print_one(c, vh_host_snapshots(host), id, err);
    else if (rc == 0)
        printf("%s\n", id);
    vh_host_free(host);
    free(env);
    return rc;
}

static int run_ls(cli *c, vh_error *err)
{
    struct listing l = { .rows = { .columns = list_columns, .ncolumns = COUNT(list_columns) } };
    int rc = ctl_with_snapshots(c, list, &l, err);

    if (rc == 0 || rc == VH_ENOTFOUND)
        rc = cli_rows_print(&l.rows, stdout, c->format, err);
    cli_rows_fini(&l.rows);
    free(l.stale);
    return rc;
}

static int run_inspect(cli *c, vh_error *err)
{
    return ctl_with_snapshots(c, inspect, NULL, err);
}

static int run_verify(cli *c, vh_error *err)
{
    return ctl_with_snapshots(c, verify, NULL, err);
}

static bool add_candidate(const vh_snapshot_info *info, void *to)
{
    cli_candidate(to, info->id, info->image);
    for (size_t i = 0; i < info->label_count && i < VH_SNAPSHOT_LABELS_MAX; i++)
        cli_candidate(to, info->labels[i], info->image);
    return true;
}

static int complete_one(cli *c, vh_snapshots *snapshots, void *to, vh_error *err)
{
    (void)c;
    return vh_snapshots_list(snapshots, add_candidate, to, err);
}

static int complete_snapshot(cli *c, cli_candidates *to, vh_error *err)
{
    return ctl_with_snapshots(c, complete_one, to, err);
}

static int run_rm(cli *c, vh_error *err)
{
    return ctl_with_snapshots(c, remove_all, NULL, err);
}

const cli_command ctl_cmd_snapshot_create = {
    .name = "snapshot create",
    .summary = "Boot a function, save a snapshot of it, and print the snapshot's id",
    .operands = "IMAGE",
    .min = 1,
    .max = 1,
    .options = create_options,
    .details = "One of the same image, environment and machine is kept if there is one, and its id printed.\n",
    .examples = "  vhive-ctl snapshot create oci:build/functions/hello --snapshot hello\n",
    .root = true,
    .run = run_create,
    .complete = ctl_complete_image,
};

const cli_command ctl_cmd_snapshot_ls = {
    .name = "snapshot ls",
    .summary = "List snapshots",
    .operands = "",
    .details = "States: ready; stale, which is made with another guest kernel, agent or QEMU than there are now, so that no\n"
               "run restores it; damaged; quarantined, set aside after a restore failed. 'snapshot prune' removes all but\n"
               "the ready ones.\n",
    .examples = "  vhive-ctl snapshot ls\n"
                "  vhive-ctl snapshot ls -o json\n",
    .run = run_ls,
};

const cli_command ctl_cmd_snapshot_inspect = {
    .name = "snapshot inspect",
    .summary = "Show one snapshot",
    .operands = "ID",
    .min = 1,
    .max = 1,
    .details = "ID is an id, its beginning (4 digits or more) or a label.\n",
    .examples = "  vhive-ctl snapshot inspect hello -o json\n",
    .run = run_inspect,
    .complete = complete_snapshot,
};

const cli_command ctl_cmd_snapshot_verify = {
    .name = "snapshot verify",
    .summary = "Compare all of a snapshot with its digests",
    .operands = "ID...",
    .min = 1,
    .max = SIZE_MAX,
    .examples = "  vhive-ctl snapshot verify hello\n",
    .run = run_verify,
    .complete = complete_snapshot,
};

const cli_command ctl_cmd_snapshot_rm = {
    .name = "snapshot rm",
    .summary = "Remove snapshots",
    .operands = "ID...",
    .min = 1,
    .max = SIZE_MAX,
    .examples = "  vhive-ctl snapshot rm hello\n",
    .run = run_rm,
    .complete = complete_snapshot,
};
