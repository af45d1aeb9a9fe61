#include "guest_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "auto.h"
#include "fd.h"
#include "json.h"
#include "path.h"

/* Raised when what an unpacked kernel consists of changes: older ones are then unpacked again. */
#define FORMAT   1
#define JSON_MAX 4096

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* Reads kernels/|name|/kernel.json. False for what is no kernel of this format, or not from |source|. */
static bool read_kernel(const char *dir, const char *name, const char *source, vh__kernel *out)
{
    vh_auto_free char *path = vh__strf("%s/kernels/%s/kernel.json", dir, name);
    vh_auto_json cJSON *j = NULL;
    const char *release, *digest;
    vh_error ignored; /* whatever is wrong with it, it is unpacked anew */

    if (!path || vh__json_read(path, JSON_MAX, &j, &ignored) || vh__json_u64_or(j, "format", 0) != FORMAT ||
        vh__json_str(j, "release", path, &release, &ignored) || vh__json_str(j, "digest", path, &digest, &ignored) ||
        !vh__digest_valid(digest) || strlen(release) >= sizeof(out->release))
        return false;
    if (source && strcmp(vh__json_str_or(j, "source", ""), source) != 0)
        return false;
    if (snprintf(out->dir, sizeof(out->dir), "%s/kernels/%s", dir, name) >= (int)sizeof(out->dir))
        return false;
    strcpy(out->release, release);
    strcpy(out->digest, digest);
    return true;
}

int vh__kernel_find(const char *dir, const char *source, vh__kernel *out, bool *found, vh_error *err)
{
    vh_auto_free char *path = vh__path_join(dir, "kernels");
    vh_auto_dir DIR *d = NULL;
    struct dirent *e;
    vh__kernel k;

    if (!path)
        return vh_error_set(err, -ENOMEM, "kernels");
    *found = false;
    d = opendir(path);
    if (!d)
        return errno == ENOENT ? 0 : vh_error_set(err, -errno, "open %s", path);
    while ((e = readdir(d))) {
        if (e->d_name[0] == '.' || !read_kernel(dir, e->d_name, source, &k))
            continue;
        if (*found && strverscmp(k.release, out->release) <= 0)
            continue;
        *out = k;
        *found = true;
    }
    return 0;
}

static int write_json(const char *to, const char *source, const char *release, const char *digest, vh_error *err)
{
    vh_auto_free char *path = vh__path_join(to, "kernel.json");
    vh_auto_json cJSON *j = cJSON_CreateObject();
    vh_auto_buf vh__buf text = { 0 };
    int rc;

    if (!path || !j || !cJSON_AddNumberToObject(j, "format", FORMAT) ||
        !cJSON_AddStringToObject(j, "release", release) || !cJSON_AddStringToObject(j, "digest", digest) ||
        !cJSON_AddStringToObject(j, "source", source))
        return vh_error_set(err, -ENOMEM, "kernel.json");
    vh__json_print(j, true, &text);
    rc = vh__buf_check(&text, "kernel.json", err);
    return rc ? rc : vh__file_write_atomic(path, text.data, text.len, 0644, err);
}

/* Unpacks the kernel itself and tells its digest. */
static int keep_kernel(const char *to, char digest[VH_DIGEST_TEXT], vh_error *err)
{
    vh_auto_free char *image = vh__path_join(to, "vmlinuz"), *vmlinux = vh__path_join(to, "vmlinux");
    vh_auto_fd int fd = -1;
    int rc;

    if (!image || !vmlinux)
        return vh_error_set(err, -ENOMEM, "kernel");
    rc = vh__vmlinux_extract(image, vmlinux, err);
    if (rc == 0)
        rc = vh__path_remove(image, err);
    if (rc)
        return rc;
    fd = open(vmlinux, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? vh_error_set(err, -errno, "open %s", vmlinux) : vh__digest_fd(fd, vmlinux, digest, err);
}

/* Of the thousand modules those that a guest needs are kept, ready to be put into an initramfs. */
static int keep_modules(const char *to, vh_error *err)
{
    vh_auto_free char *all = vh__path_join(to, "all");
    vh_auto_kmods vh__kmods mods = { 0 };
    int rc;

    if (!all)
        return vh_error_set(err, -ENOMEM, "kernel modules");
    rc = vh__kmods_load(all, vh__guest_modules, &mods, err);
    for (size_t i = 0; i < mods.n && rc == 0; i++) {
        vh_auto_free char *path = vh__strf("%s/modules/%s.ko", to, mods.v[i].name);

        rc = path ? vh__file_write_atomic(path, mods.v[i].data.data, mods.v[i].data.len, 0644, err)
                  : vh_error_set(err, -ENOMEM, "kernel modules");
    }
    return rc ? rc : vh__path_remove(all, err);
}

static int make_folders(const char *to, vh_error *err)
{
    static const char *const names[] = { "all", "modules" };
    int rc = 0;

    for (size_t i = 0; i < VH_ARRAY_LEN(names) && rc == 0; i++) {
        vh_auto_free char *path = vh__path_join(to, names[i]);

        rc = path ? vh__path_mkdirs(path, 0755, err) : vh_error_set(err, -ENOMEM, "kernel folders");
    }
    return rc;
}

/* Puts the finished folder |from| in its place at once; what was there before then has |from|'s name. */
static int publish(const char *dir, const char *from, const char *release, vh_error *err)
{
    vh_auto_free char *to = vh__strf("%s/kernels/%s", dir, release), *parent = vh__path_join(dir, "kernels");
    int rc;

    if (!to || !parent)
        return vh_error_set(err, -ENOMEM, "kernel %s", release);
    rc = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE);
    if (rc < 0 && errno == ENOENT)
        rc = rename(from, to);
    if (rc < 0)
        return vh_error_set(err, -errno, "publish %s", to);
    return vh__dir_sync(parent, err);
}

static int unpack_into(const char *to, const char *deb, const vh__wait *w, char release[VH_GUEST_RELEASE],
                       vh_error *err)
{
    char digest[VH_DIGEST_TEXT];
    int rc = make_folders(to, err);

    if (rc == 0)
        rc = vh__deb_unpack(deb, to, w, release, err);
    if (rc == 0)
        rc = keep_kernel(to, digest, err);
    if (rc == 0)
        rc = keep_modules(to, err);
    return rc ? rc : write_json(to, file_name(deb), release, digest, err);
}

int vh__kernel_unpack(vh__guest *g, const char *deb, const vh__wait *w, vh_error *err)
{
    vh_auto_free char *to = vh__strf("%s/kernels/.new", g->dir);
    char release[VH_GUEST_RELEASE];
    vh_error second;
    int rc, cleaned;

    if (!to)
        return vh_error_set(err, -ENOMEM, "kernel package");
    rc = vh__path_remove(to, err); /* of one who was killed: the lock is ours */
    if (rc == 0)
        rc = unpack_into(to, deb, w, release, err);
    if (rc == 0)
        rc = publish(g->dir, to, release, err);
    cleaned = vh__path_remove(to, rc ? &second : err); /* the first error is the one to tell */
    return rc ? rc : cleaned;
}
