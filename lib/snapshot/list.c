#include <vhive/snapshot.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue_priv.h"

/* Fills |info| with all that is known of |name|. -ENOENT without a message: it is gone. */
static int look(vh_snapshots *s, const char *name, vh_snapshot_info *info, vh_error *err)
{
    vh_auto_manifest vh__manifest m = { 0 };
    vh_auto_fd int dir = vh__snapshot_dir_open(s, name);
    vh_error bad = { 0 };
    int rc;

    if (dir < 0)
        return dir == -ENOENT ? dir : vh_error_set(err, dir, "open %s/%s", s->path, name);
    rc = vh__snapshot_load(dir, name, &m, &bad);
    if (rc && !vh__snapshot_dir_exists(s, name))
        return -ENOENT; /* removed under our eyes: not damaged */
    if (rc == -ENOMEM)
        return vh_error_set(err, rc, "look at snapshot %s", name);
    *info = m.info;
    info->size = sizeof(*info);
    strcpy(info->id, name);
    info->quarantined = strncmp(name, "bad-", 4) == 0;
    if (rc) {
        (void)vh__snapshot_blame(name, rc, &bad);
        memcpy(info->problem, bad.msg, sizeof(info->problem) - 1);
    } else if (info->quarantined) {
        strcpy(info->problem, "a restore of it failed; it is only kept for a look");
    }
    if (rc == 0)
        vh__snapshot_look_at_ws(dir, &m, info);
    return vh__label_list(s, info, err);
}

int vh_snapshots_list(vh_snapshots *snapshots, vh_snapshot_fn each, void *arg, vh_error *err)
{
    vh_auto_names vh__names names = { 0 };
    int rc = vh__names_read(snapshots, &names, err);

    for (size_t i = 0; i < names.n && rc == 0; i++) {
        vh_snapshot_info info = { 0 };

        rc = look(snapshots, names.v[i], &info, err);
        if (rc == -ENOENT)
            rc = 0;
        else if (rc == 0 && !each(&info, arg))
            break;
    }
    return rc;
}

int vh_snapshots_inspect(vh_snapshots *snapshots, const char *ref, vh_snapshot_info *info, vh_error *err)
{
    vh_snapshot_info found = { 0 };
    char name[VH_SNAPSHOT_ID];
    size_t size = info->size;
    int rc = size < sizeof(size) ? vh_error_set(err, VH_EINVALID, "inspect snapshot %s: size of the info is not set", ref)
                                 : vh__snapshot_resolve(snapshots, ref, name, err);

    if (rc == 0)
        rc = look(snapshots, name, &found, err);
    if (rc == -ENOENT)
        return vh_error_set(err, VH_ENOTFOUND, "snapshot %s: it was removed just now", ref);
    if (rc)
        return rc;
    found.size = VH_MIN(size, sizeof(found));
    memcpy(info, &found, found.size);
    return 0;
}

int vh_snapshots_manifest(vh_snapshots *snapshots, const char *ref, char **json, vh_error *err)
{
    vh_auto_buf vh__buf text = { 0 };
    vh_auto_fd int dir = -1;
    char name[VH_SNAPSHOT_ID];
    int rc = vh__snapshot_resolve_dir(snapshots, ref, name, &dir, err);

    if (rc)
        return rc;
    rc = vh__snapshot_file_read(dir, "manifest.json", VH_MANIFEST_MAX, &text, err);
    if (rc)
        return vh__snapshot_blame(name, rc, err);
    *json = vh__buf_steal(&text);
    return *json ? 0 : vh_error_set(err, -ENOMEM, "manifest of snapshot %s", name);
}

int vh_snapshots_label(vh_snapshots *snapshots, const char *ref, const char *name, vh_error *err)
{
    char id[VH_SNAPSHOT_ID];
    int rc = vh__snapshot_resolve(snapshots, ref, id, err);

    if (rc)
        return rc;
    if (!vh__snapshot_label_valid(name))
        return vh_error_set(err, VH_EINVALID, VH_SNAPSHOT_LABEL_RULE, name);
    return vh__label_set(snapshots, name, id, err);
}
