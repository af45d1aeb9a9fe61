#include "snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>

#include "catalogue_priv.h"
#include "chunks_priv.h"
#include "clock.h"
#include "fd.h"
#include "log.h"

/* How often a lock that another one holds is tried: saving takes hundreds of milliseconds. */
#define LOCK_POLL_MS 5

struct vh__snapshot_draft {
    vh_snapshots *s; /* borrowed */
    cJSON *identity;
    char key[VH_DIGEST_TEXT], id[VH_SNAPSHOT_ID];
    char name[VH_SNAPSHOT_ID + 8]; /* the directory's until it is published */
    int dir_fd;                    /* that, locked */
    int vmstate_fd, memory_fd;
    uint64_t memory_bytes; /* 0: none saved */
    char (*chunks)[VH_DIGEST_TEXT];
    bool again; /* one that is there already is replaced */
    bool published;
};

int vh__snapshot_draft_vmstate_fd(const vh__snapshot_draft *draft)
{
    return draft->vmstate_fd;
}

/* Of the draft, or of the snapshot that it replaced: whichever bears the draft's name. */
static void discard(const vh__snapshot_draft *d)
{
    if (vh__snapshot_dir_discard(d->s, d->name, NULL))
        vh__log(d->s->env, VH_LOG_WARN, "snapshot", NULL, "%s/%s is left behind; the next program removes it",
                d->s->path, d->name);
}

void vh__snapshot_draft_abort(vh__snapshot_draft *draft)
{
    if (!draft)
        return;
    if (draft->dir_fd >= 0 && !draft->published)
        discard(draft);
    vh__fd_close(&draft->memory_fd);
    vh__fd_close(&draft->vmstate_fd);
    vh__fd_close(&draft->dir_fd); /* the lock, last: until here the files are ours */
    cJSON_Delete(draft->identity);
    free(draft->chunks);
    free(draft);
}

static int draft_new(vh_snapshots *s, const cJSON *identity, bool again, vh__snapshot_draft **out, vh_error *err)
{
    char key[VH_DIGEST_TEXT];
    int rc = vh__snapshot_key(identity, key, err);
    vh__snapshot_draft *d = rc ? NULL : calloc(1, sizeof(*d));

    if (rc)
        return rc;
    if (d)
        d->identity = cJSON_Duplicate(identity, true);
    if (!d || !d->identity) {
        free(d);
        return vh_error_set(err, -ENOMEM, "draft of a snapshot");
    }
    d->s = s;
    d->again = again;
    d->dir_fd = d->vmstate_fd = d->memory_fd = -1;
    memcpy(d->key, key, sizeof(key));
    vh__snapshot_id_of(key, d->id);
    strcat(strcpy(d->name, ".new-"), d->id);
    *out = d;
    return 0;
}

/*
 * Makes the draft's directory and locks it; 0 with |d->dir_fd| still -1: another one has it. A directory that can be
 * locked but was there before is of a dead maker: it is cleared away and the next attempt makes a new one.
 */
static int try_lock(vh__snapshot_draft *d, vh_error *err)
{
    bool made = mkdirat(d->s->dir_fd, d->name, 0700) == 0;
    vh_auto_fd int fd = -1;

    if (!made && errno != EEXIST)
        return vh_error_set(err, -errno, "make %s/%s", d->s->path, d->name);
    fd = vh__snapshot_dir_lock(d->s, d->name, LOCK_EX);
    if (fd == -EWOULDBLOCK || fd == -ENOENT)
        return 0;
    if (fd < 0)
        return vh_error_set(err, fd, "lock %s/%s", d->s->path, d->name);
    if (!made)
        return vh__snapshot_dir_discard(d->s, d->name, err);
    d->dir_fd = vh_steal_fd(&fd);
    return 0;
}

/* Whether it is published is asked once more after locking: the other one may have done it in between. */
static int lock_or_find(vh__snapshot_draft *d, const vh__wait *w, vh_error *err)
{
    for (;;) {
        int rc;

        if (!d->again && vh__snapshot_dir_exists(d->s, d->id))
            return vh_error_set(err, VH_EEXISTS, "snapshot %s: it is there already", d->id);
        if (d->dir_fd >= 0)
            return 0;
        rc = try_lock(d, err);
        if (rc == 0 && d->dir_fd < 0)
            rc = vh__wait_sleep(w, LOCK_POLL_MS, "snapshot that another run is saving", err);
        if (rc)
            return rc;
    }
}

