#include "guest_priv.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "auto.h"
#include "fd.h"
#include "path.h"

#define FILE_MAX    (256 << 20)
#define PACKAGE_MAX (2LL << 30)
#define ENTRIES_MAX 200000

/* A package being read: an ar archive whose member data.tar.* is the archive that holds the files. */
struct deb {
    const char *path, *to;
    struct archive *outer, *inner;
    int64_t total; /* bytes unpacked so far */
    char *release; /* VH_GUEST_RELEASE bytes; "" until the kernel was seen */
};

static la_ssize_t read_member(struct archive *inner, void *arg, const void **block)
{
    struct deb *d = arg;
    la_int64_t off;
    size_t n = 0;
    int rc;

    do
        rc = archive_read_data_block(d->outer, block, &n, &off);
    while (rc == ARCHIVE_OK && n == 0);
    if (rc == ARCHIVE_OK)
        return (la_ssize_t)n;
    if (rc == ARCHIVE_EOF)
        return 0;
    archive_set_error(inner, archive_errno(d->outer), "%s", archive_error_string(d->outer));
    return -1;
}

/* Only what may be part of a path below our folder. */
static bool valid_name(const char *s, size_t max)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.+_~-";

    return s[0] && s[0] != '.' && strlen(s) < max && s[strspn(s, allowed)] == '\0';
}

/* Where the entry |name| goes, or NULL if it is not wanted; out of memory is |*rc|. */
static char *target(struct deb *d, const char *name, int *rc)
{
    static const char boot[] = "boot/vmlinuz-";
    const char *base;
    char *path = NULL;

    name += strncmp(name, "./", 2) == 0 ? 2 : 0;
    name += strncmp(name, "usr/", 4) == 0 ? 4 : 0;
    base = strrchr(name, '/');
    if (strncmp(name, boot, strlen(boot)) == 0 && valid_name(name + strlen(boot), VH_GUEST_RELEASE)) {
        strcpy(d->release, name + strlen(boot));
        path = vh__strf("%s/vmlinuz", d->to);
    } else if (base && strncmp(name, "lib/modules/", 12) == 0 && strstr(base, ".ko") && valid_name(base + 1, 80)) {
        path = vh__strf("%s/all/%s", d->to, base + 1);
    } else {
        return NULL;
    }
    if (!path)
        *rc = -ENOMEM;
    return path;
}

static int copy_data(struct deb *d, int fd, const char *to, vh_error *err)
{
    const void *block;
    la_int64_t off;
    int64_t end = 0;
    size_t n;
    int rc;

    while ((rc = archive_read_data_block(d->inner, &block, &n, &off)) == ARCHIVE_OK) {
        if (off < 0 || off > FILE_MAX || n > (size_t)(FILE_MAX - off) || d->total > PACKAGE_MAX - FILE_MAX)
            return vh_error_set(err, VH_ELIMIT, "%s: larger than any kernel package", d->path);
        rc = vh__fd_pwrite_full(fd, block, n, (uint64_t)off, to, err);
        if (rc)
            return rc;
        end = off + (int64_t)n;
    }
    d->total += end;
    return rc == ARCHIVE_EOF ? 0 : vh__archive_error(d->inner, d->path, err);
}

static int unpack_entry(struct deb *d, struct archive_entry *e, vh_error *err)
{
    const char *name = archive_entry_pathname(e);
    vh_auto_free char *to = NULL;
    vh_auto_fd int fd = -1;
    int rc = 0;

    if (!name || archive_entry_filetype(e) != AE_IFREG || archive_entry_hardlink(e))
        return 0;
    to = target(d, name, &rc);
    if (!to)
        return rc ? vh_error_set(err, rc, "unpack %s", d->path) : 0;
    fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return vh_error_set(err, -errno, "create %s", to);
    return copy_data(d, fd, to, err);
}

static int unpack_entries(struct deb *d, const vh__wait *w, vh_error *err)
{
    struct archive_entry *e;
    int rc = ARCHIVE_OK, code = 0;

    if (archive_read_open(d->inner, d, NULL, read_member, NULL) != ARCHIVE_OK)
        return vh__archive_error(d->inner, d->path, err);
    for (unsigned i = 0; code == 0 && (rc = archive_read_next_header(d->inner, &e)) == ARCHIVE_OK; i++) {
        if (i == ENTRIES_MAX)
            return vh_error_set(err, VH_ELIMIT, "%s: more files than any kernel package has", d->path);
        code = vh__wait_check(w, "unpack the kernel package", err);
        if (code == 0)
            code = unpack_entry(d, e, err);
    }
    if (code)
        return code;
    if (rc != ARCHIVE_EOF)
        return vh__archive_error(d->inner, d->path, err);
    if (!d->release[0])
        return vh_error_set(err, VH_ECORRUPT, "%s: holds no boot/vmlinuz-RELEASE: not a kernel package", d->path);
    return 0;
}

/* Finds the member with the files and unpacks it. */
static int unpack_deb(struct deb *d, const vh__wait *w, vh_error *err)
{
    struct archive_entry *e;
    int rc;

    if (!d->outer || !d->inner)
        return vh_error_set(err, -ENOMEM, "unpack %s", d->path);
    archive_read_support_format_ar(d->outer);     /* cannot fail but for want of memory, which the next call tells */
    archive_read_support_filter_all(d->inner);    /* as above */
    archive_read_support_format_tar(d->inner);    /* as above */
    if (archive_read_open_filename(d->outer, d->path, 1 << 16) != ARCHIVE_OK)
        return vh__archive_error(d->outer, d->path, err);
    while ((rc = archive_read_next_header(d->outer, &e)) == ARCHIVE_OK) {
        const char *name = archive_entry_pathname(e);

        if (name && strncmp(name, "data.tar", 8) == 0)
            return unpack_entries(d, w, err);
    }
    if (rc == ARCHIVE_EOF)
        return vh_error_set(err, VH_ECORRUPT, "%s: no Debian package: it has no data.tar", d->path);
    return vh__archive_error(d->outer, d->path, err);
}

int vh__deb_unpack(const char *deb, const char *to, const vh__wait *w, char release[VH_GUEST_RELEASE], vh_error *err)
{
    struct deb d = { .path = deb, .to = to, .release = release };
    int rc;

    release[0] = '\0';
    d.outer = archive_read_new();
    d.inner = archive_read_new();
    rc = unpack_deb(&d, w, err);
    archive_read_free(d.inner); /* were only read; NULL is fine */
    archive_read_free(d.outer);
    return rc;
}
