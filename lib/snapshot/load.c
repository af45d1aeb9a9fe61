#include "catalogue_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

int vh__snapshot_blame(const char *name, int rc, vh_error *err)
{
    vh_error cause;

    if (!err)
        return rc;
    if (rc != VH_ECORRUPT && rc != VH_EUNSUPPORTED)
        return vh_error_wrap(err, rc, "snapshot %s", name);
    cause = *err;
    return vh_error_set(err, rc, "snapshot %s: %s; remove it with `vhive-ctl snapshot rm %s`, it is made anew on the "
                                 "next run", name, cause.msg, name);
}

/* Compares the size of a file with what the manifest says and tells what it takes on disk. */
static int check_size(int dir, const char *file, uint64_t want, uint64_t *on_disk, vh_error *err)
{
    struct stat st;

    if (fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
        return vh_error_set(err, VH_ECORRUPT, "%s: it is missing or not a regular file", file);
    if ((uint64_t)st.st_size != want)
        return vh_error_set(err, VH_ECORRUPT, "%s: it has %llu bytes, %llu were saved", file,
                            (unsigned long long)st.st_size, (unsigned long long)want);
    *on_disk = (uint64_t)st.st_blocks * 512;
    return 0;
}

static int check_name(const char *name, const vh__manifest *m, vh_error *err)
{
    char id[VH_SNAPSHOT_ID];

    vh__snapshot_id_of(m->key, id);
    if (strcmp(name + (strncmp(name, "bad-", 4) == 0 ? 4 : 0), id) != 0)
        return vh_error_set(err, VH_ECORRUPT, "manifest.json: it is of snapshot %s", id);
    return 0;
}

int vh__snapshot_load(int dir, const char *name, vh__manifest *m, vh_error *err)
{
    vh_auto_manifest vh__manifest made = { 0 };
    vh_auto_buf vh__buf text = { 0 };
    uint64_t ignored;
    int rc = vh__snapshot_file_read(dir, "manifest.json", VH_MANIFEST_MAX, &text, err);

    if (rc == 0)
        rc = vh__manifest_parse(text.data, text.len, &made, err);
    if (rc == 0)
        rc = check_name(name, &made, err);
    if (rc == 0)
        rc = check_size(dir, "memory", made.info.memory_bytes, &made.info.memory_disk_bytes, err);
    if (rc == 0)
        rc = check_size(dir, "vmstate", made.info.vmstate_bytes, &ignored, err);
    if (rc)
        return rc;
    *m = made;
    made = (vh__manifest){ 0 };
    return 0;
}

int vh__snapshot_check_vmstate(int fd, const vh__manifest *m, vh_error *err)
{
    char digest[VH_DIGEST_TEXT];
    int rc = vh__digest_fd(fd, "vmstate", digest, err);

    if (rc == 0 && strcmp(digest, m->vmstate_digest) != 0)
        return vh_error_set(err, VH_ECORRUPT, "vmstate: its content is not what was saved");
    return rc;
}
