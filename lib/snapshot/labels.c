/*
 * A label is a symbolic link labels/<name> -> ../<id>: set by rename, so it points to the old or the new snapshot at
 * any moment. It is read with readlink and never followed. Writers hold a lock on labels/, so that one temporary
 * name is enough and a left-over of a dead writer is overwritten by the next.
 */
#include "catalogue_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "log.h"
#include "wait.h"

#define NEW ".new"

/* Locks labels/ for writing; held for a few system calls, so waiting long for it means that something is stuck. */
static int lock(const vh_snapshots *s, int *fd, vh_error *err)
{
    vh__wait w = vh__wait_from(NULL, 5000);

    for (;;) {
        int got = vh__snapshot_dir_lock(s, "labels", LOCK_EX), rc;

        if (got >= 0) {
            *fd = got;
            return 0;
        }
        if (got != -EWOULDBLOCK)
            return vh_error_set(err, got, "lock %s/labels", s->path);
        rc = vh__wait_sleep(&w, 2, "lock of the snapshots' labels", err);
        if (rc)
            return rc;
    }
}

/* Where label |name| points, whether that is there or not. */
static int target_of(const vh_snapshots *s, const char *name, char id[VH_SNAPSHOT_ID])
{
    char target[VH_SNAPSHOT_ID + 4];
    ssize_t n = readlinkat(s->labels_fd, name, target, sizeof(target) - 1);

    if (n < 0)
        return errno == EINVAL ? -ENOENT : -errno;
    target[n] = '\0';
    if (strncmp(target, "../", 3) != 0 || !vh__snapshot_name_valid(target + 3))
        return -ENOENT;
    strcpy(id, target + 3);
    return 0;
}

int vh__label_set(const vh_snapshots *s, const char *name, const char *id, vh_error *err)
{
    char target[VH_SNAPSHOT_ID + 4], before[VH_SNAPSHOT_ID];
    vh_auto_fd int held = -1;
    int rc = lock(s, &held, err);

    if (rc)
        return rc;
    if (target_of(s, name, before) == 0 && strcmp(before, id) != 0)
        vh__log(s->env, VH_LOG_WARN, "snapshot", NULL, "label %s moves from snapshot %s to %s", name, before, id);
    snprintf(target, sizeof(target), "../%s", id);
    (void)unlinkat(held, NEW, 0); /* of a dead writer, rarely there */
    if (symlinkat(target, held, NEW) < 0)
        return vh_error_set(err, -errno, "label %s", name);
    if (renameat(held, NEW, held, name) < 0 || fsync(held) < 0) {
        rc = vh_error_set(err, -errno, "label %s", name);
        (void)unlinkat(held, NEW, 0); /* the first error is the one to tell */
    }
    return rc;
}

int vh__label_get(const vh_snapshots *s, const char *name, char id[VH_SNAPSHOT_ID])
{
    int rc = target_of(s, name, id);

    return rc == 0 && !vh__snapshot_dir_exists(s, id) ? -ENOENT : rc;
}

/* Next label of |id|, NULL at the end. */
static const char *next_of(const vh_snapshots *s, DIR *dir, const char *id)
{
    char points_to[VH_SNAPSHOT_ID];
    struct dirent *e;

    while ((e = readdir(dir)))
        if (vh__snapshot_label_valid(e->d_name) && target_of(s, e->d_name, points_to) == 0 &&
            strcmp(points_to, id) == 0)
            return e->d_name;
    return NULL;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

int vh__label_list(const vh_snapshots *s, vh_snapshot_info *info, vh_error *err)
{
    vh_auto_dir DIR *dir = vh__snapshot_dir_list(s->labels_fd);
    const char *name;

    if (!dir)
        return vh_error_set(err, -errno, "read %s/labels", s->path);
    while (info->label_count < VH_SNAPSHOT_LABELS_MAX && (name = next_of(s, dir, info->id)))
        strcpy(info->labels[info->label_count++], name);
    qsort(info->labels, info->label_count, sizeof(info->labels[0]), by_text);
    return 0;
}

void vh__label_drop(const vh_snapshots *s, const char *id)
{
    vh_auto_dir DIR *dir = NULL;
    vh_auto_fd int held = -1;
    const char *name;

    if (lock(s, &held, NULL) == 0)
        dir = vh__snapshot_dir_list(s->labels_fd);
    while (dir && (name = next_of(s, dir, id)))
        (void)unlinkat(held, name, 0); /* best effort, see the header */
}

void vh__label_sweep(const vh_snapshots *s)
{
    vh_auto_fd int held = vh__snapshot_dir_lock(s, "labels", LOCK_EX);

    if (held >= 0)
        (void)unlinkat(held, NEW, 0); /* mostly there is none */
}
