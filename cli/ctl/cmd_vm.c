/* vhive-ctl vm: the VMs that run on this machine, and what is done to instances of functions by hand. */
#include "ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vhive/exec.h>

#include "complete.h"
#include "daemon.h"

static const cli_column columns[] = {
    { "ID", "id", CLI_COLUMN_TEXT },
    { "IMAGE", "image", CLI_COLUMN_TEXT },
    { "ADDRESS", "address", CLI_COLUMN_TEXT },
    { "PORT", "port", CLI_COLUMN_NUMBER },
    { "ENGINE", "engine", CLI_COLUMN_TEXT },
    { "SNAPSHOT", "snapshot", CLI_COLUMN_TEXT },
    { "PID", "pid", CLI_COLUMN_NUMBER },
    { "STARTED", "started", CLI_COLUMN_TIME },
    { "FUNCTION", "function", CLI_COLUMN_TEXT },
    { "STATE", "state", CLI_COLUMN_TEXT },
};

static const cli_column detail_columns[] = {
    { "Id", "id", CLI_COLUMN_TEXT },
    { "Function", "function", CLI_COLUMN_TEXT },
    { "Revision", "revision", CLI_COLUMN_NUMBER },
    { "State", "state", CLI_COLUMN_TEXT },
    { "Engine", "engine", CLI_COLUMN_TEXT },
    { "Snapshot", "snapshot", CLI_COLUMN_TEXT },
    { "Address", "address", CLI_COLUMN_TEXT },
    { "Port", "port", CLI_COLUMN_NUMBER },
    { "Active", "active", CLI_COLUMN_NUMBER },
    { "Served", "served", CLI_COLUMN_NUMBER },
    { "Started", "started", CLI_COLUMN_TIME },
    { "Start took", "start_us", CLI_COLUMN_MICROS },
    { "Memory MiB", "memory_mib", CLI_COLUMN_NUMBER },
};

/* What the daemon knows of VMs: its instances. */
struct instances {
    vh_instance_info *v;
    size_t n;
    bool oom;
};

static bool note_instance(const vh_instance_info *info, void *arg)
{
    struct instances *all = arg;
    vh_instance_info *grown = realloc(all->v, (all->n + 1) * sizeof(*grown));

    all->oom = !grown;
    if (!grown)
        return false;
    all->v = grown;
    all->v[all->n++] = *info;
    return true;
}

static const vh_instance_info *instance_of(const struct instances *all, const char *vm)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->v[i].vm, vm) == 0)
            return &all->v[i];
    return NULL;
}

/* A listing: its rows, and what the daemon adds to them. */
struct listing {
    cli_rows rows;
    struct instances instances;
};

static bool add_row(const vh_vm_info *info, void *arg)
{
    struct listing *l = arg;
    const vh_instance_info *instance = instance_of(&l->instances, info->id);
    cli_rows *rows = &l->rows;

    cli_rows_text(rows, info->id);
    cli_rows_text(rows, info->image);
    cli_rows_text(rows, info->address);
    cli_rows_number(rows, info->port);
    cli_rows_text(rows, info->engine);
    cli_rows_text(rows, info->snapshot);
    cli_rows_number(rows, info->pid);
    cli_rows_number(rows, info->started_ns);
    cli_rows_text(rows, instance ? instance->function : "");
    cli_rows_text(rows, instance ? vh_instance_state_name(instance->state) : "ready");
    return true;
}

