#include <vhive/snapshot.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "catalogue_priv.h"
#include "chunks_priv.h"

#define VERIFY_MS 300000

static int compare_chunk(const vh__chunk *c, void *arg, vh_error *err)
{
    const char *const *digests = arg;

    if (strcmp(digests[c->index], c->bytes ? c->digest : "zero") == 0)
        return 0;
    return vh_error_set(err, VH_ECORRUPT, "memory: the content of bytes %llu to %llu is not what was saved",
                        (unsigned long long)c->off, (unsigned long long)(c->off + c->len - 1));
}

static int verify_memory(int dir, const vh__manifest *m, const vh__wait *w, vh_error *err)
{
    vh_auto_free const char **digests = calloc(vh__chunks_count(m->info.memory_bytes), sizeof(*digests));
    vh_auto_fd int fd = -1;
    const cJSON *c;
    struct stat st;
    size_t i = 0;
    int rc;

    if (!digests)
        return vh_error_set(err, -ENOMEM, "verify memory");
    cJSON_ArrayForEach(c, m->chunks)
        digests[i++] = c->valuestring;
    rc = vh__snapshot_file_open(dir, "memory", &fd, &st, err);
    return rc ? rc : vh__chunks_each(fd, m->info.memory_bytes, "memory", w, compare_chunk, digests, err);
}

static int verify_vmstate(int dir, const vh__manifest *m, vh_error *err)
{
    vh_auto_fd int fd = -1;
    struct stat st;
    int rc = vh__snapshot_file_open(dir, "vmstate", &fd, &st, err);

    return rc ? rc : vh__snapshot_check_vmstate(fd, m, err);
}

int vh_snapshots_verify(vh_snapshots *snapshots, const char *ref, const vh_call *call, vh_error *err)
{
    vh__wait w = vh__wait_from(call, VERIFY_MS);
    vh_auto_manifest vh__manifest m = { 0 };
    vh_auto_fd int dir = -1;
    char name[VH_SNAPSHOT_ID];
    int rc = vh__snapshot_resolve(snapshots, ref, name, err);

    if (rc)
        return rc;
    dir = vh__snapshot_dir_lock(snapshots, name, LOCK_SH); /* so that it is not removed meanwhile */
    if (dir < 0)
        return vh_error_set(err, dir == -EWOULDBLOCK ? VH_ESTATE : dir == -ENOENT ? VH_ENOTFOUND : dir,
                            "snapshot %s: it is being saved or removed", name);
    rc = vh__snapshot_load(dir, name, &m, err);
    if (rc == 0)
        rc = verify_vmstate(dir, &m, err);
    if (rc == 0)
        rc = verify_memory(dir, &m, &w, err);
    if (rc == 0)
        rc = vh__snapshot_check_ws(dir, &m, &w, err);
    return rc ? vh__snapshot_blame(name, rc, err) : 0;
}
