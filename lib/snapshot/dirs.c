#include "catalogue_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "clock.h"
#include "fd.h"
#include "path.h"

int vh__snapshot_dir_open(const vh_snapshots *s, const char *name)
{
    int fd = openat(s->dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

int vh__snapshot_dir_lock(const vh_snapshots *s, const char *name, int lock)
{
    vh_auto_fd int fd = vh__snapshot_dir_open(s, name);
    struct stat locked, named;

    if (fd < 0)
        return fd;
    if (flock(fd, lock | LOCK_NB) < 0 || fstat(fd, &locked) < 0)
        return -errno;
    /* between open and lock it may have been removed, and another one have taken its name */
    if (fstatat(s->dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (locked.st_ino != named.st_ino || locked.st_dev != named.st_dev)
        return -EWOULDBLOCK;
    return vh_steal_fd(&fd);
}

DIR *vh__snapshot_dir_list(int fd)
{
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = own < 0 ? NULL : fdopendir(own);

    if (!dir)
        vh__fd_close(&own);
    return dir;
}

bool vh__snapshot_dir_exists(const vh_snapshots *s, const char *name)
{
    struct stat st;

    return fstatat(s->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int vh__snapshot_dir_discard(const vh_snapshots *s, const char *name, vh_error *err)
{
    vh_auto_free char *gone = vh__strf(".gone-%llx-%d", (unsigned long long)vh__clock_mono_ns(), (int)gettid());
    vh_auto_free char *path = gone ? vh__path_join(s->path, gone) : NULL;

    if (!path)
        return vh_error_set(err, -ENOMEM, "remove snapshot %s", name);
    if (renameat(s->dir_fd, name, s->dir_fd, gone) < 0)
        return errno == ENOENT ? 0 : vh_error_set(err, -errno, "remove %s/%s", s->path, name);
    return vh__path_remove(path, err);
}

int vh__snapshot_file_open(int dir, const char *name, int *fd, struct stat *st, vh_error *err)
{
    /* non-blocking, or a FIFO of that name would hold us; not kept, since io_uring would then answer EAGAIN */
    vh_auto_fd int made = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (made < 0 && (errno == ENOENT || errno == ELOOP))
        return vh_error_set(err, VH_ECORRUPT, "%s: %s", name, errno == ENOENT ? "it is missing" : "it is a link");
    if (made < 0 || fstat(made, st) < 0 || fcntl(made, F_SETFL, O_RDONLY) < 0)
        return vh_error_set(err, -errno, "open %s", name);
    if (!S_ISREG(st->st_mode))
        return vh_error_set(err, VH_ECORRUPT, "%s: it is not a regular file", name);
    *fd = vh_steal_fd(&made);
    return 0;
}

int vh__snapshot_file_read(int dir, const char *name, size_t max, vh__buf *out, vh_error *err)
{
    vh_auto_fd int fd = -1;
    struct stat st;
    int rc = vh__snapshot_file_open(dir, name, &fd, &st, err);

    if (rc)
        return rc;
    if ((size_t)st.st_size > max)
        return vh_error_set(err, VH_ECORRUPT, "%s: larger than %zu bytes", name, max);
    if (!vh__buf_reserve(out, (size_t)st.st_size + 1))
        return vh__buf_check(out, name, err);
    rc = vh__fd_pread_full(fd, out->data + out->len, (size_t)st.st_size, 0, name, err);
    if (rc)
        return rc;
    out->len += (size_t)st.st_size;
    out->data[out->len] = '\0';
    return 0;
}
