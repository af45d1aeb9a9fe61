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
#include "daemon.h"
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

/* The catalogue: the daemon's, or without one that of the state directory. */
struct source {
    vh_client *client; /* NULL: none */
    vh_snapshots *snapshots;
    int (*use)(cli *c, const struct source *source, vh_error *err);
};

static int use_local(cli *c, vh_snapshots *snapshots, void *arg, vh_error *err)
{
    struct source *s = arg;

    s->snapshots = snapshots;
    return s->use(c, s, err);
}

/* Opens the catalogue, lets |use| work with it, and closes it. */
static int with_source(cli *c, int (*use)(cli *c, const struct source *source, vh_error *err), vh_error *err)
{
    struct source s = { .use = use };
    int rc = ctl_daemon_find(c, &s.client, err);

    if (rc == 0)
        rc = s.client ? use(c, &s, err) : ctl_with_snapshots(c, use_local, &s, err);
    vh_client_free(s.client);
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

/* As the daemon tells it, to someone who may not look for himself: what is stale stays unsaid. */
static int list_of_daemon(cli *c, vh_client *client, struct listing *l, vh_error *err)
{
    vh_call call = cli_call(c);

    free(l->stale); /* of a listing that was begun */
    l->stale = strdup("");
    if (!l->stale)
        return vh_error_set(err, -ENOMEM, "list of snapshots");
    return vh_client_snapshots(client, NULL, &call, add_row, l, err);
}

static bool copy_info(const vh_snapshot_info *info, void *to)
{
    *(vh_snapshot_info *)to = *info;
    return false;
}

static int find_one(cli *c, const struct source *s, const char *ref, vh_snapshot_info *info, vh_error *err)
{
    vh_call call = cli_call(c);

    return s->client ? vh_client_snapshots(s->client, ref, &call, copy_info, info, err)
                     : vh_snapshots_inspect(s->snapshots, ref, info, err);
}

static int print_one(cli *c, const struct source *s, const char *ref, vh_error *err)
{
    cli_rows rows = { .columns = detail_columns, .ncolumns = COUNT(detail_columns) };
    vh_snapshot_info info = VH_SNAPSHOT_INFO_INIT;
    int rc = find_one(c, s, ref, &info, err);

    if (rc)
        return rc;
    add_detail(&rows, &info);
    rc = cli_rows_print_one(&rows, stdout, c->format, err);
    cli_rows_fini(&rows);
    return rc;
}

static int inspect(cli *c, const struct source *s, vh_error *err)
{
    return print_one(c, s, c->args.operands[0], err);
}

struct verification {
    const struct source *source;
    cli_rows rows;
};

static int verify_one(cli *c, const char *ref, void *object, vh_error *err)
{
    struct verification *v = object;
    vh_call call = cli_call(c);
    int rc = v->source->client ? vh_client_snapshot_verify(v->source->client, ref, &call, err)
                               : vh_snapshots_verify(v->source->snapshots, ref, &call, err);

    cli_rows_text(&v->rows, ref);
    cli_rows_number(&v->rows, rc == 0);
    return rc;
}

static int verify(cli *c, const struct source *s, vh_error *err)
{
    struct verification v = { .source = s, .rows = { .columns = verify_columns, .ncolumns = 2 } };
    int rc = cli_each_operand(c, verify_one, &v, err);
    int printed = cli_rows_print(&v.rows, stdout, c->format, rc ? NULL : err);

    cli_rows_fini(&v.rows);
    return rc ? rc : printed;
}

static int remove_one(cli *c, const char *ref, void *arg, vh_error *err)
{
    const struct source *s = arg;
    vh_call call = cli_call(c);

    return s->client ? vh_client_snapshot_remove(s->client, ref, &call, err)
                     : vh_snapshots_remove(s->snapshots, ref, err);
}

static int remove_all(cli *c, const struct source *s, vh_error *err)
{
    struct source own = *s;

    return cli_each_operand(c, remove_one, &own, err);
}

static int print_created(cli *c, const struct source *s, const char *id, vh_error *err)
{
    if (c->format == CLI_JSON)
        return print_one(c, s, id, err);
    puts(id);
    return 0;
}

/* What the command line does not say is the daemon's to set; how it accelerates is not ours to choose. */
static int create_by_daemon(cli *c, const struct source *s, vh_run_options *o, vh_error *err)
{
    bool memory = vh_config_source_of(c->config, "function.memory") == VH_CONFIG_FROM_FLAG;
    bool cpus = vh_config_source_of(c->config, "function.cpus") == VH_CONFIG_FROM_FLAG;
    vh_call call = ctl_call(c);
    char id[VH_SNAPSHOT_ID];
    int rc;

    o->memory_mib = memory ? (uint32_t)(vh_config_u64(c->config, "function.memory") >> 20) : 0;
    o->cpus = cpus ? (uint32_t)vh_config_u64(c->config, "function.cpus") : 0;
    rc = vh_client_snapshot_create(s->client, o, false, &call, id, err);
    return rc ? rc : print_created(c, s, id, err);
}

static int create_here(cli *c, const vh_run_options *o, vh_error *err)
{
    char id[VH_SNAPSHOT_ID > 72 ? VH_SNAPSHOT_ID : 72];
    vh_call call = cli_call(c);
    struct source s = { 0 };
    vh_host *host = NULL;
    vh_env_options eo;
    int rc;

    cli_env_options(c, &eo);
    rc = vh_host_new(c->config, &eo, &host, err);
    if (rc == 0)
        rc = vh_vm_snapshot_create(vh_host_vms(host), o, false, &call, id, err);
    if (rc == 0) {
        s.snapshots = vh_host_snapshots(host);
        rc = print_created(c, &s, id, err);
    }
    vh_host_free(host);
    return rc;
}

static int run_create(cli *c, vh_error *err)
{
    const char **env = NULL;
    struct source s = { 0 };
    vh_run_options o;
    int rc = cli_run_options(c, &o, &env, err);

    if (rc == 0 && vh_config_source_of(c->config, "vmm.accel") != VH_CONFIG_FROM_FLAG)
        rc = ctl_daemon_find(c, &s.client, err);
    if (rc == 0)
        rc = s.client ? create_by_daemon(c, &s, &o, err) : create_here(c, &o, err);
    vh_client_free(s.client);
    free(env);
    return rc;
}

static int run_ls(cli *c, vh_error *err)
{
    struct listing l = { .rows = { .columns = list_columns, .ncolumns = COUNT(list_columns) } };
    vh_client *client = NULL;
    int rc = ctl_with_snapshots(c, list, &l, err);

    if (rc == -EACCES && ctl_daemon_find(c, &client, err) == 0 && client)
        rc = list_of_daemon(c, client, &l, err);
    vh_client_free(client);

    if (rc == 0 || rc == VH_ENOTFOUND)
        rc = cli_rows_print(&l.rows, stdout, c->format, err);
    cli_rows_fini(&l.rows);
    free(l.stale);
    return rc;
}

static int run_inspect(cli *c, vh_error *err)
{
    return with_source(c, inspect, err);
}

static int run_verify(cli *c, vh_error *err)
{
    return with_source(c, verify, err);
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
    return with_source(c, remove_all, err);
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
