#include "catalogue_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEX   "0123456789abcdef"
#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static const char *past_bad(const char *name)
{
    return strncmp(name, "bad-", 4) == 0 ? name + 4 : name;
}

bool vh__snapshot_name_valid(const char *name)
{
    const char *id = past_bad(name);

    return strspn(id, HEX) == VH_SNAPSHOT_ID_DIGITS && id[VH_SNAPSHOT_ID_DIGITS] == '\0';
}

bool vh__snapshot_label_valid(const char *name)
{
    size_t n = strspn(name, ALNUM "._-");

    return n > 0 && n < VH_SNAPSHOT_LABEL && name[n] == '\0' && name[0] != '.' && !vh__snapshot_name_valid(name);
}

void vh__snapshot_id_of(const char *key, char id[VH_SNAPSHOT_ID])
{
    memcpy(id, key + strlen("sha256:"), VH_SNAPSHOT_ID_DIGITS);
    id[VH_SNAPSHOT_ID_DIGITS] = '\0';
}

void vh__names_fini(vh__names *names)
{
    free(names->v);
    *names = (vh__names){ 0 };
}

static int add_name(vh__names *names, size_t *cap, const char *name, vh_error *err)
{
    if (names->n == *cap) {
        size_t more = *cap ? *cap * 2 : 16;
        void *v = realloc(names->v, more * sizeof(*names->v));

        if (!v)
            return vh_error_set(err, -ENOMEM, "list of snapshots");
        names->v = v;
        *cap = more;
    }
    strcpy(names->v[names->n++], name);
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

int vh__names_read(const vh_snapshots *s, vh__names *names, vh_error *err)
{
    vh_auto_dir DIR *dir = vh__snapshot_dir_list(s->dir_fd);
    struct dirent *e;
    size_t cap = 0;
    int rc = 0;

    if (!dir)
        return vh_error_set(err, -errno, "read %s", s->path);
    while (rc == 0 && (e = readdir(dir)))
        if (vh__snapshot_name_valid(e->d_name))
            rc = add_name(names, &cap, e->d_name, err);
    if (names->n)
        qsort(names->v, names->n, sizeof(*names->v), by_text);
    return rc;
}

/* The one snapshot whose id begins with |prefix|. */
static int by_prefix(const vh_snapshots *s, const char *prefix, char name[VH_SNAPSHOT_ID], vh_error *err)
{
    vh_auto_names vh__names names = { 0 };
    size_t n = strlen(prefix), found = 0;
    int rc = vh__names_read(s, &names, err);

    if (rc)
        return rc;
    for (size_t i = 0; i < names.n; i++)
        if (strncmp(names.v[i], prefix, n) == 0 && found++ == 0)
            strcpy(name, names.v[i]);
    if (found > 1)
        return vh_error_set(err, VH_EINVALID, "snapshot %s: %zu ids begin with it; give more digits", prefix, found);
    return found ? 0 : -ENOENT;
}

int vh__snapshot_resolve(vh_snapshots *s, const char *ref, char name[VH_SNAPSHOT_ID], vh_error *err)
{
    const char *digits = past_bad(ref);
    int rc = -ENOENT;

    if (vh__snapshot_name_valid(ref)) {
        strcpy(name, ref);
        rc = vh__snapshot_dir_exists(s, name) ? 0 : -ENOENT;
    } else {
        if (vh__snapshot_label_valid(ref))
            rc = vh__label_get(s, ref, name);
        if (rc == -ENOENT && strspn(digits, HEX) >= 4 && strspn(digits, HEX) == strlen(digits))
            rc = by_prefix(s, ref, name, err);
    }
    if (rc == -ENOENT)
        return vh_error_set(err, VH_ENOTFOUND, "snapshot %s: no such id or label; `vhive-ctl snapshot ls` lists them", ref);
    return rc;
}

int vh__snapshot_resolve_dir(vh_snapshots *s, const char *ref, char name[VH_SNAPSHOT_ID], int *dir, vh_error *err)
{
    int rc = vh__snapshot_resolve(s, ref, name, err), fd;

    if (rc)
        return rc;
    fd = vh__snapshot_dir_open(s, name);
    if (fd < 0)
        return vh_error_set(err, fd, "open %s/%s", s->path, name);
    *dir = fd;
    return 0;
}
