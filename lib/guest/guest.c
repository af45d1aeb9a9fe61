#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "auto.h"
#include "fd.h"
#include "guest_priv.h"
#include "log.h"
#include "path.h"

#define DEFAULT_PACKAGE "linux-image-cloud-amd64"
#define AGENT_MAX       (16 << 20)
#define LOCK_POLL_MS    50
/* Part of an initramfs' key: raised when the archive's layout changes. */
#define LAYOUT 1

/*
 * No virtio_rng: the seed comes with START, and every module costs a guest without KVM 25 ms. What these depend on
 * follows by itself.
 */
const char *const vh__guest_modules[] = { "virtio_mmio", "virtio_console", "virtio_blk", "virtio_net",
                                          "squashfs",    "overlay",        NULL };

int vh__guest_new(vh_env *env, const vh__guest_options *opts, vh__guest **guest, vh_error *err)
{
    static const vh__guest_options none = VH_GUEST_OPTIONS_INIT;
    const vh__guest_options *o = opts ? opts : &none;
    vh__guest *g = calloc(1, sizeof(*g));

    if (!g)
        return vh_error_set(err, -ENOMEM, "guest kernels");
    g->env = env;
    pthread_mutex_init(&g->lock, NULL); /* cannot fail with default attributes */
    g->kernel = o->kernel ? strdup(o->kernel) : NULL;
    g->modules_dir = o->modules_dir ? strdup(o->modules_dir) : NULL;
    g->deb = o->deb ? strdup(o->deb) : NULL;
    g->package = strdup(o->package ? o->package : DEFAULT_PACKAGE);
    g->dir = o->dir ? strdup(o->dir) : vh__path_join(vh_env_state_dir(env), "guest");
    g->agent = o->agent ? strdup(o->agent) : vh__path_join(vh_env_libexec_dir(env), "vhive-agent");
    if (!g->package || !g->dir || !g->agent || (o->kernel && !g->kernel) || (o->modules_dir && !g->modules_dir) ||
        (o->deb && !g->deb)) {
        vh__guest_free(g);
        return vh_error_set(err, -ENOMEM, "guest kernels");
    }
    *guest = g;
    return 0;
}

void vh__guest_free(vh__guest *g)
{
    if (!g)
        return;
    pthread_mutex_destroy(&g->lock);
    free(g->kernel);
    free(g->modules_dir);
    free(g->package);
    free(g->deb);
    free(g->dir);
    free(g->agent);
    free(g);
}

