/* vhive-ctl image: pull, list, look at and remove images. */
#include "ctl.h"

#include <string.h>
#include <vhive/host.h>
#include <vhive/image.h>

#include "complete.h"
#include "daemon.h"

static const cli_column list_columns[] = {
    { "DIGEST", "digest", CLI_COLUMN_TEXT },
    { "SIZE", "rootfs_bytes", CLI_COLUMN_BYTES },
    { "CONVERTED", "converted", CLI_COLUMN_TIME },
    { "IMAGE", "image", CLI_COLUMN_TEXT },
};

static const cli_column detail_columns[] = {
    { "Digest", "digest", CLI_COLUMN_TEXT },
    { "Size", "rootfs_bytes", CLI_COLUMN_BYTES },
    { "Converted", "converted", CLI_COLUMN_TIME },
    { "Image", "image", CLI_COLUMN_TEXT },
    { "Root file system", "rootfs_digest", CLI_COLUMN_TEXT },
    { "Unpacked size", "unpacked_bytes", CLI_COLUMN_BYTES },
    { "Layers", "layers", CLI_COLUMN_NUMBER },
    { "Architecture", "architecture", CLI_COLUMN_TEXT },
    { "Built", "created", CLI_COLUMN_TIME },
};

#define COUNT(columns) (sizeof(columns) / sizeof((columns)[0]))

/* Cells of list_columns, which are the first of detail_columns too. */
static void add_summary(cli_rows *rows, const vh_image_info *info)
{
    cli_rows_text(rows, info->digest);
    cli_rows_number(rows, (int64_t)info->rootfs_bytes);
    cli_rows_number(rows, info->converted_s * 1000000000);
    cli_rows_text(rows, info->ref);
}

static void add_detail(cli_rows *rows, const vh_image_info *info)
{
    add_summary(rows, info);
    cli_rows_text(rows, info->rootfs_digest);
    cli_rows_number(rows, (int64_t)info->unpacked_bytes);
    cli_rows_number(rows, info->layers);
    cli_rows_text(rows, info->architecture);
    cli_rows_number(rows, info->created_s * 1000000000);
}

/* The store: the daemon's, or without one that of the state directory. */
struct store {
    vh_client *client; /* NULL: none */
    vh_images *images;
};

/* Opens the store, lets |use| work with it, and closes it. */
static int with_store(cli *c, int (*use)(cli *c, struct store *store, vh_error *err), vh_error *err)
{
    struct store store = { 0 };
    vh_images_options options;
    vh_env *env = NULL;
    int rc = ctl_daemon_find(c, &store.client, err);

    vh_host_images_options(c->config, &options);
    if (rc == 0 && !store.client)
        rc = cli_env_new(c, &env, err);
    if (rc == 0 && !store.client)
        rc = vh_images_new(env, &options, &store.images, err);
    if (rc == 0)
        rc = use(c, &store, err);
    vh_images_free(store.images);
    vh_env_free(env);
    vh_client_free(store.client);
    return rc;
}

static int add_row(const vh_image_info *info, void *arg)
{
    add_summary(arg, info);
    return 0;
}

static int list(cli *c, struct store *store, vh_error *err)
{
    cli_rows rows = { .columns = list_columns, .ncolumns = COUNT(list_columns) };
    vh_call call = cli_call(c);
    int rc = store->client ? vh_client_images(store->client, NULL, &call, add_row, &rows, err)
                           : vh_images_list(store->images, add_row, &rows, err);

    if (rc == 0)
        rc = cli_rows_print(&rows, stdout, c->format, err);
    cli_rows_fini(&rows);
    return rc;
}

static int copy_info(const vh_image_info *info, void *to)
{
    *(vh_image_info *)to = *info;
    return 0;
}

static int inspect(cli *c, struct store *store, vh_error *err)
{
    cli_rows rows = { .columns = detail_columns, .ncolumns = COUNT(detail_columns) };
    const char *name = c->args.operands[0];
    vh_image_info info = { 0 };
    vh_call call = cli_call(c);
    int rc = store->client ? vh_client_images(store->client, name, &call, copy_info, &info, err)
                           : vh_images_inspect(store->images, name, &info, err);

    if (rc)
        return rc;
    add_detail(&rows, &info);
    rc = cli_rows_print_one(&rows, stdout, c->format, err);
    cli_rows_fini(&rows);
    return rc;
}

static int remove_one(cli *c, const char *name, void *arg, vh_error *err)
{
    struct store *store = arg;
    vh_call call = cli_call(c);

    return store->client ? vh_client_image_remove(store->client, name, &call, err)
                         : vh_images_remove(store->images, name, err);
}

static int remove_all(cli *c, struct store *store, vh_error *err)
{
    return cli_each_operand(c, remove_one, store, err);
}

static int add_candidate(const vh_image_info *info, void *to)
{
    cli_candidate(to, info->ref, info->digest);
    return 0;
}

