/* vhive-ctl ls, inspect, stats, scale, rm: functions of the daemon. */
#include "daemon.h"

#include <stdlib.h>
#include <string.h>

#include "ctl.h"

static const cli_column list_columns[] = {
    { "NAME", "name", CLI_COLUMN_TEXT },          { "IMAGE", "image", CLI_COLUMN_TEXT },
    { "ADDRESS", "address", CLI_COLUMN_TEXT },    { "REVISION", "revision", CLI_COLUMN_NUMBER },
    { "INSTANCES", "instances", CLI_COLUMN_NUMBER }, { "READY", "ready", CLI_COLUMN_NUMBER },
    { "ACTIVE", "active", CLI_COLUMN_NUMBER },    { "SERVED", "served", CLI_COLUMN_NUMBER },
    { "DEPLOYED", "deployed", CLI_COLUMN_TIME },
};

static const cli_column detail_columns[] = {
    { "Name", "name", CLI_COLUMN_TEXT },
    { "Image", "image", CLI_COLUMN_TEXT },
    { "Image digest", "image_digest", CLI_COLUMN_TEXT },
    { "Address", "address", CLI_COLUMN_TEXT },
    { "Port", "port", CLI_COLUMN_NUMBER },
    { "Environment", "env", CLI_COLUMN_LIST },
    { "Memory MiB", "memory_mib", CLI_COLUMN_NUMBER },
    { "CPUs", "cpus", CLI_COLUMN_NUMBER },
    { "Engine", "engine", CLI_COLUMN_TEXT },
    { "Instances at least", "min", CLI_COLUMN_NUMBER },
    { "Instances at most", "max", CLI_COLUMN_NUMBER },
    { "Concurrency", "concurrency", CLI_COLUMN_NUMBER },
    { "Keep-alive", "keep_alive_us", CLI_COLUMN_MICROS },
    { "Retire after", "retire", CLI_COLUMN_NUMBER },
    { "Revision", "revision", CLI_COLUMN_NUMBER },
    { "Deployed", "deployed", CLI_COLUMN_TIME },
    { "Snapshot", "snapshot", CLI_COLUMN_TEXT },
    { "Instances", "instances", CLI_COLUMN_NUMBER },
    { "Ready", "ready", CLI_COLUMN_NUMBER },
    { "Last error", "last_error", CLI_COLUMN_TEXT },
};

static const cli_column stats_columns[] = {
    { "Name", "name", CLI_COLUMN_TEXT },          { "Instances", "instances", CLI_COLUMN_NUMBER },
    { "Ready", "ready", CLI_COLUMN_NUMBER },      { "Waiting", "waiting", CLI_COLUMN_NUMBER },
    { "Active", "active", CLI_COLUMN_NUMBER },    { "Served", "served", CLI_COLUMN_NUMBER },
    { "Started", "started", CLI_COLUMN_NUMBER },  { "Failed starts", "failed", CLI_COLUMN_NUMBER },
    { "Last error", "last_error", CLI_COLUMN_TEXT },
};

#define COUNT(columns) (sizeof(columns) / sizeof((columns)[0]))

static bool add_row(const vh_function_info *i, void *arg)
{
    cli_rows *rows = arg;

    cli_rows_text(rows, i->spec.name);
    cli_rows_text(rows, i->spec.image);
    cli_rows_text(rows, i->address);
    cli_rows_number(rows, i->revision);
    cli_rows_number(rows, i->instances);
    cli_rows_number(rows, i->ready);
    cli_rows_number(rows, i->active);
    cli_rows_number(rows, (int64_t)i->served);
    cli_rows_number(rows, i->deployed_ns);
    return true;
}

/* A list column takes texts joined by commas; one in a value would split it, and is left to be seen as that. */
static void add_env(cli_rows *rows, const char *const *env)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    for (size_t i = 0; f && env[i]; i++)
        fprintf(f, "%s%s", i ? "," : "", env[i]);
    if (!f || fclose(f))
        rows->oom = true;
    else
        cli_rows_text(rows, text);
    free(text);
}

static bool add_detail(const vh_function_info *i, void *arg)
{
    cli_rows *rows = arg;

    cli_rows_text(rows, i->spec.name);
    cli_rows_text(rows, i->spec.image);
    cli_rows_text(rows, i->image_digest);
    cli_rows_text(rows, i->address);
    cli_rows_number(rows, i->spec.port);
    add_env(rows, i->spec.env);
    cli_rows_number(rows, i->spec.memory_mib);
    cli_rows_number(rows, i->spec.cpus);
    cli_rows_text(rows, vh_engine_name(i->spec.engine));
    cli_rows_number(rows, i->spec.min);
    cli_rows_number(rows, i->spec.max);
    cli_rows_number(rows, i->spec.concurrency);
    cli_rows_number(rows, (int64_t)i->spec.keep_alive_ms * 1000);
    cli_rows_number(rows, i->spec.retire);
    cli_rows_number(rows, i->revision);
    cli_rows_number(rows, i->deployed_ns);
    cli_rows_text(rows, i->snapshot);
    cli_rows_number(rows, i->instances);
    cli_rows_number(rows, i->ready);
    cli_rows_text(rows, i->last_error);
    return true;
}

static bool add_stats(const vh_function_info *i, void *arg)
{
    cli_rows *rows = arg;

    cli_rows_text(rows, i->spec.name);
    cli_rows_number(rows, i->instances);
    cli_rows_number(rows, i->ready);
    cli_rows_number(rows, i->waiting);
    cli_rows_number(rows, i->active);
    cli_rows_number(rows, (int64_t)i->served);
    cli_rows_number(rows, (int64_t)i->started);
    cli_rows_number(rows, (int64_t)i->failed);
    cli_rows_text(rows, i->last_error);
    return true;
}

