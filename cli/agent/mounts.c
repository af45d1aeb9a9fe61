#include "mounts.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define DISK         "/dev/vda"
#define DISK_WAIT_MS 5000

struct mount_point {
    const char *type, *target, *data;
    unsigned long flags;
    mode_t mode;
    bool optional; /* the kernel may lack it */
};

/* Makes the mount point, mounts on it; errors name it. */
static int mount_all(const struct mount_point *m, size_t n, const char *stage, struct fault *f)
{
    for (; n; m++, n--) {
        if (mkdir(m->target, m->mode) < 0 && errno != EEXIST)
            return fault_set(f, stage, "make directory %s: %m", m->target);
        if (mount(m->type, m->target, m->type, m->flags, m->data) < 0 && !m->optional)
            return fault_set(f, stage, "mount %s on %s: %m", m->type, m->target);
    }
    return 0;
}

int mounts_early(struct fault *f)
{
    static const struct mount_point early[] = {
        { .type = "proc", .target = "/proc", .mode = 0755 },
        { .type = "sysfs", .target = "/sys", .mode = 0755 },
        { .type = "devtmpfs", .target = "/dev", .mode = 0755 },
    };

    return mount_all(early, sizeof(early) / sizeof(early[0]), "mounts", f);
}

/* /lower is the image, /upper what is written over it, /root both. */
static int mount_overlay(uint64_t tmpfs_bytes, struct fault *f)
{
    char options[64] = "mode=0755";
    const struct mount_point layers[] = {
        { .type = "tmpfs", .target = "/upper", .data = options, .mode = 0755 },
    };
    struct stat st;

    if (!wait_for_path(DISK, DISK_WAIT_MS))
        return fault_set(f, "rootfs", "no disk %s within %d ms (is virtio-blk configured?)", DISK, DISK_WAIT_MS);
    if ((mkdir("/lower", 0755) < 0 || mkdir("/root", 0755) < 0) && errno != EEXIST)
        return fault_set(f, "rootfs", "make mount points: %m");
    if (mount(DISK, "/lower", "squashfs", MS_RDONLY, NULL) < 0)
        return fault_set(f, "rootfs", "mount %s as squashfs: %m", DISK);
    if (tmpfs_bytes)
        snprintf(options, sizeof(options), "mode=0755,size=%llu", (unsigned long long)tmpfs_bytes);
    if (mount_all(layers, 1, "rootfs", f) < 0)
        return -1;
    if (mkdir("/upper/top", 0755) < 0 || mkdir("/upper/work", 0755) < 0)
        return fault_set(f, "rootfs", "make the writable layer: %m");
    /* the root folder itself is the upper one: it gets the owner and mode that the image gives it */
    if (stat("/lower", &st) < 0 || chown("/upper/top", st.st_uid, st.st_gid) < 0 ||
        chmod("/upper/top", st.st_mode & 07777) < 0)
        return fault_set(f, "rootfs", "copy the root folder's mode: %m");
    if (mount("overlay", "/root", "overlay", 0, "lowerdir=/lower,upperdir=/upper/top,workdir=/upper/work") < 0)
        return fault_set(f, "rootfs", "mount overlay: %m");
    return 0;
}

static int switch_root(struct fault *f)
{
    static const char *const early[] = { "/dev", "/sys", "/proc" };

    for (size_t i = 0; i < sizeof(early) / sizeof(early[0]); i++)
        (void)umount2(early[i], MNT_DETACH); /* left there it is merely out of reach */
    (void)unlink("/init"); /* frees its pages when the last mapping goes */
    if (chdir("/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
        return fault_set(f, "rootfs", "switch root: %m");
    return 0;
}

static int make_devices(struct fault *f)
{
    static const struct {
        const char *path;
        mode_t mode;
        unsigned major, minor;
    } nodes[] = {
        { "/dev/null", 0666, 1, 3 },   { "/dev/zero", 0666, 1, 5 },    { "/dev/full", 0666, 1, 7 },
        { "/dev/random", 0666, 1, 8 }, { "/dev/urandom", 0666, 1, 9 }, { "/dev/tty", 0666, 5, 0 },
        { "/dev/console", 0600, 5, 1 },
    };
    static const char *const links[][2] = {
        { "pts/ptmx", "/dev/ptmx" },          { "/proc/self/fd", "/dev/fd" },
        { "/proc/self/fd/0", "/dev/stdin" },  { "/proc/self/fd/1", "/dev/stdout" },
        { "/proc/self/fd/2", "/dev/stderr" },
    };

    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
        if (mknod(nodes[i].path, S_IFCHR | nodes[i].mode, makedev(nodes[i].major, nodes[i].minor)) < 0 ||
            chmod(nodes[i].path, nodes[i].mode) < 0)
            return fault_set(f, "rootfs", "make %s: %m", nodes[i].path);
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
        if (symlink(links[i][0], links[i][1]) < 0)
            return fault_set(f, "rootfs", "make %s: %m", links[i][1]);
    return 0;
}

/*
 * Done inside the new root, so that links of the image lead nowhere else. /run and /tmp stay the image's own, their
 * content is there; only the agent's folder is apart, so that a function that fills its layer cannot starve it.
 */
static int mount_usual(struct fault *f)
{
    const unsigned long safe = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    const struct mount_point system[] = {
        { .type = "proc", .target = "/proc", .flags = safe, .mode = 0555 },
        { .type = "sysfs", .target = "/sys", .flags = safe | MS_RDONLY, .mode = 0555 },
        { .type = "tmpfs", .target = "/dev", .data = "mode=0755,size=64k", .flags = MS_NOSUID, .mode = 0755 },
    };
    const struct mount_point inner[] = {
        { .type = "devpts", .target = "/dev/pts", .data = "newinstance,ptmxmode=0666,mode=0620,gid=5",
          .flags = MS_NOSUID | MS_NOEXEC, .mode = 0755 },
        { .type = "tmpfs", .target = "/dev/shm", .data = "mode=1777,size=64m", .flags = safe, .mode = 01777 },
        { .type = "mqueue", .target = "/dev/mqueue", .flags = safe, .mode = 0755, .optional = true },
        { .type = "tmpfs", .target = VHIVE_RUN_DIR, .data = "mode=0755,size=1m", .flags = safe, .mode = 0755 },
    };

    if (mount_all(system, sizeof(system) / sizeof(system[0]), "rootfs", f) < 0 || make_devices(f) < 0)
        return -1;
    if (mkdir("/run", 0755) < 0 && errno != EEXIST)
        return fault_set(f, "rootfs", "make directory /run: %m");
    if (mkdir("/tmp", 01777) == 0 && chmod("/tmp", 01777) < 0)
        return fault_set(f, "rootfs", "chmod /tmp: %m");
    return mount_all(inner, sizeof(inner) / sizeof(inner[0]), "rootfs", f);
}

int mounts_enter_root(uint64_t tmpfs_bytes, struct fault *f)
{
    if (mount_overlay(tmpfs_bytes, f) < 0 || switch_root(f) < 0)
        return -1;
    return mount_usual(f);
}