int ctl_complete_image(cli *c, cli_candidates *to, vh_error *err)
{
    vh_images *images = NULL;
    vh_env *env = NULL;
    int rc = cli_env_new(c, &env, err);

    to->files = strncmp(to->word, "oci:", 4) == 0 || strncmp(to->word, "docker-archive:", 15) == 0;
    if (rc == 0)
        rc = vh_images_new(env, NULL, &images, err);
    if (rc == 0)
        rc = vh_images_list(images, add_candidate, to, err);
    vh_images_free(images);
    vh_env_free(env);
    return rc;
}

/* What a pull works with: the store, and a row for each image that is there. */
typedef struct pull_job {
    const struct store *store;
    cli_rows rows;
} pull_job;

static int pull(const struct store *store, const char *ref, const vh_call *call, vh_image_info *info, vh_error *err)
{
    vh_image *image = NULL;
    int rc;

    if (store->client)
        return vh_client_image_pull(store->client, ref, call, info, err);
    rc = vh_image_open(store->images, ref, call, &image, err);
    if (rc)
        return rc;
    *info = *vh_image_info_get(image);
    vh_image_close(image);
    return 0;
}

static int pull_one(cli *c, const char *ref, void *arg, vh_error *err)
{
    vh_call call = ctl_call(c);
    pull_job *job = arg;
    vh_image_info info;
    int rc;

    call.timeout_ms = (uint32_t)vh_config_u64(c->config, "timeout.pull");
    rc = pull(job->store, ref, &call, &info, err);
    if (rc == VH_ETIMEDOUT)
        return vh_error_wrap(err, rc, "%u ms for the whole pull (timeout.pull)", call.timeout_ms);
    if (rc)
        return rc;
    add_detail(&job->rows, &info);
    if (c->format != CLI_JSON) { /* at once: the next one may take long */
        cli_console_hold(&c->console);
        puts(info.digest);
        fflush(stdout);
        cli_console_release(&c->console);
    }
    return 0;
}

static int pull_all(cli *c, struct store *store, vh_error *err)
{
    pull_job job = { .store = store, .rows = { .columns = detail_columns, .ncolumns = COUNT(detail_columns) } };
    int rc = cli_each_operand(c, pull_one, &job, err), printed = 0;

    if (c->format == CLI_JSON)
        printed = cli_rows_print(&job.rows, stdout, c->format, rc ? NULL : err);
    cli_rows_fini(&job.rows);
    return rc ? rc : printed;
}

static int run_pull(cli *c, vh_error *err)
{
    return with_store(c, pull_all, err);
}

static int run_ls(cli *c, vh_error *err)
{
    return with_store(c, list, err);
}

static int run_inspect(cli *c, vh_error *err)
{
    return with_store(c, inspect, err);
}

static int run_rm(cli *c, vh_error *err)
{
    return with_store(c, remove_all, err);
}

const cli_command ctl_cmd_image_pull = {
    .name = "image pull",
    .summary = "Fetch and convert images, and print their digests",
    .operands = "REF...",
    .min = 1,
    .max = SIZE_MAX,
    .details = "REF is one of\n"
               "  [docker://][HOST[:PORT]/]NAME[:TAG|@DIGEST]  an image of a registry; docker.io, latest\n"
               "  oci:DIR[:TAG]                                an OCI image layout\n"
               "  docker-archive:FILE[:NAME:TAG]               what docker save writes\n"
               "What is stored already is not fetched again. Logins are those of docker login and skopeo login\n"
               "(image.auth_file); mirrors, certificates and plain HTTP are settings too: vhive-ctl help config\n",
    .examples = "  vhive-ctl image pull docker.io/library/busybox\n"
                "  vhive-ctl image pull docker://localhost:5000/hello:v1 -o json\n",
    .run = run_pull,
    .complete = ctl_complete_image,
};

const cli_command ctl_cmd_image_ls = {
    .name = "image ls",
    .summary = "List stored images",
    .operands = "",
    .examples = "  vhive-ctl image ls\n",
    .run = run_ls,
};

const cli_command ctl_cmd_image_inspect = {
    .name = "image inspect",
    .summary = "Show one stored image",
    .operands = "IMAGE",
    .min = 1,
    .max = 1,
    .details = "IMAGE is a reference, a digest, or the beginning of one (6 digits or more).\n",
    .examples = "  vhive-ctl image inspect oci:build/functions/hello -o json\n",
    .run = run_inspect,
    .complete = ctl_complete_image,
};

const cli_command ctl_cmd_image_rm = {
    .name = "image rm",
    .summary = "Remove stored images",
    .operands = "IMAGE...",
    .min = 1,
    .max = SIZE_MAX,
    .examples = "  vhive-ctl image rm oci:build/functions/hello\n",
    .run = run_rm,
    .complete = ctl_complete_image,
};
