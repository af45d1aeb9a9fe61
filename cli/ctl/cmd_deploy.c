/* vhive-ctl deploy, update: what functions are. */
#include "daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "run_options.h"

/* Values are those of files of functions: vh_client_spec_set() reads them. */
#define SPEC_OPTIONS                                                                                                   \
    { "port", 'p', CLI_TEXT, "PORT", .help = "the function's TCP port (default: the image's)" },                       \
    { "address", 0, CLI_TEXT, "ADDRESS",                                                                               \
      .help = "where it listens: tcp:HOST:PORT, tcp:HOST or unix:/PATH (default: a port of 127.0.0.1)" },              \
    { "env", 'e', CLI_ENV, "NAME=VALUE", .help = "add to the function's environment; may be repeated" },               \
    { "memory", 'm', CLI_TEXT, "SIZE", .help = "guest memory (default: that of the daemon, 256M)" },                   \
    { "cpus", 0, CLI_TEXT, "COUNT", .help = "virtual CPUs (default: those of the daemon, 1)" },                        \
    { "engine", 0, CLI_CHOICE, "ENGINE", .choices = "auto|boot|file|uffd|reap", .help = "how instances come up" },     \
    { "min", 0, CLI_TEXT, "COUNT", .help = "instances that are always up (default: 0)" },                              \
    { "max", 0, CLI_TEXT, "COUNT", .help = "instances at most (default: 8)" },                                         \
    { "concurrency", 0, CLI_TEXT, "COUNT", .help = "connections that an instance has at once (default: 100)" },        \
    { "keep-alive", 0, CLI_TEXT, "DURATION", .help = "how long an instance without any stays (default: 30s)" },        \
    { "retire", 0, CLI_TEXT, "COUNT", .help = "connections after which an instance ends (default: 0, never)" }

static const cli_option deploy_options[] = {
    { "file", 'f', CLI_TEXT, "FILE", .help = "deploy the functions of a YAML file" },
    SPEC_OPTIONS,
    { .name = NULL },
};

static const cli_option update_options[] = {
    { "image", 0, CLI_TEXT, "IMAGE", .help = "another image" },
    SPEC_OPTIONS,
    { .name = NULL },
};

static const char *const spec_options[] = { "port", "address", "memory", "cpus", "engine", "min", "max", "concurrency",
                                            "keep-alive", "retire" };

#define SPEC_COUNT (sizeof(spec_options) / sizeof(spec_options[0]))

/* Sets what was given on the command line, but for image and environment. */
static int take_options(const cli *c, vh_function_spec *spec, vh_error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < SPEC_COUNT; i++) {
        const char *value = cli_parser_value(&c->args, spec_options[i]);

        if (value)
            rc = vh_client_spec_set(spec, spec_options[i], value, err);
    }
    return rc;
}

/* Whether anything but a file says what to deploy. */
static bool has_spec(const cli *c)
{
    bool has = c->args.noperands || cli_parser_value(&c->args, "env");

    for (size_t i = 0; i < SPEC_COUNT; i++)
        has = has || cli_parser_value(&c->args, spec_options[i]);
    return has;
}

/* Rows of what was deployed. */
struct deployment {
    vh_client *client;
    cli *c;
    cli_rows rows;
};

static const cli_column columns[] = {
    { "NAME", "name", CLI_COLUMN_TEXT },
    { "ADDRESS", "address", CLI_COLUMN_TEXT },
    { "REVISION", "revision", CLI_COLUMN_NUMBER },
};

static bool add_row(const vh_function_info *info, void *arg)
{
    cli_rows *rows = arg;

    cli_rows_text(rows, info->spec.name);
    cli_rows_text(rows, info->address);
    cli_rows_number(rows, info->revision);
    return true;
}

static int deploy_one(const vh_function_spec *spec, void *arg, vh_error *err)
{
    struct deployment *d = arg;
    vh_call call = ctl_call(d->c);
    int rc = vh_client_deploy(d->client, spec, &call, err);

    if (rc == 0)
        rc = vh_client_functions(d->client, spec->name, &call, add_row, &d->rows, err);
    return rc;
}

static int deploy_operands(struct deployment *d, vh_error *err)
{
    const cli_parser *p = &d->c->args;
    vh_function_spec spec = VH_FUNCTION_SPEC_INIT;
    const char **env;
    int rc;

    if (p->noperands != 2)
        return vh_error_set(err, VH_EINVALID, "deploy: %s; usage: vhive-ctl deploy NAME IMAGE, or -f FILE",
                            p->noperands ? "the image is missing" : "name and image are missing");
    env = cli_env_list(d->c, "env", NULL, err);
    if (!env)
        return -ENOMEM;
    spec.name = p->operands[0];
    spec.image = p->operands[1];
    spec.env = env;
    rc = take_options(d->c, &spec, err);
    if (rc == 0)
        rc = deploy_one(&spec, d, err);
    free(env);
    return rc;
}