/* A VM as the daemon tells of it, to someone who may not look for himself. */
static void add_instance(cli_rows *rows, const vh_instance_info *i)
{
    cli_rows_text(rows, i->vm);
    cli_rows_text(rows, "");
    cli_rows_text(rows, i->address);
    cli_rows_number(rows, i->port);
    cli_rows_text(rows, i->engine);
    cli_rows_text(rows, i->snapshot);
    cli_rows_number(rows, 0);
    cli_rows_number(rows, i->started_ns);
    cli_rows_text(rows, i->function);
    cli_rows_text(rows, vh_instance_state_name(i->state));
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

/* What the daemon knows, if there is one. */
static int ask_daemon(cli *c, struct instances *all, bool *asked, vh_error *err)
{
    vh_client *client = NULL;
    vh_call call = cli_call(c);
    int rc = ctl_daemon_find(c, &client, err);

    *asked = client != NULL;
    if (rc == 0 && client)
        rc = vh_client_instances(client, NULL, &call, note_instance, all, err);
    if (rc == 0 && all->oom)
        rc = vh_error_set(err, -ENOMEM, "list of instances");
    vh_client_free(client);
    return rc;
}

static int list(cli *c, struct listing *l, vh_error *err)
{
    vh_call call = cli_call(c);
    vh_env *env = NULL;
    bool asked = false;
    int rc = ask_daemon(c, &l->instances, &asked, err);

    if (rc == 0)
        rc = cli_env_new(c, &env, err);
    if (rc == 0)
        rc = vh_vms_list(env, &call, add_row, l, err);
    if (rc == -EACCES && asked) {
        rc = 0;
        for (size_t i = 0; i < l->instances.n; i++)
            if (*l->instances.v[i].vm)
                add_instance(&l->rows, &l->instances.v[i]);
    }
    vh_env_free(env);
    return rc;
}

static int vm_ls(cli *c, vh_error *err)
{
    struct listing l = { .rows = { .columns = columns, .ncolumns = sizeof(columns) / sizeof(columns[0]) } };
    int rc = list(c, &l, err);

    if (rc == 0)
        rc = cli_rows_print(&l.rows, stdout, c->format, err);
    cli_rows_fini(&l.rows);
    free(l.instances.v);
    return rc;
}

/* Whether |given| is |vm| or its beginning; "vm-" may be left out. */
static bool is_meant(const char *vm, const char *given)
{
    return strncmp(vm, given, strlen(given)) == 0 ||
           (strncmp(vm, "vm-", 3) == 0 && strncmp(vm + 3, given, strlen(given)) == 0);
}

static void add_detail(cli_rows *rows, const vh_instance_info *i)
{
    cli_rows_text(rows, i->vm);
    cli_rows_text(rows, i->function);
    cli_rows_number(rows, i->revision);
    cli_rows_text(rows, vh_instance_state_name(i->state));
    cli_rows_text(rows, i->engine);
    cli_rows_text(rows, i->snapshot);
    cli_rows_text(rows, i->address);
    cli_rows_number(rows, i->port);
    cli_rows_number(rows, i->active);
    cli_rows_number(rows, (int64_t)i->served);
    cli_rows_number(rows, i->started_ns);
    cli_rows_number(rows, (int64_t)i->start_us);
    cli_rows_number(rows, i->memory_mib);
}

static int find_meant(const struct instances *all, const char *given, const vh_instance_info **found, vh_error *err)
{
    *found = instance_of(all, given);
    for (size_t i = 0; !instance_of(all, given) && i < all->n; i++) {
        if (!*all->v[i].vm || !is_meant(all->v[i].vm, given))
            continue;
        if (*found)
            return vh_error_set(err, VH_EINVALID, "'%.64s' is the beginning of several VMs, %s and %s", given,
                                (*found)->vm, all->v[i].vm);
        *found = &all->v[i];
    }
    return *found ? 0 : vh_error_set(err, VH_ENOTFOUND, "no instance of a function has a VM '%.64s'", given);
}

static int inspect(cli *c, vh_client *client, void *arg, vh_error *err)
{
    cli_rows rows = { .columns = detail_columns, .ncolumns = sizeof(detail_columns) / sizeof(detail_columns[0]) };
    const vh_instance_info *found = NULL;
    struct instances *all = arg;
    vh_call call = cli_call(c);
    int rc = vh_client_instances(client, NULL, &call, note_instance, all, err);

    if (rc == 0 && all->oom)
        rc = vh_error_set(err, -ENOMEM, "list of instances");
    if (rc == 0)
        rc = find_meant(all, c->args.operands[0], &found, err);
    if (rc)
        return rc;
    add_detail(&rows, found);
    rc = cli_rows_print_one(&rows, stdout, c->format, err);
    cli_rows_fini(&rows);
    return rc;
}

static int vm_inspect(cli *c, vh_error *err)
{
    struct instances all = { 0 };
    int rc = ctl_with_client(c, inspect, &all, err);

    free(all.v);
    return rc;
}

/* What is done to each VM that is named. */
typedef int act(vh_client *client, const char *vm, const vh_call *call, vh_error *err);

struct acting {
    vh_client *client;
    act *act;
};

static int act_on(cli *c, const char *vm, void *arg, vh_error *err)
{
    const struct acting *a = arg;
    vh_call call = cli_call(c);

    return a->act(a->client, vm, &call, err);
}

static int act_on_all(cli *c, vh_client *client, void *arg, vh_error *err)
{
    struct acting *a = arg;

    a->client = client;
    return cli_each_operand(c, act_on, a, err);
}

static int vm_pause(cli *c, vh_error *err)
{
    return ctl_with_client(c, act_on_all, &(struct acting){ .act = vh_client_vm_pause }, err);
}

static int vm_resume(cli *c, vh_error *err)
{
    return ctl_with_client(c, act_on_all, &(struct acting){ .act = vh_client_vm_resume }, err);
}

static int vm_kill(cli *c, vh_error *err)
{
    return ctl_with_client(c, act_on_all, &(struct acting){ .act = vh_client_vm_kill }, err);
}

static int snapshot(cli *c, vh_client *client, void *unused, vh_error *err)
{
    vh_call call = cli_call(c);
    char id[VH_SNAPSHOT_ID];
    int rc = vh_client_vm_snapshot(client, c->args.operands[0], &call, id, err);

    (void)unused;
    if (rc == 0 && c->format == CLI_JSON)
        printf("{\"id\": \"%s\"}\n", id);
    else if (rc == 0)
        puts(id);
    return rc;
}

static int vm_snapshot(cli *c, vh_error *err)
{
    return ctl_with_client(c, snapshot, NULL, err);
}

static bool add_instance_candidate(const vh_instance_info *info, void *to)
{
    if (*info->vm)
        cli_candidate(to, info->vm, info->function);
    return true;
}

static int complete(cli *c, vh_client *client, void *to, vh_error *err)
{
    vh_call call = cli_call(c);

    return vh_client_instances(client, NULL, &call, add_instance_candidate, to, err);
}

static int complete_instance(cli *c, cli_candidates *to, vh_error *err)
{
    return ctl_with_client(c, complete, to, err);
}

const cli_command ctl_cmd_vm_ls = {
    .name = "vm ls",
    .summary = "List the VMs that run, of every process",
    .operands = "",
    .options = NULL,
    .details = "PID is the process that owns the VM: when it ends, so does the VM. FUNCTION and STATE are told of instances of\n"
               "functions that vhived serves.\n",
    .examples = "  vhive-ctl vm ls -o json\n",
    .run = vm_ls,
};

const cli_command ctl_cmd_vm_inspect = {
    .name = "vm inspect",
    .summary = "Show an instance of a function",
    .operands = "VM",
    .min = 1,
    .max = 1,
    .details = "VM is an id or the beginning of one.\n",
    .examples = "  vhive-ctl vm inspect 1f -o json\n",
    .run = vm_inspect,
    .complete = complete_instance,
};

const cli_command ctl_cmd_vm_pause = {
    .name = "vm pause",
    .summary = "Freeze instances of functions",
    .operands = "VM...",
    .min = 1,
    .max = SIZE_MAX,
    .details = "A frozen instance gets no new connections; those that it has wait.\n",
    .examples = "  vhive-ctl vm pause vm-1f\n",
    .run = vm_pause,
    .complete = complete_instance,
};

const cli_command ctl_cmd_vm_resume = {
    .name = "vm resume",
    .summary = "Let frozen instances go on",
    .operands = "VM...",
    .min = 1,
    .max = SIZE_MAX,
    .examples = "  vhive-ctl vm resume vm-1f\n",
    .run = vm_resume,
    .complete = complete_instance,
};

const cli_command ctl_cmd_vm_snapshot = {
    .name = "vm snapshot",
    .summary = "Save an instance as its function's snapshot, and print the snapshot's id",
    .operands = "VM",
    .min = 1,
    .max = 1,
    .examples = "  vhive-ctl vm snapshot vm-1f\n",
    .run = vm_snapshot,
    .complete = complete_instance,
};

const cli_command ctl_cmd_vm_kill = {
    .name = "vm kill",
    .summary = "Kill instances of functions",
    .operands = "VM...",
    .min = 1,
    .max = SIZE_MAX,
    .details = "What they serve breaks off. The function starts others when it needs them.\n",
    .examples = "  vhive-ctl vm kill vm-1f\n",
    .run = vm_kill,
    .complete = complete_instance,
};