static int list(cli *c, vh_client *client, void *unused, vh_error *err)
{
    cli_rows rows = { .columns = list_columns, .ncolumns = COUNT(list_columns) };
    vh_call call = cli_call(c);
    int rc = vh_client_functions(client, NULL, &call, add_row, &rows, err);

    (void)unused;
    if (rc == 0)
        rc = cli_rows_print(&rows, stdout, c->format, err);
    cli_rows_fini(&rows);
    return rc;
}

static int run_ls(cli *c, vh_error *err)
{
    return ctl_with_client(c, list, NULL, err);
}

/* The function that the operand names, as |add| shows it in the columns of |arg|. */
static int print_one(cli *c, vh_client *client, cli_rows *rows, vh_function_fn add, vh_error *err)
{
    vh_call call = cli_call(c);
    int rc = vh_client_functions(client, c->args.operands[0], &call, add, rows, err);

    if (rc == 0)
        rc = cli_rows_print_one(rows, stdout, c->format, err);
    cli_rows_fini(rows);
    return rc;
}

static int inspect(cli *c, vh_client *client, void *unused, vh_error *err)
{
    cli_rows rows = { .columns = detail_columns, .ncolumns = COUNT(detail_columns) };

    (void)unused;
    return print_one(c, client, &rows, add_detail, err);
}

static int run_inspect(cli *c, vh_error *err)
{
    return ctl_with_client(c, inspect, NULL, err);
}

static int stats(cli *c, vh_client *client, void *unused, vh_error *err)
{
    cli_rows rows = { .columns = stats_columns, .ncolumns = COUNT(stats_columns) };

    (void)unused;
    return print_one(c, client, &rows, add_stats, err);
}

static int run_stats(cli *c, vh_error *err)
{
    return ctl_with_client(c, stats, NULL, err);
}

static bool note_spec(const vh_function_info *info, void *spec)
{
    *(vh_function_spec *)spec = info->spec; /* of it numbers alone are used after the call */
    return false;
}

static int scale(cli *c, vh_client *client, void *unused, vh_error *err)
{
    const char *min = cli_parser_value(&c->args, "min"), *max = cli_parser_value(&c->args, "max");
    const char *name = c->args.operands[0];
    vh_function_spec spec = VH_FUNCTION_SPEC_INIT;
    vh_call call = cli_call(c);
    int rc;

    (void)unused;
    if (!min && !max)
        return vh_error_set(err, VH_EINVALID, "scale: neither --min nor --max is given");
    rc = vh_client_functions(client, name, &call, note_spec, &spec, err);
    if (rc == 0 && min)
        rc = vh_client_spec_set(&spec, "min", min, err);
    if (rc == 0 && max)
        rc = vh_client_spec_set(&spec, "max", max, err);
    return rc ? rc : vh_client_scale(client, name, spec.min, spec.max, &call, err);
}

static int run_scale(cli *c, vh_error *err)
{
    return ctl_with_client(c, scale, NULL, err);
}

static int remove_one(cli *c, const char *name, void *client, vh_error *err)
{
    vh_call call = cli_call(c);

    return vh_client_remove(client, name, &call, err);
}

static int remove_all(cli *c, vh_client *client, void *unused, vh_error *err)
{
    (void)unused;
    return cli_each_operand(c, remove_one, client, err);
}

static int run_rm(cli *c, vh_error *err)
{
    return ctl_with_client(c, remove_all, NULL, err);
}

static const cli_option scale_options[] = {
    { "min", 0, CLI_TEXT, "COUNT", .help = "instances that are always up" },
    { "max", 0, CLI_TEXT, "COUNT", .help = "instances at most" },
    { .name = NULL },
};

const cli_command ctl_cmd_ls = {
    .name = "ls",
    .summary = "List functions",
    .operands = "",
    .examples = "  vhive-ctl ls\n"
                "  vhive-ctl ls -q\n",
    .run = run_ls,
};

const cli_command ctl_cmd_inspect = {
    .name = "inspect",
    .summary = "Show a function",
    .operands = "NAME",
    .min = 1,
    .max = 1,
    .examples = "  vhive-ctl inspect hello -o json\n",
    .run = run_inspect,
    .complete = ctl_complete_function,
};

const cli_command ctl_cmd_stats = {
    .name = "stats",
    .summary = "Show what a function has done since the daemon started",
    .operands = "NAME",
    .min = 1,
    .max = 1,
    .examples = "  vhive-ctl stats hello -o json\n",
    .run = run_stats,
    .complete = ctl_complete_function,
};

const cli_command ctl_cmd_scale = {
    .name = "scale",
    .summary = "Set how many instances a function has at least and at most",
    .operands = "NAME",
    .min = 1,
    .max = 1,
    .options = scale_options,
    .details = "What is not given stays as it is.\n",
    .examples = "  vhive-ctl scale hello --min 1\n",
    .run = run_scale,
    .complete = ctl_complete_function,
};

const cli_command ctl_cmd_rm = {
    .name = "rm",
    .summary = "Remove functions",
    .operands = "NAME...",
    .min = 1,
    .max = SIZE_MAX,
    .details = "Calls under way get the configured stop time (timeout.stop). Images and snapshots stay.\n",
    .examples = "  vhive-ctl rm hello\n",
    .run = run_rm,
    .complete = ctl_complete_function,
};