static int deploy(cli *c, vh_client *client, void *unused, vh_error *err)
{
    struct deployment d = { .client = client, .c = c, .rows = { .columns = columns, .ncolumns = 3 } };
    const char *file = cli_parser_value(&c->args, "file");
    int rc, printed;

    (void)unused;
    if (file && has_spec(c))
        rc = vh_error_set(err, VH_EINVALID, "deploy: with --file all is in the file; leave the rest out");
    else
        rc = file ? vh_client_read_functions(file, deploy_one, &d, err) : deploy_operands(&d, err);
    printed = rc && !cli_rows_first(&d.rows, 0) ? 0 : cli_rows_print(&d.rows, stdout, c->format, rc ? NULL : err);
    cli_rows_fini(&d.rows);
    return rc ? rc : printed;
}

static int run_deploy(cli *c, vh_error *err)
{
    return ctl_with_client(c, deploy, NULL, err);
}

/* A function as it is, with what is to be changed; its texts live as long as the listing, which is where it is used. */
struct update {
    struct deployment d;
    int rc;
    vh_error *err;
};

/* The environment |old| with the variables of the command line set in it; to be free()d. */
static const char **merge_env(const cli *c, const char *const *old, vh_error *err)
{
    const char **given = cli_env_list(c, "env", NULL, err), **merged;
    size_t n = 0, room = 1;

    for (size_t i = 0; old[i]; i++)
        room++;
    for (size_t i = 0; given && given[i]; i++)
        room++;
    merged = given ? calloc(room, sizeof(*merged)) : NULL;
    for (size_t i = 0; merged && old[i]; i++)
        merged[n++] = old[i];
    for (size_t i = 0; merged && given[i]; i++) {
        size_t name = strcspn(given[i], "=") + 1, at = 0;

        while (at < n && strncmp(merged[at], given[i], name) != 0)
            at++;
        merged[at] = given[i];
        n += at == n;
    }
    free(given);
    if (!merged)
        (void)vh_error_set(err, -ENOMEM, "environment"); /* told by NULL */
    return merged;
}

static bool update_one(const vh_function_info *info, void *arg)
{
    struct update *u = arg;
    vh_call call = ctl_call(u->d.c);
    vh_function_spec spec = info->spec;
    const char *image = cli_parser_value(&u->d.c->args, "image");
    const char **env = merge_env(u->d.c, info->spec.env, u->err);

    u->rc = env ? take_options(u->d.c, &spec, u->err) : -ENOMEM;
    spec.env = env;
    spec.image = image ? image : spec.image;
    if (u->rc == 0)
        u->rc = vh_client_update(u->d.client, &spec, &call, u->err);
    free(env);
    return false;
}

static int update(cli *c, vh_client *client, void *unused, vh_error *err)
{
    struct update u = { .d = { .client = client, .c = c, .rows = { .columns = columns, .ncolumns = 3 } }, .err = err };
    vh_call call = cli_call(c);
    int rc = vh_client_functions(client, c->args.operands[0], &call, update_one, &u, err);

    (void)unused;
    rc = rc ? rc : u.rc;
    if (rc == 0)
        rc = vh_client_functions(client, c->args.operands[0], &call, add_row, &u.d.rows, err);
    if (rc == 0)
        rc = cli_rows_print(&u.d.rows, stdout, c->format, err);
    cli_rows_fini(&u.d.rows);
    return rc;
}

static int run_update(cli *c, vh_error *err)
{
    return ctl_with_client(c, update, NULL, err);
}

static int complete_deploy(cli *c, cli_candidates *to, vh_error *err)
{
    return c->args.noperands ? ctl_complete_image(c, to, err) : ctl_complete_function(c, to, err);
}

const cli_command ctl_cmd_deploy = {
    .name = "deploy",
    .summary = "Deploy a function, or a new revision of it",
    .operands = "NAME IMAGE | -f FILE",
    .min = 0,
    .max = 2,
    .options = deploy_options,
    .details =
        "Fetches and converts the image and prints the address at which the function is called: a connection to it waits\n"
        "for an instance, which starts when there is none. The address stays the same over restarts of the daemon.\n"
        "\n"
        "FILE is a list of functions, each with name and image, and port, address, env (NAME: value lines), memory, cpus,\n"
        "engine, min, max, concurrency, keep_alive and retire, as the options have them. Relative folders in images are\n"
        "taken from the file's own.\n",
    .examples = "  vhive-ctl deploy hello oci:build/functions/hello --port 50051 --max 8 --keep-alive 30s\n"
                "  vhive-ctl deploy -f functions.yaml\n",
    .run = run_deploy,
    .complete = complete_deploy,
};

const cli_command ctl_cmd_update = {
    .name = "update",
    .summary = "Change a function: what is not given stays as it is",
    .operands = "NAME",
    .min = 1,
    .max = 1,
    .options = update_options,
    .details = "Anything but --min, --max, --concurrency, --keep-alive and --retire makes a new revision; instances of the\n"
               "old one finish what they have. --env sets single variables and keeps the others.\n",
    .examples = "  vhive-ctl update hello --env LANG=C --memory 512M\n",
    .run = run_update,
    .complete = ctl_complete_function,
};
