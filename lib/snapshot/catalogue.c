#include "catalogue_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "fd.h"
#include "log.h"
#include "path.h"

/* Whoever can write here decides what guests run: refuse to work in a directory that others can write. */
static int check_owner(const vh_snapshots *s, vh_error *err)
{
    struct stat st;

    if (fstat(s->dir_fd, &st) < 0)
        return vh_error_set(err, -errno, "open %s", s->path);
    if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & 022))
        return vh_error_set(err, VH_ESTATE, "%s: others can write to it; give it to the user of this program and "
                                            "`chmod 700` it", s->path);
    return 0;
}

static int open_dirs(vh_snapshots *s, vh_error *err)
{
    int rc;

    s->dir_fd = open(s->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (s->dir_fd < 0)
        return vh_error_set(err, -errno, "open %s", s->path);
    rc = check_owner(s, err);
    if (rc)
        return rc;
    if (mkdirat(s->dir_fd, "labels", 0700) < 0 && errno != EEXIST)
        return vh_error_set(err, -errno, "make directory %s/labels", s->path);
    s->labels_fd = vh__snapshot_dir_open(s, "labels");
    return s->labels_fd < 0 ? vh_error_set(err, s->labels_fd, "open %s/labels", s->path) : 0;
}

/* Removes directories that are being made or removed by nobody: their locks ended with their owners. */
static int sweep(vh_snapshots *s, vh_error *err)
{
    vh_auto_dir DIR *dir = vh__snapshot_dir_list(s->dir_fd);
    struct dirent *e;

    if (!dir)
        return vh_error_set(err, -errno, "read %s", s->path);
    while ((e = readdir(dir))) {
        vh_auto_fd int fd = -1;

        if (strncmp(e->d_name, ".new-", 5) != 0 && strncmp(e->d_name, ".gone-", 6) != 0)
            continue;
        fd = vh__snapshot_dir_lock(s, e->d_name, LOCK_EX);
        if (fd < 0)
            continue;
        vh__log(s->env, VH_LOG_INFO, "snapshot", NULL, "removing %s, left behind by a dead process", e->d_name);
        if (vh__snapshot_dir_discard(s, e->d_name, NULL))
            vh__log(s->env, VH_LOG_WARN, "snapshot", NULL, "cannot remove %s/%s", s->path, e->d_name);
    }
    vh__label_sweep(s);
    return 0;
}

static int make_dir(const vh_snapshots *s, vh_error *err)
{
    int rc = vh__path_mkdirs(vh_env_state_dir(s->env), 0755, err);

    if (rc == 0 && mkdir(s->path, 0700) < 0 && errno != EEXIST)
        rc = vh_error_set(err, -errno, "make directory %s", s->path);
    return rc;
}

static int check_dir(const vh_snapshots *s, vh_error *err)
{
    if (access(s->path, F_OK) == 0)
        return 0;
    if (errno == ENOENT)
        return vh_error_set(err, VH_ENOTFOUND, "%s: there is no such directory, so there are no snapshots", s->path);
    return vh_error_set(err, -errno, "%s", s->path);
}

static int open_catalogue(vh_env *env, bool make, vh_snapshots **snapshots, vh_error *err)
{
    vh_snapshots *s = calloc(1, sizeof(*s));
    int rc;

    if (!s)
        return vh_error_set(err, -ENOMEM, "catalogue of snapshots");
    s->env = env;
    s->dir_fd = s->labels_fd = -1;
    s->path = vh__path_join(vh_env_state_dir(env), "snapshots");
    rc = s->path ? (make ? make_dir : check_dir)(s, err) : vh_error_set(err, -ENOMEM, "catalogue of snapshots");
    if (rc == 0)
        rc = open_dirs(s, err);
    if (rc == 0)
        rc = sweep(s, err);
    if (rc) {
        vh_snapshots_free(s);
        return rc;
    }
    *snapshots = s;
    return 0;
}

int vh_snapshots_new(vh_env *env, vh_snapshots **snapshots, vh_error *err)
{
    return open_catalogue(env, true, snapshots, err);
}

int vh_snapshots_find(vh_env *env, vh_snapshots **snapshots, vh_error *err)
{
    return open_catalogue(env, false, snapshots, err);
}

void vh_snapshots_free(vh_snapshots *snapshots)
{
    if (!snapshots)
        return;
    vh__fd_close(&snapshots->labels_fd);
    vh__fd_close(&snapshots->dir_fd);
    free(snapshots->path);
    free(snapshots);
}
