#include "space.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "auto.h"

#define MIB(bytes) ((unsigned long long)(((bytes) + (1 << 20) - 1) >> 20))

/* The uppermost directory above |dir| that is on the same file system: where that is mounted. */
static void mount_of(const char *dir, char out[PATH_MAX])
{
    vh_auto_free char *path = realpath(dir, NULL);
    struct stat here, above;

    (void)snprintf(out, PATH_MAX, "%s", path ? path : dir);
    if (stat(out, &here))
        return;
    while (out[0] == '/' && out[1]) {
        char *slash = strrchr(out, '/');
        char cut = slash == out ? slash[1] : '/';

        slash[slash == out] = '\0';
        if (stat(out, &above) || above.st_dev != here.st_dev) {
            slash[slash == out] = cut;
            return;
        }
    }
}

static uint64_t free_bytes(const char *dir)
{
    struct statvfs fs;

    return statvfs(dir, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : UINT64_MAX;
}

static int no_space(const char *dir, uint64_t need, int rc, vh_error *err)
{
    char mount[PATH_MAX];

    mount_of(dir, mount);
    return vh_error_set(err, rc, "the file system of %.200s has %llu MiB free, the image takes about %llu MiB: make "
                        "room there, or choose another state directory (--state-dir)", mount,
                        (unsigned long long)(free_bytes(dir) >> 20), MIB(need));
}

int vh__space_check(const char *dir, uint64_t need, vh_error *err)
{
    return free_bytes(dir) < need ? no_space(dir, need, -ENOSPC, err) : 0;
}

int vh__space_error(const char *dir, uint64_t need, int rc, vh_error *err)
{
    return rc == -ENOSPC || rc == -EDQUOT ? no_space(dir, need, rc, err) : rc;
}
