#include "snapshot.h"

#include <errno.h>
#include <string.h>
#include <sys/file.h>

#include "catalogue_priv.h"
#include "log.h"

int vh_snapshots_remove(vh_snapshots *snapshots, const char *ref, vh_error *err)
{
    vh_auto_fd int dir = -1;
    char name[VH_SNAPSHOT_ID];
    int rc = vh__snapshot_resolve(snapshots, ref, name, err);

    if (rc)
        return rc;
    dir = vh__snapshot_dir_lock(snapshots, name, LOCK_EX);
    if (dir == -EWOULDBLOCK)
        return vh_error_set(err, VH_ESTATE, "snapshot %s: a VM or another command uses it; stop that first", name);
    if (dir == -ENOENT)
        return vh_error_set(err, VH_ENOTFOUND, "snapshot %s: it was removed just now", ref);
    if (dir < 0)
        return vh_error_set(err, dir, "lock %s/%s", snapshots->path, name);
    /* labels first: should we die here, the snapshot is nameless, but no label points to nothing */
    vh__label_drop(snapshots, name);
    return vh__snapshot_dir_discard(snapshots, name, err);
}

int vh__snapshot_quarantine(vh_snapshots *s, const char *id, const char *why, vh_error *err)
{
    char bad[VH_SNAPSHOT_ID];

    if (!vh__snapshot_name_valid(id) || strlen(id) != VH_SNAPSHOT_ID_DIGITS)
        return vh_error_set(err, VH_EINVALID, "quarantine: \"%.40s\" is no id of a snapshot", id);
    strcat(strcpy(bad, "bad-"), id);
    vh__label_drop(s, id);
    for (int attempt = 0; attempt < 3; attempt++) {
        int rc;

        if (renameat(s->dir_fd, id, s->dir_fd, bad) == 0) {
            vh__log(s->env, VH_LOG_WARN, "snapshot", NULL, "%s is set aside as %s: %s", id, bad, why);
            return 0;
        }
        if (errno == ENOENT)
            return 0;
        if (errno != ENOTEMPTY && errno != EEXIST)
            break;
        /* one set aside before; VMs that still use it hold its files open, names mean nothing to them */
        rc = vh__snapshot_dir_discard(s, bad, err);
        if (rc)
            return rc;
    }
    return vh_error_set(err, -errno, "rename %s/%s to %s", s->path, id, bad);
}
