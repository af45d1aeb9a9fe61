#include <vhive/snapshot.h>

#include <fcntl.h>
#include <sys/file.h>

#include "catalogue_priv.h"
#include "reap.h"

int vh_snapshots_evict(vh_snapshots *snapshots, const char *ref, vh_error *err)
{
    static const char *const files[] = { "manifest.json", "vmstate", "memory", VH_WS_FILE, VH_WS_INDEX_FILE };
    vh_auto_fd int dir = -1;
    char name[VH_SNAPSHOT_ID];
    int rc = vh__snapshot_resolve_dir(snapshots, ref, name, &dir, err);

    if (rc)
        return rc;
    for (size_t i = 0; i < VH_ARRAY_LEN(files); i++) {
        vh_auto_fd int fd = -1;
        struct stat st;

        if (vh__snapshot_file_open(dir, files[i], &fd, &st, NULL) == 0) /* the working set may be missing */
            (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* mapped and dirty pages stay */
    }
    return 0;
}
