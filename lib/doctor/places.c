/* The directories: what is stored, and what is running. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#include "auto.h"
#include "doctor_priv.h"
#include "path.h"

/* An image, its snapshot and a kernel; and a few more of them. */
#define LEAST_BYTES (512ULL << 20)
#define AMPLE_BYTES (2ULL << 30)
#define BLOCK       4096

bool vh__place_existing(const char *path, char *dir, size_t room)
{
    struct stat st;

    if ((size_t)snprintf(dir, room, "%s", path) >= room)
        return false;
    while (stat(dir, &st) < 0) {
        char *slash = strrchr(dir, '/');

        if ((errno != ENOENT && errno != EACCES) || !slash || !dir[1])
            return false;
        slash[slash == dir] = '\0'; /* "/a" becomes "/" */
    }
    return S_ISDIR(st.st_mode);
}

/* A file without a name in |dir|, or one that loses it at once. -1 with errno. */
static int nameless(const char *dir)
{
    char name[] = ".doctor-XXXXXX";
    vh_auto_free char *path = vh__path_join(dir, name);
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR) || !path)
        return fd;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(path); /* we have just made it */
    return fd;
}

/* Writes a block and reads it past the page cache: 0, VH_EUNSUPPORTED if only that does not work, or -errno. */
static int try_file(const char *dir, const char **step)
{
    vh_auto_fd int fd = nameless(dir);
    vh_auto_free void *block = NULL;
    int flags;

    *step = "make a file";
    if (fd < 0)
        return -errno;
    if (posix_memalign(&block, BLOCK, BLOCK))
        return -ENOMEM;
    memset(block, 0x5a, BLOCK);
    *step = "write";
    if (pwrite(fd, block, BLOCK, 0) != BLOCK || fdatasync(fd) < 0)
        return errno ? -errno : -EIO;
    flags = fcntl(fd, F_GETFL);
    memset(block, 0, BLOCK);
    if (fcntl(fd, F_SETFL, flags | O_DIRECT) < 0 || pread(fd, block, BLOCK, 0) != BLOCK)
        return VH_EUNSUPPORTED;
    *step = "read back";
    return *(char *)block == 0x5a ? 0 : -EIO;
}

void vh__check_state_dir(vh__exam *x)
{
    const char *path = vh_env_state_dir(x->env), *step;
    char dir[VH_EXAM_TEXT], text[24];
    struct statvfs fs;
    uint64_t free;
    int rc;

    if (!vh__place_existing(path, dir, sizeof(dir)) || statvfs(dir, &fs) < 0) {
        vh__found_fail(x, "choose another state_dir", "%s: is no directory, and cannot become one", path);
        return;
    }
    rc = try_file(dir, &step);
    free = (uint64_t)fs.f_bavail * fs.f_frsize;
    vh__found_size(free, text);
    if (rc == -EACCES || rc == -EROFS || rc == -EPERM)
        vh__found_fail(x, "make it writable, or choose another state_dir", "%s: %s: %s", dir, step, strerror(-rc));
    else if (rc < 0 && rc != VH_EUNSUPPORTED)
        vh__found_fail(x, "look at the disk (dmesg), or choose another state_dir", "%s: %s: %s", dir, step, strerror(-rc));
    else if (free < LEAST_BYTES)
        vh__found_fail(x, "remove images and snapshots, or choose another state_dir", "%s: %s free", dir, text);
    else if (rc)
        vh__found_warn(x, "choose a state_dir on ext4, xfs or btrfs", "%s: cannot be read past the page cache (O_DIRECT): "
                                                                      "working sets come slower", dir);
    else if (free < AMPLE_BYTES)
        vh__found_warn(x, "remove images and snapshots, or choose another state_dir", "%s: only %s free", dir, text);
    else
        vh__found_ok(x, "%s: %s free, O_DIRECT works", path, text);
}

/* Binds a socket where those of VMs will be, in a directory that is removed again. */
static int try_socket(const char *dir, vh_error *err)
{
    vh_auto_free char *made = vh__strf("%s/.doctor-XXXXXX", dir);
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    vh_auto_fd int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = 0;

    if (!made)
        return vh_error_set(err, -ENOMEM, "%s", dir);
    if (!mkdtemp(made))
        return vh_error_set(err, -errno, "make a directory in %s", dir);
    if (snprintf(a.sun_path, sizeof(a.sun_path), "%s/s", made) >= (int)sizeof(a.sun_path) || s < 0 ||
        bind(s, (struct sockaddr *)&a, sizeof(a)) < 0)
        rc = vh_error_set(err, errno ? -errno : -ENAMETOOLONG, "bind a socket in %s", dir);
    (void)unlink(a.sun_path); /* there is none if bind() failed */
    (void)rmdir(made);
    return rc;
}

void vh__check_run_dir(vh__exam *x)
{
    const char *path = vh_env_run_dir(x->env);
    char dir[VH_EXAM_TEXT];
    vh_error err = { 0 };
    int rc;

    if (x->dirs.code) {
        vh__found_fail(x, "choose absolute directories, and a run_dir of at most 64 bytes", "%s", x->dirs.msg);
        return;
    }
    if (!vh__place_existing(path, dir, sizeof(dir))) {
        vh__found_fail(x, "choose another run_dir", "%s: there is no directory above it", path);
        return;
    }
    rc = try_socket(dir, &err);
    vh__found_result(x, rc, &err, "", "make it writable, or choose another run_dir");
    if (rc == 0)
        vh__found_ok(x, "%s: short enough, and sockets can be made there", path);
}