/* Makes the folders and takes the lock; closing |*fd| gives it back. */
static int take_lock(vh__guest *g, const vh__wait *w, int *fd, vh_error *err)
{
    vh_auto_free char *path = vh__path_join(g->dir, "lock"), *kernels = vh__path_join(g->dir, "kernels"),
                      *initramfs = vh__path_join(g->dir, "initramfs");
    vh_auto_fd int lock = -1;
    int rc;

    if (!path || !kernels || !initramfs)
        return vh_error_set(err, -ENOMEM, "lock of %s", g->dir);
    rc = vh__path_mkdirs(kernels, 0755, err);
    if (rc == 0)
        rc = vh__path_mkdirs(initramfs, 0755, err);
    if (rc)
        return rc;
    lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (lock < 0)
        return vh_error_set(err, -errno, "open %s", path);
    while (flock(lock, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return vh_error_set(err, -errno, "lock %s", path);
        rc = vh__wait_sleep(w, LOCK_POLL_MS, "kernel that another process prepares", err);
        if (rc)
            return rc;
    }
    *fd = vh_steal_fd(&lock);
    return 0;
}

/* The newest kernel package that lies in the folder, on the heap; NULL if there is none or no memory. */
static char *dropped_deb(const vh__guest *g)
{
    vh_auto_dir DIR *dir = opendir(g->dir);
    char newest[256] = "";
    struct dirent *e;

    while (dir && (e = readdir(dir))) {
        size_t n = strlen(e->d_name);

        if (n > 4 && strncmp(e->d_name, "linux-image-", 12) == 0 && strcmp(e->d_name + n - 4, ".deb") == 0 &&
            strverscmp(e->d_name, newest) > 0)
            strcpy(newest, e->d_name);
    }
    return newest[0] ? vh__path_join(g->dir, newest) : NULL;
}

static int download(vh__guest *g, const vh__wait *w, vh_error *err)
{
    vh_auto_free char *to = vh__path_join(g->dir, ".download"), *deb = NULL;
    vh_error second;
    int rc, cleaned;

    if (!to)
        return vh_error_set(err, -ENOMEM, "kernel package");
    rc = vh__path_remove(to, err); /* of one who was killed: the lock is ours */
    if (rc == 0)
        rc = vh__path_mkdirs(to, 0700, err);
    if (rc == 0 && (rc = vh__apt_download(g, to, w, &deb, err)) != 0)
        rc = vh_error_wrap(err, rc,
                           "no guest kernel, and downloading one failed (without network put a linux-image-*.deb "
                           "into %s, or set guest.kernel)",
                           g->dir);
    if (rc == 0)
        rc = vh__kernel_unpack(g, deb, w, err);
    cleaned = vh__path_remove(to, rc ? &second : err); /* the first error is the one to tell */
    return rc ? rc : cleaned;
}

/* Unpacks |deb|, or downloads, unless another process has done so while we waited for the lock. */
static int get_kernel(vh__guest *g, const char *deb, const char *source, const vh__wait *w, vh__kernel *k, vh_error *err)
{
    vh_auto_fd int lock = -1;
    bool found = false;
    int rc = take_lock(g, w, &lock, err);

    if (rc == 0)
        rc = vh__kernel_find(g->dir, source, k, &found, err);
    if (rc || found)
        return rc;
    vh__log(g->env, VH_LOG_INFO, "guest", NULL, "no kernel in %s yet: %s %s", g->dir, deb ? "unpacking" : "downloading",
            deb ? deb : g->package);
    rc = deb ? vh__kernel_unpack(g, deb, w, err) : download(g, w, err);
    if (rc == 0)
        rc = vh__kernel_find(g->dir, source, k, &found, err);
    if (rc == 0 && !found)
        rc = vh_error_set(err, VH_ESTATE, "kernel unpacked into %s has vanished", g->dir);
    return rc;
}

/* The kernel of the package, made ready if need be and |w| is not NULL; |modules| is where its modules are. */
static int packaged_kernel(vh__guest *g, const vh__wait *w, vh__guest_files *out, char modules[VH_GUEST_PATH],
                           vh_error *err)
{
    vh_auto_free char *dropped = g->deb ? NULL : dropped_deb(g);
    const char *deb = g->deb ? g->deb : dropped, *slash = deb ? strrchr(deb, '/') : NULL;
    const char *source = slash ? slash + 1 : deb;
    bool found = false;
    vh__kernel k;
    int rc = vh__kernel_find(g->dir, source, &k, &found, err);

    if (rc == 0 && !found)
        rc = w ? get_kernel(g, deb, source, w, &k, err)
               : vh_error_set(err, VH_ENOTFOUND, "%s: holds no kernel yet", g->dir);
    if (rc)
        return rc;
    if (snprintf(out->kernel, sizeof(out->kernel), "%s/vmlinux", k.dir) >= (int)sizeof(out->kernel) ||
        snprintf(modules, VH_GUEST_PATH, "%s/modules", k.dir) >= VH_GUEST_PATH)
        return vh_error_set(err, VH_ELIMIT, "%s: path is too long", g->dir);
    strcpy(out->release, k.release);
    strcpy(out->kernel_digest, k.digest);
    return 0;
}

static int custom_kernel(vh__guest *g, vh__guest_files *out, char modules[VH_GUEST_PATH], vh_error *err)
{
    vh_auto_fd int fd = open(g->kernel, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return vh_error_set(err, -errno, "guest kernel %s", g->kernel);
    if (strlen(g->kernel) >= VH_GUEST_PATH || (g->modules_dir && strlen(g->modules_dir) >= VH_GUEST_PATH))
        return vh_error_set(err, VH_ELIMIT, "guest kernel %s: path is too long", g->kernel);
    strcpy(out->kernel, g->kernel);
    strcpy(out->release, "custom");
    strcpy(modules, g->modules_dir ? g->modules_dir : "");
    return vh__digest_fd(fd, g->kernel, out->kernel_digest, err);
}

/* Name of the initramfs of this kernel, these modules and this agent: what it consists of, hashed. */
static int initramfs_key(const vh__guest_files *f, const vh__buf *agent, const vh__kmods *mods,
                         char key[VH_DIGEST_TEXT], vh_error *err)
{
    vh_auto_buf vh__buf text = { 0 };
    char digest[VH_DIGEST_TEXT];
    int rc = vh__digest_bytes(agent->data, agent->len, digest, err);

    vh__buf_printf(&text, "%d %s\nagent %s\n", LAYOUT, f->release, digest);
    for (size_t i = 0; i < mods->n && rc == 0; i++) {
        rc = vh__digest_bytes(mods->v[i].data.data, mods->v[i].data.len, digest, err);
        vh__buf_printf(&text, "%s %s\n", mods->v[i].name, digest);
    }
    if (rc == 0)
        rc = vh__buf_check(&text, "initramfs", err);
    return rc ? rc : vh__digest_bytes(text.data, text.len, key, err);
}

/* Writes the archive beside its place, makes it durable, renames it. The lock keeps others from the same. */
static int make_initramfs(vh__guest *g, const vh__buf *agent, const vh__kmods *mods, const vh__wait *w,
                          const char *path, vh_error *err)
{
    vh_auto_free char *temporary = vh__path_join(g->dir, "initramfs/.new");
    vh_auto_fd int lock = -1, fd = -1;
    int rc;

    if (!temporary)
        return vh_error_set(err, -ENOMEM, "initramfs");
    rc = take_lock(g, w, &lock, err);
    if (rc || access(path, F_OK) == 0)
        return rc;
    rc = vh__initramfs_write(temporary, agent, mods, err);
    if (rc)
        return rc;
    fd = open(temporary, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0 || rename(temporary, path) < 0)
        return vh_error_set(err, -errno, "publish %s", path);
    return 0;
}

static int find_initramfs(vh__guest *g, const char *modules, const vh__wait *w, vh__guest_files *out, vh_error *err)
{
    vh_auto_kmods vh__kmods mods = { 0 };
    vh_auto_buf vh__buf agent = { 0 };
    vh_auto_fd int fd = -1;
    char key[VH_DIGEST_TEXT];
    int rc = vh__file_read(g->agent, AGENT_MAX, &agent, err);

    if (rc)
        return vh_error_wrap(err, rc, "guest agent (is the build or the installation complete?)");
    if (modules[0])
        rc = vh__kmods_load(modules, vh__guest_modules, &mods, err);
    if (rc == 0)
        rc = initramfs_key(out, &agent, &mods, key, err);
    if (rc)
        return rc;
    if (snprintf(out->initramfs, sizeof(out->initramfs), "%s/initramfs/%s.cpio", g->dir, strchr(key, ':') + 1) >=
        (int)sizeof(out->initramfs))
        return vh_error_set(err, VH_ELIMIT, "%s: path is too long", g->dir);
    if (access(out->initramfs, F_OK) < 0)
        rc = w ? make_initramfs(g, &agent, &mods, w, out->initramfs, err)
               : vh_error_set(err, VH_ENOTFOUND, "%s: not made yet", out->initramfs);
    if (rc)
        return rc;
    fd = open(out->initramfs, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return vh_error_set(err, -errno, "open %s", out->initramfs);
    return vh__digest_fd(fd, out->initramfs, out->initramfs_digest, err);
}

/* Without |w| nothing is made. */
static int get_files(vh__guest *g, const vh__wait *w, vh__guest_files *out, vh_error *err)
{
    vh__guest_files f = { 0 };
    char modules[VH_GUEST_PATH];
    int rc = g->kernel ? custom_kernel(g, &f, modules, err) : packaged_kernel(g, w, &f, modules, err);

    if (rc == 0)
        rc = find_initramfs(g, modules, w, &f, err);
    if (rc == 0)
        *out = f;
    return rc;
}

int vh__guest_prepare(vh__guest *g, const vh__wait *w, vh__guest_files *out, vh_error *err)
{
    return get_files(g, w, out, err);
}

int vh__guest_look(vh__guest *g, vh__guest_files *out, vh_error *err)
{
    return get_files(g, NULL, out, err);
}

int vh__guest_obtainable(vh__guest *g, const vh__wait *w, vh_error *err)
{
    vh_auto_free char *dropped = g->deb ? NULL : dropped_deb(g);
    bool found = false;
    vh__kernel k;
    int rc;

    if (g->kernel || g->deb || dropped)
        return 0;
    rc = vh__kernel_find(g->dir, NULL, &k, &found, err);
    if (rc || found)
        return rc;
    rc = vh__apt_look(g, w, err);
    return rc ? vh_error_wrap(err, rc, "no guest kernel in %s, and none to download", g->dir) : 0;
}
