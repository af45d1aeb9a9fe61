#include "guest_priv.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "path.h"

#define MODULE_MAX (64 << 20)
#define DEPTH_MAX  16

void vh__kmods_free(vh__kmods *mods)
{
    for (size_t i = 0; i < mods->n; i++) {
        free(mods->v[i].path);
        vh__buf_fini(&mods->v[i].data);
    }
    mods->n = 0;
}

/* "virtio-rng.ko.xz" -> "virtio_rng". False when |file| is no module, or its name is too long to be one. */
static bool module_name(const char *file, char name[static 56])
{
    size_t n = strcspn(file, ".");

    if (strncmp(file + n, ".ko", 3) != 0 || (file[n + 3] != '\0' && file[n + 3] != '.') || n == 0 || n >= 56)
        return false;
    for (size_t i = 0; i < n; i++)
        name[i] = file[i] == '-' ? '_' : file[i];
    name[n] = '\0';
    return true;
}

/* Where each module of a folder lies: found in one walk, since a kernel may have thousands. */
struct index {
    size_t n, cap;
    struct entry {
        char name[56];
        char *path;
    } *v;
};

static void index_fini(struct index *x)
{
    for (size_t i = 0; i < x->n; i++)
        free(x->v[i].path);
    free(x->v);
}

static int index_add(struct index *x, const char *dir, const char *file, vh_error *err)
{
    char name[56];

    if (!module_name(file, name))
        return 0;
    if (x->n == x->cap) {
        size_t cap = x->cap ? x->cap * 2 : 32;
        struct entry *grown = realloc(x->v, cap * sizeof(*grown));

        if (!grown)
            return vh_error_set(err, -ENOMEM, "list of modules");
        x->v = grown;
        x->cap = cap;
    }
    x->v[x->n].path = vh__path_join(dir, file);
    if (!x->v[x->n].path)
        return vh_error_set(err, -ENOMEM, "list of modules");
    memcpy(x->v[x->n++].name, name, sizeof(name));
    return 0;
}

static int index_walk(struct index *x, const char *path, unsigned depth, vh_error *err)
{
    vh_auto_dir DIR *dir = opendir(path);
    struct dirent *e;
    int rc = 0;

    if (!dir)
        return vh_error_set(err, -errno, "kernel modules: open %s", path);
    while (rc == 0 && (errno = 0, e = readdir(dir))) {
        if (e->d_name[0] == '.')
            continue;
        if (e->d_type == DT_DIR && depth > 0) {
            vh_auto_free char *sub = vh__path_join(path, e->d_name);

            rc = sub ? index_walk(x, sub, depth - 1, err) : vh_error_set(err, -ENOMEM, "list of modules");
        } else if (e->d_type == DT_REG) {
            rc = index_add(x, path, e->d_name, err);
        }
    }
    return rc;
}

/* Reads the whole of a file that may be compressed. */
static int read_all(struct archive *a, const char *path, vh__buf *out, vh_error *err)
{
    struct archive_entry *entry;
    ssize_t got = 1;

    if (archive_read_open_filename(a, path, 1 << 16) != ARCHIVE_OK ||
        archive_read_next_header(a, &entry) != ARCHIVE_OK)
        return vh__archive_error(a, path, err);
    while (got > 0) {
        void *to = vh__buf_reserve(out, 1 << 17);

        if (!to)
            return vh__buf_check(out, path, err);
        if (out->len > MODULE_MAX)
            return vh_error_set(err, VH_ELIMIT, "%s: a module of more than %d bytes", path, MODULE_MAX);
        got = archive_read_data(a, to, 1 << 17);
        if (got > 0)
            out->len += (size_t)got;
    }
    return got < 0 ? vh__archive_error(a, path, err) : 0;
}

static int read_module(vh__kmod *m, vh_error *err)
{
    struct archive *a = archive_read_new();
    int rc;

    if (!a)
        return vh_error_set(err, -ENOMEM, "read %s", m->path);
    archive_read_support_filter_all(a); /* a warning means that some filter needs a program; none of ours does */
    archive_read_support_format_raw(a); /* as above */
    rc = read_all(a, m->path, &m->data, err);
    archive_read_free(a); /* was only read */
    return rc;
}

static bool loaded(const vh__kmods *mods, const char *name)
{
    for (size_t i = 0; i < mods->n; i++)
        if (strcmp(mods->v[i].name, name) == 0)
            return true;
    return false;
}

static const char *index_path(const struct index *x, const char *name)
{
    for (size_t i = 0; i < x->n; i++)
        if (strcmp(x->v[i].name, name) == 0)
            return x->v[i].path;
    return NULL;
}

static int load(const struct index *x, const char *name, unsigned depth, vh__kmods *mods, vh_error *err);

/* Loads the comma-separated |depends| of |of|. */
static int load_depends(const struct index *x, const char *depends, const char *of, unsigned depth, vh__kmods *mods,
                        vh_error *err)
{
    vh_auto_free char *list = strdup(depends);
    char *save = NULL;
    int rc = 0;

    if (!list)
        return vh_error_set(err, -ENOMEM, "list of modules");
    for (char *dep = strtok_r(list, ",", &save); dep && rc == 0; dep = strtok_r(NULL, ",", &save)) {
        for (char *p = dep; *p; p++)
            *p = *p == '-' ? '_' : *p;
        if (!index_path(x, dep))
            return vh_error_set(err, VH_ECORRUPT, "kernel module %s needs %s, which is not there", of, dep);
        rc = load(x, dep, depth, mods, err);
    }
    return rc;
}

/* Loads |name| behind its dependencies. |depth| bounds a chain, which is how a cycle ends. */
static int load(const struct index *x, const char *name, unsigned depth, vh__kmods *mods, vh_error *err)
{
    vh__kmod m = { 0 };
    const char *depends;
    int rc;

    if (loaded(mods, name))
        return 0;
    if (depth == 0)
        return vh_error_set(err, VH_EINVALID, "kernel module %s: dependencies go in a circle", name);
    strncpy(m.name, name, sizeof(m.name) - 1);
    m.path = strdup(index_path(x, name));
    if (!m.path)
        return vh_error_set(err, -ENOMEM, "kernel module %s", name);
    rc = read_module(&m, err);
    if (rc == 0 && (rc = vh__modinfo_get(m.data.data, m.data.len, "depends", &depends, err)) != 0)
        rc = vh_error_wrap(err, rc, "%s", m.path);
    if (rc == 0)
        rc = load_depends(x, depends, name, depth - 1, mods, err);
    if (rc == 0 && mods->n == VH_KMODS_MAX)
        rc = vh_error_set(err, VH_ELIMIT, "more than %d kernel modules", VH_KMODS_MAX);
    if (rc) {
        free(m.path);
        vh__buf_fini(&m.data);
        return rc;
    }
    mods->v[mods->n++] = m;
    return 0;
}

int vh__kmods_load(const char *dir, const char *const *wanted, vh__kmods *mods, vh_error *err)
{
    struct index x = { 0 };
    int rc = index_walk(&x, dir, DEPTH_MAX, err);

    for (; rc == 0 && *wanted; wanted++)
        if (index_path(&x, *wanted))
            rc = load(&x, *wanted, DEPTH_MAX, mods, err);
    index_fini(&x);
    return rc;
}
