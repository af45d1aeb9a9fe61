/* vhive-ctl snapshot prune, image prune: remove what no run needs any more. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vhive/doctor.h>
#include <vhive/image.h>

#include "ctl.h"

static const cli_option options[] = {
    { "dry-run", 'n', CLI_FLAG, .help = "only tell what would be removed" },
    { .name = NULL },
};

static const cli_column snapshot_columns[] = {
    { "ID", "id", CLI_COLUMN_TEXT },
    { "IMAGE", "image", CLI_COLUMN_TEXT },
    { "ON DISK", "memory_disk_bytes", CLI_COLUMN_BYTES },
    { "WHY", "why", CLI_COLUMN_TEXT },
};

static const cli_column image_columns[] = {
    { "DIGEST", "digest", CLI_COLUMN_TEXT },
    { "SIZE", "rootfs_bytes", CLI_COLUMN_BYTES },
    { "IMAGE", "image", CLI_COLUMN_TEXT },
};

/* Removes one thing from a store; VH_ENOTFOUND when it need not be. */
typedef int remove_fn(void *store, const char *name, vh_error *err);

/* Removes what |rows| name and keeps the rows of what is gone. Returns the last failure; those before are printed. */
static int remove_rows(cli *c, remove_fn *remove, void *store, cli_rows *rows, vh_error *err)
{
    int failed = 0;
    const char *name;

    for (size_t row = 0; (name = cli_rows_first(rows, row)) != NULL;) {
        vh_error one = { 0 };
        int rc = vh_cancel_triggered(c->cancel) ? vh_error_set(&one, VH_ECANCELED, "interrupted before %s", name)
                                                : remove(store, name, &one);

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

/* They were collected first: a listing goes on while its directory does not change. */
static int remove_found(cli *c, int rc, remove_fn *remove, void *store, cli_rows *rows, vh_error *err)
{
    if (rc)
        cli_rows_fini(rows); /* nothing was removed */
    if (rc || rows->oom || cli_parser_value(&c->args, "dry-run")) /* printing tells of lacking memory */
        return rc;
    return remove_rows(c, remove, store, rows, err);
}

/* Prints what was removed, before a failure too. */
static int print(cli *c, int rc, cli_rows *rows, vh_error *err)
{
    int printed = 0;

    if (rc == 0 || rows->ncells)
        printed = cli_rows_print(rows, stdout, c->format, rc ? NULL : err);
    cli_rows_fini(rows);
    return rc ? rc : printed;
}

static void collect_snapshot(const vh_snapshot_info *info, const char *why, void *rows)
{
    cli_rows_text(rows, info->id);
    cli_rows_text(rows, info->image);
    cli_rows_number(rows, (int64_t)info->memory_disk_bytes);
    cli_rows_text(rows, why);
}

static int remove_snapshot(void *snapshots, const char *id, vh_error *err)
{
    return vh_snapshots_remove(snapshots, id, err);
}

static int prune_snapshots(cli *c, vh_snapshots *snapshots, void *rows, vh_error *err)
{
    vh_call call = cli_call(c);
    vh_env_options o;
    int rc;

    cli_env_options(c, &o);
    rc = vh_doctor_stale(c->config, &o, &call, snapshots, collect_snapshot, rows, err);
    return remove_found(c, rc, remove_snapshot, snapshots, rows, err);
}

static int run_snapshot_prune(cli *c, vh_error *err)
{
    cli_rows rows = { .columns = snapshot_columns, .ncolumns = 4 };
    int rc = ctl_with_snapshots(c, prune_snapshots, &rows, err);

    return print(c, rc == VH_ENOTFOUND ? 0 : rc, &rows, err); /* there may be no catalogue */
}

/* Images that snapshots are made of, and the others. */
struct images {
    cli_rows needed, rows;
};

static bool note_needed(const vh_snapshot_info *info, void *images)
{
    cli_rows_text(&((struct images *)images)->needed, info->image_digest);
    return true;
}

static int note_all_needed(cli *c, vh_snapshots *snapshots, void *images, vh_error *err)
{
    (void)c;
    return vh_snapshots_list(snapshots, note_needed, images, err);
}

static int collect_image(const vh_image_info *info, void *arg)
{
    struct images *i = arg;
    const char *needed;

    for (size_t row = 0; (needed = cli_rows_first(&i->needed, row)) != NULL; row++)
        if (strcmp(needed, info->digest) == 0)
            return 0;
    cli_rows_text(&i->rows, info->digest);
    cli_rows_number(&i->rows, (int64_t)info->rootfs_bytes);
    cli_rows_text(&i->rows, info->ref);
    return 0;
}

/* One that a VM runs is needed too. */
static int remove_image(void *images, const char *digest, vh_error *err)
{
    int rc = vh_images_remove(images, digest, err);

    return rc == VH_ESTATE ? VH_ENOTFOUND : rc;
}

static int prune_images(cli *c, struct images *i, vh_error *err)
{
    vh_images *images = NULL;
    vh_env *env = NULL;
    int rc = cli_env_new(c, &env, err);

    if (rc == 0)
        rc = vh_images_new(env, NULL, &images, err);
    if (rc == 0) {
        rc = vh_images_list(images, collect_image, i, err);
        rc = remove_found(c, rc, remove_image, images, &i->rows, err);
    }
    vh_images_free(images);
    vh_env_free(env);
    return rc;
}

static int run_image_prune(cli *c, vh_error *err)
{
    struct images i = { .needed = { .columns = image_columns, .ncolumns = 1 },
                        .rows = { .columns = image_columns, .ncolumns = 3 } };
    int rc = ctl_with_snapshots(c, note_all_needed, &i, err);

    if (rc == VH_ENOTFOUND)
        rc = 0; /* there may be no catalogue */
    if (i.needed.oom)
        rc = vh_error_set(err, -ENOMEM, "images of snapshots");
    if (rc == 0)
        rc = prune_images(c, &i, err);
    cli_rows_fini(&i.needed);
    return print(c, rc, &i.rows, err);
}

const cli_command ctl_cmd_snapshot_prune = {
    .name = "snapshot prune",
    .summary = "Remove snapshots that no run will restore",
    .operands = "",
    .options = options,
    .details = "That is those made with another guest kernel, agent or QEMU than there are now, damaged ones, and those that\n"
               "were set aside. What is removed is listed.\n",
    .examples = "  vhive-ctl snapshot prune --dry-run\n",
    .run = run_snapshot_prune,
};

const cli_command ctl_cmd_image_prune = {
    .name = "image prune",
    .summary = "Remove images that no snapshot is made of and no VM runs",
    .operands = "",
    .options = options,
    .details = "What is removed is listed; a run fetches and converts it anew. An image that was pulled and never run goes\n"
               "as well. 'snapshot prune' before it lets go of more.\n",
    .examples = "  vhive-ctl image prune --dry-run\n",
    .run = run_image_prune,
};