static int create_file(vh__snapshot_draft *d, const char *name, int *fd, vh_error *err)
{
    *fd = openat(d->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return *fd < 0 ? vh_error_set(err, -errno, "create %s/%s/%s", d->s->path, d->name, name) : 0;
}

/* Keeps VMs, which open its memory by its name, from the snapshot that is to be replaced. |*fd| < 0: there is none. */
static int lock_old(const vh__snapshot_draft *d, int *fd, vh_error *err)
{
    int held = vh__snapshot_dir_lock(d->s, d->id, LOCK_EX);

    if (held == -EWOULDBLOCK)
        return vh_error_set(err, VH_ESTATE, "snapshot %s: a VM or another command uses it; stop that first", d->id);
    if (held < 0 && held != -ENOENT)
        return vh_error_set(err, held, "lock %s/%s", d->s->path, d->id);
    *fd = held;
    return 0;
}

/* Told before there is any work in it. */
static int check_replaceable(const vh__snapshot_draft *d, vh_error *err)
{
    vh_auto_fd int old = -1;

    return d->again ? lock_old(d, &old, err) : 0;
}

int vh__snapshot_draft_begin(vh_snapshots *s, const cJSON *identity, bool again, const vh__wait *w,
                             vh__snapshot_draft **draft, vh_error *err)
{
    vh__snapshot_draft *d = NULL;
    int rc = draft_new(s, identity, again, &d, err);

    if (rc)
        return rc;
    rc = lock_or_find(d, w, err);
    if (rc == 0)
        rc = check_replaceable(d, err);
    if (rc == 0)
        rc = create_file(d, "vmstate", &d->vmstate_fd, err);
    if (rc == 0)
        rc = create_file(d, "memory", &d->memory_fd, err);
    if (rc) {
        vh__snapshot_draft_abort(d);
        return rc;
    }
    *draft = d;
    return 0;
}

/* Puts the remedy for a full disk in front of the message. */
static int explain(const vh__snapshot_draft *d, int rc, vh_error *err)
{
    if (rc != -ENOSPC && rc != -EDQUOT && rc != -EFBIG)
        return rc;
    return vh_error_wrap(err, rc, "save snapshot %s: no room below %s (`vhive-ctl snapshot ls` and `rm` make some)", d->id,
                         d->s->path);
}

/* More than a VMM's state, without the memory, has ever taken. */
#define VMSTATE_ROOM (1U << 20)

int vh__snapshot_draft_explain(const vh__snapshot_draft *draft, int rc, vh_error *err)
{
    struct statvfs fs;

    if (rc == VH_EVMM && fstatvfs(draft->dir_fd, &fs) == 0 && fs.f_bavail * fs.f_frsize < VMSTATE_ROOM)
        rc = -ENOSPC;
    return explain(draft, rc, err);
}

/* Writes what is not zero of a chunk, in runs of pages, and has it on its way to the disk. */
static int store_chunk(const vh__chunk *c, void *arg, vh_error *err)
{
    vh__snapshot_draft *d = arg;
    size_t at = 0;

    memcpy(d->chunks[c->index], c->digest, strlen(c->digest) + 1);
    while (c->bytes && at < c->len) {
        size_t end = at;
        int rc = 0;

        while (end < c->len && !vh__chunks_zero(c->bytes + end, VH_CHUNK_PAGE))
            end += VH_CHUNK_PAGE;
        if (end > at)
            rc = vh__fd_pwrite_full(d->memory_fd, c->bytes + at, end - at, c->off + at, "memory", err);
        if (rc)
            return rc;
        at = end + VH_CHUNK_PAGE; /* the page at |end| is zero, or there is none */
    }
    if (c->bytes)
        (void)sync_file_range(d->memory_fd, (off_t)c->off, (off_t)c->len, SYNC_FILE_RANGE_WRITE); /* a mere hint */
    return 0;
}

int vh__snapshot_draft_save_memory(vh__snapshot_draft *draft, int memfd, uint64_t size, const vh__wait *w,
                                   vh_error *err)
{
    int rc;

    if (size == 0 || size % VH_CHUNK_PAGE || size > VH_SNAPSHOT_MEMORY_MAX)
        return vh_error_set(err, VH_EINVALID,
                            "guest memory of %llu bytes cannot be saved: a multiple of %u up to %llu can",
                            (unsigned long long)size, VH_CHUNK_PAGE, (unsigned long long)VH_SNAPSHOT_MEMORY_MAX);
    if (draft->chunks)
        return vh_error_set(err, VH_ESTATE, "snapshot %s: its memory was saved already", draft->id);
    draft->chunks = calloc(vh__chunks_count(size), sizeof(*draft->chunks));
    if (!draft->chunks)
        return vh_error_set(err, -ENOMEM, "save memory of %llu bytes", (unsigned long long)size);
    if (ftruncate(draft->memory_fd, (off_t)size) < 0)
        return explain(draft, vh_error_set(err, -errno, "size memory"), err);
    rc = vh__chunks_each(memfd, size, "guest memory", w, store_chunk, draft, err);
    if (rc)
        return explain(draft, rc, err);
    draft->memory_bytes = size;
    return 0;
}

static int write_manifest(vh__snapshot_draft *d, const vh__snapshot_facts *facts, uint64_t vmstate_bytes, vh_error *err)
{
    char vmstate[VH_DIGEST_TEXT];
    vh__manifest_content c = { .key = d->key,
                               .identity = d->identity,
                               .created_ns = vh__clock_real_ns(),
                               .memory_bytes = d->memory_bytes,
                               .chunks = (const char(*)[VH_DIGEST_TEXT])d->chunks,
                               .vmstate_bytes = vmstate_bytes,
                               .vmstate_digest = vmstate };
    vh_auto_buf vh__buf text = { 0 };
    vh_auto_fd int fd = -1;
    int rc = vh__digest_fd(d->vmstate_fd, "vmstate", vmstate, err);

    if (rc == 0)
        rc = vh__manifest_print(&c, facts, &text, err);
    if (rc == 0)
        rc = create_file(d, "manifest.json", &fd, err);
    if (rc == 0)
        rc = vh__fd_pwrite_full(fd, text.data, text.len, 0, "manifest.json", err);
    if (rc == 0 && fsync(fd) < 0)
        rc = vh_error_set(err, -errno, "sync manifest.json");
    return rc;
}

/* Everything is on the disk before the name is, so that a name never stands for a part. */
static int put_in_place(vh__snapshot_draft *d, vh_error *err)
{
    vh_auto_fd int old = -1;
    int rc = d->again ? lock_old(d, &old, err) : 0;

    if (rc)
        return rc;
    if (fsync(d->dir_fd) < 0)
        return vh_error_set(err, -errno, "sync %s/%s", d->s->path, d->name);
    if (renameat2(d->s->dir_fd, d->name, d->s->dir_fd, d->id, old >= 0 ? RENAME_EXCHANGE : 0) < 0)
        return vh_error_set(err, -errno, "rename %s/%s to %s", d->s->path, d->name, d->id);
    d->published = true;
    vh__fd_close(&d->dir_fd); /* unlocks it for those who open it */
    if (fsync(d->s->dir_fd) < 0)
        return vh_error_set(err, -errno, "sync %s", d->s->path);
    if (old >= 0)
        discard(d);
    return 0;
}

int vh__snapshot_draft_publish(vh__snapshot_draft *draft, const vh__snapshot_facts *facts, const char *label,
                               char id[VH_SNAPSHOT_ID], vh_error *err)
{
    struct stat st;
    int rc = 0;

    if (draft->published || draft->memory_bytes == 0 || fstat(draft->vmstate_fd, &st) < 0 || st.st_size == 0)
        return vh_error_set(err, VH_ESTATE, "snapshot %s: its memory and VMM state are not both saved", draft->id);
    if (label && !vh__snapshot_label_valid(label))
        return vh_error_set(err, VH_EINVALID, VH_SNAPSHOT_LABEL_RULE, label);
    if (fsync(draft->vmstate_fd) < 0 || fsync(draft->memory_fd) < 0)
        rc = vh_error_set(err, -errno, "sync memory");
    if (rc == 0)
        rc = write_manifest(draft, facts, (uint64_t)st.st_size, err);
    if (rc == 0)
        rc = put_in_place(draft, err);
    if (rc)
        return explain(draft, rc, err);
    memcpy(id, draft->id, sizeof(draft->id));
    vh__log(draft->s->env, VH_LOG_INFO, "snapshot", NULL, "saved %s of %s", draft->id, facts->image);
    return label ? vh__label_set(draft->s, label, draft->id, err) : 0;
}
