#include "guest_priv.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* An archive that is being written, and the number of the next entry. Times and owners are 0 throughout. */
struct cpio {
    struct archive *a;
    struct archive_entry *entry;
    int64_t ino;
    const char *what;
};

static int put(struct cpio *c, const char *name, mode_t mode, const void *bytes, size_t n, vh_error *err)
{
    struct archive_entry *e = archive_entry_clear(c->entry);

    archive_entry_set_pathname(e, name);
    archive_entry_set_mode(e, mode);
    archive_entry_set_ino64(e, ++c->ino);
    archive_entry_set_nlink(e, 1);
    archive_entry_set_size(e, (int64_t)n);
    if (S_ISCHR(mode))
        archive_entry_set_rdev(e, makedev(5, 1)); /* the only device is the console */
    if (archive_write_header(c->a, e) != ARCHIVE_OK || (n && archive_write_data(c->a, bytes, n) != (la_ssize_t)n))
        return vh__archive_error(c->a, c->what, err);
    return 0;
}

static int put_modules(struct cpio *c, const vh__kmods *mods, vh_error *err)
{
    vh_auto_buf vh__buf list = { 0 };
    int rc = put(c, "modules", S_IFDIR | 0755, NULL, 0, err);
    char name[80];

    for (size_t i = 0; i < mods->n && rc == 0; i++) {
        snprintf(name, sizeof(name), "modules/%s.ko", mods->v[i].name);
        vh__buf_printf(&list, "/%s\n", name);
        rc = put(c, name, S_IFREG | 0644, mods->v[i].data.data, mods->v[i].data.len, err);
    }
    if (rc == 0)
        rc = vh__buf_check(&list, c->what, err);
    return rc ? rc : put(c, "modules.list", S_IFREG | 0644, list.data, list.len, err);
}

static int put_all(struct cpio *c, const vh__buf *agent, const vh__kmods *mods, vh_error *err)
{
    int rc = put(c, "dev", S_IFDIR | 0755, NULL, 0, err);

    if (rc == 0) /* the kernel opens it for its first process, before there is a devtmpfs */
        rc = put(c, "dev/console", S_IFCHR | 0600, NULL, 0, err);
    if (rc == 0)
        rc = put(c, "init", S_IFREG | 0755, agent->data, agent->len, err);
    return rc || mods->n == 0 ? rc : put_modules(c, mods, err);
}

static int write_archive(struct cpio *c, const vh__buf *agent, const vh__kmods *mods, vh_error *err)
{
    int rc;

    if (!c->a || !c->entry)
        return vh_error_set(err, -ENOMEM, "%s", c->what);
    if (archive_write_set_format_cpio_newc(c->a) != ARCHIVE_OK ||
        archive_write_open_filename(c->a, c->what) != ARCHIVE_OK)
        return vh__archive_error(c->a, c->what, err);
    rc = put_all(c, agent, mods, err);
    if (rc == 0 && archive_write_close(c->a) != ARCHIVE_OK)
        rc = vh__archive_error(c->a, c->what, err);
    return rc;
}

int vh__initramfs_write(const char *path, const vh__buf *agent, const vh__kmods *mods, vh_error *err)
{
    struct cpio c = { .a = archive_write_new(), .entry = archive_entry_new(), .what = path };
    int rc = write_archive(&c, agent, mods, err);

    archive_entry_free(c.entry);
    if (c.a)
        archive_write_free(c.a); /* closed above where that matters */
    return rc;
}
