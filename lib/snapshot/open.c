#include "snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "catalogue_priv.h"
#include "clock.h"
#include "fd.h"
#include "log.h"
#include "path.h"
#include "reap.h"

struct vh__snapshot {
    char id[VH_SNAPSHOT_ID];
    char *memory_path;
    vh__manifest manifest;
    int dir_fd; /* with the pin */
    int memory_fd, vmstate_fd;
    int recorder_fd; /* manifest.json, locked while this is the recorder of the working set */
};

void vh__snapshot_close(vh__snapshot *snap)
{
    if (!snap)
        return;
    vh__fd_close(&snap->recorder_fd);
    vh__fd_close(&snap->memory_fd);
    vh__fd_close(&snap->vmstate_fd);
    vh__fd_close(&snap->dir_fd);
    vh__manifest_fini(&snap->manifest);
    free(snap->memory_path);
    free(snap);
}

/* A lock against us is held for a few system calls only (just published, about to be removed): tried for a while. */
static int pin(vh_snapshots *s, vh__snapshot *snap, vh_error *err)
{
    vh__wait w = vh__wait_from(NULL, 1000);
    int rc = 0;

    for (;;) {
        snap->dir_fd = vh__snapshot_dir_lock(s, snap->id, LOCK_SH);
        if (snap->dir_fd >= 0)
            return 0;
        if (snap->dir_fd == -ENOENT)
            return vh_error_set(err, VH_ENOTFOUND, "snapshot %s: there is none", snap->id);
        if (snap->dir_fd != -EWOULDBLOCK)
            return vh_error_set(err, snap->dir_fd, "open %s/%s", s->path, snap->id);
        rc = vh__wait_sleep(&w, 1, "snapshot that is being removed", err);
        if (rc)
            return rc;
    }
}

static int open_files(vh__snapshot *snap, vh_error *err)
{
    struct stat st;
    int rc = vh__snapshot_file_open(snap->dir_fd, "vmstate", &snap->vmstate_fd, &st, err);

    if (rc == 0)
        rc = vh__snapshot_check_vmstate(snap->vmstate_fd, &snap->manifest, err);
    if (rc == 0)
        rc = vh__snapshot_file_open(snap->dir_fd, "memory", &snap->memory_fd, &st, err);
    return rc;
}

static int open_all(vh_snapshots *s, const char *key, vh__snapshot *snap, vh_error *err)
{
    int rc = pin(s, snap, err);

    if (rc)
        return rc;
    snap->memory_path = vh__strf("%s/%s/memory", s->path, snap->id);
    if (!snap->memory_path)
        return vh_error_set(err, -ENOMEM, "open snapshot %s", snap->id);
    rc = vh__snapshot_load(snap->dir_fd, snap->id, &snap->manifest, err);
    if (rc == 0 && strcmp(snap->manifest.key, key) != 0)
        rc = vh_error_set(err, VH_ECORRUPT, "manifest.json: it is of another key, %s, though of the same id",
                          snap->manifest.key);
    if (rc == 0)
        rc = open_files(snap, err);
    return rc ? vh__snapshot_blame(snap->id, rc, err) : 0;
}

int vh__snapshot_open(vh_snapshots *s, const char *key, vh__snapshot **snap, vh_error *err)
{
    vh__snapshot *n;
    int rc;

    if (!vh__digest_valid(key))
        return vh_error_set(err, VH_EINVALID, "key of a snapshot: \"%.80s\" is none", key);
    n = calloc(1, sizeof(*n));
    if (!n)
        return vh_error_set(err, -ENOMEM, "open a snapshot");
    n->dir_fd = n->memory_fd = n->vmstate_fd = n->recorder_fd = -1;
    vh__snapshot_id_of(key, n->id);
    rc = open_all(s, key, n, err);
    if (rc) {
        vh__snapshot_close(n);
        return rc;
    }
    *snap = n;
    return 0;
}

const char *vh__snapshot_id(const vh__snapshot *snap)
{
    return snap->id;
}

const char *vh__snapshot_key_text(const vh__snapshot *snap)
{
    return snap->manifest.key;
}

int vh__snapshot_dir_fd(const vh__snapshot *snap)
{
    return snap->dir_fd;
}

int vh__snapshot_memory_fd(const vh__snapshot *snap)
{
    return snap->memory_fd;
}

int vh__snapshot_vmstate_fd(const vh__snapshot *snap)
{
    return snap->vmstate_fd;
}

uint64_t vh__snapshot_memory_bytes(const vh__snapshot *snap)
{
    return snap->manifest.info.memory_bytes;
}

const char *vh__snapshot_memory_path(const vh__snapshot *snap)
{
    return snap->memory_path;
}

const cJSON *vh__snapshot_machine(const vh__snapshot *snap)
{
    return snap->manifest.machine;
}

bool vh__snapshot_has_ws(const vh__snapshot *snap)
{
    struct stat st;

    return fstatat(snap->dir_fd, VH_WS_INDEX_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstatat(snap->dir_fd, VH_WS_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

const char *vh__snapshot_ws_owner(const vh__snapshot *snap)
{
    return vh__manifest_ws_owner(&snap->manifest);
}

int vh__snapshot_ws_lock(vh__snapshot *snap, vh_error *err)
{
    vh_auto_fd int fd = -1;
    struct stat st;
    int rc = vh__snapshot_file_open(snap->dir_fd, "manifest.json", &fd, &st, err);

    if (rc)
        return rc;
    if (snap->recorder_fd >= 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return vh_error_set(err, VH_ESTATE, "snapshot %s: another VM records its working set", snap->id);
    snap->recorder_fd = vh_steal_fd(&fd);
    return 0;
}

void vh__snapshot_ws_unlock(vh__snapshot *snap)
{
    vh__fd_close(&snap->recorder_fd);
}

int vh__snapshot_ws_drop(const vh__snapshot *snap, vh_error *err)
{
    /* the index first: data without one is nobody's */
    if ((unlinkat(snap->dir_fd, VH_WS_INDEX_FILE, 0) < 0 || unlinkat(snap->dir_fd, VH_WS_FILE, 0) < 0) &&
        errno != ENOENT)
        return vh_error_set(err, -errno, "snapshot %s: drop its working set", snap->id);
    return 0;
}
