#include "layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auto.h"

enum { CHUNK = 1 << 17, BLOCK = 512 };

/* Two libarchive readers in a row, so that the tar stream can be hashed between them: blob -> |raw| (decompression)
 * -> |tar|. What goes wrong in a callback of theirs is kept in |error|, for they pass on no more than "failed". */
struct vh__layer {
    int fd;
    const vh__oci_descriptor *blob;
    const char *diff_id;
    vh__budget *budget;
    const vh__wait *wait;
    struct archive *raw, *tar;
    struct archive_entry *entry; /* current, owned by |tar| */
    vh__digest *blob_digest, *tar_digest;
    uint64_t blob_bytes, tar_bytes; /* read so far */
    uint64_t entry_size;            /* of the current file's data, as its header has it */
    char *chunk;
    int64_t at, piece_at; /* in the current file's data: handed out so far; start of |piece| */
    const void *piece;    /* behind the hole that is handed out first */
    size_t piece_n;
    bool data_ended, padded;
    vh_error error;
};

/* Hands on what a callback met. */
static int pass_on(const vh__layer *l, vh_error *err)
{
    if (err)
        *err = l->error;
    return l->error.code;
}

/* One piece of the blob, hashed. Returns its length, 0 at the end, or -1 with |l->error|. */
static ssize_t read_blob(vh__layer *l)
{
    uint64_t left = l->blob->size - l->blob_bytes;
    ssize_t got;

    if (vh__wait_check(l->wait, "convert image", &l->error))
        return -1;
    do
        got = read(l->fd, l->chunk, VH_MIN(left, CHUNK));
    while (got < 0 && errno == EINTR);
    if (got < 0) {
        (void)vh_error_set(&l->error, -errno, "read its blob");
        return -1;
    }
    if (got == 0 && left > 0) {
        (void)vh_error_set(&l->error, VH_ECORRUPT, "its blob ends after %llu of %llu bytes: fetch the image again",
                           (unsigned long long)l->blob_bytes, (unsigned long long)l->blob->size);
        return -1;
    }
    if (vh__digest_update(l->blob_digest, l->chunk, (size_t)got, &l->error))
        return -1;
    l->blob_bytes += (uint64_t)got;
    return got;
}

static la_ssize_t on_raw_read(struct archive *a, void *arg, const void **bytes)
{
    vh__layer *l = arg;
    ssize_t n = read_blob(l);

    if (n < 0)
        archive_set_error(a, EIO, "%s", l->error.msg);
    *bytes = l->chunk;
    return n;
}

/* Charges |n| bytes to the image; -1 with |l->error| when it has had enough. */
static int charge(vh__layer *l, uint64_t n)
{
    vh__budget *b = l->budget;

    if (n <= b->max_bytes - b->bytes) {
        b->bytes += n;
        return 0;
    }
    (void)vh_error_set(&l->error, VH_ELIMIT, "unpacked, the image has more than %llu bytes: raise image.max_bytes",
                       (unsigned long long)b->max_bytes);
    return -1;
}

static int raw_failure(vh__layer *l)
{
    if (l->error.code == 0)
        (void)vh_error_set(&l->error, archive_errno(l->raw) == ENOMEM ? -ENOMEM : VH_ECORRUPT,
                           "decompression: %s", archive_error_string(l->raw));
    return -1;
}

/* One piece of the tar stream, hashed. Returns its length, 0 at the end, or -1 with |l->error|. */
static la_ssize_t read_tar(vh__layer *l, const void **bytes)
{
    la_int64_t off;
    size_t n = 0;
    int rc;

    do
        rc = archive_read_data_block(l->raw, bytes, &n, &off);
    while (rc == ARCHIVE_OK && n == 0);
    if (rc == ARCHIVE_EOF)
        return 0;
    if (rc != ARCHIVE_OK)
        return raw_failure(l);
    if (charge(l, n) || vh__digest_update(l->tar_digest, *bytes, n, &l->error))
        return -1;
    l->tar_bytes += n;
    return (la_ssize_t)n;
}

/*
 * A tar stream is a number of whole blocks, and files are padded to them; umoci insert leaves that out behind the last
 * one, and other tools do not mind. Headers being whole blocks, the stream ends where that file's data does if both
 * have the same remainder: then the padding is made up for. A file that is cut has another, or lacks more.
 */
static la_ssize_t missing_padding(vh__layer *l, const void **bytes)
{
    static const char zeros[BLOCK];
    size_t over = (size_t)(l->tar_bytes % BLOCK);

    if (over == 0 || l->padded || over != l->entry_size % BLOCK)
        return 0;
    l->padded = true;
    *bytes = zeros;
    return (la_ssize_t)(BLOCK - over);
}

static la_ssize_t on_tar_read(struct archive *a, void *arg, const void **bytes)
{
    vh__layer *l = arg;
    la_ssize_t n = read_tar(l, bytes);

    if (n < 0)
        archive_set_error(a, EIO, "%s", l->error.msg);
    return n ? n : missing_padding(l, bytes);
}

static int filter_of(vh__oci_kind kind)
{
    return kind == VH_OCI_TAR_GZIP   ? ARCHIVE_FILTER_GZIP
           : kind == VH_OCI_TAR_ZSTD ? ARCHIVE_FILTER_ZSTD
                                     : ARCHIVE_FILTER_NONE;
}

/* The media type decides on the decompression: nothing is guessed from a stranger's bytes. */
static int start_raw(vh__layer *l, vh_error *err)
{
    struct archive_entry *whole;
    int rc;

    if (archive_read_support_format_raw(l->raw) != ARCHIVE_OK ||
        archive_read_support_format_empty(l->raw) != ARCHIVE_OK ||
        archive_read_append_filter(l->raw, filter_of(l->blob->kind)) != ARCHIVE_OK)
        return vh_error_set(err, VH_EUNSUPPORTED, "libarchive cannot read it: %s", archive_error_string(l->raw));
    rc = archive_read_open(l->raw, l, NULL, on_raw_read, NULL);
    if (rc == ARCHIVE_OK)
        rc = archive_read_next_header(l->raw, &whole);
    if (rc != ARCHIVE_OK && rc != ARCHIVE_EOF)
        (void)raw_failure(l);
    return 0; /* a failure shows in the first read, where the digest is looked at too */
}

static int start_tar(vh__layer *l, vh_error *err)
{
    if (archive_read_support_format_tar(l->tar) != ARCHIVE_OK ||
        archive_read_support_format_empty(l->tar) != ARCHIVE_OK)
        return vh_error_set(err, -ENOMEM, "tar reader");
    if (archive_read_open(l->tar, l, NULL, on_tar_read, NULL) != ARCHIVE_OK && l->error.code == 0)
        (void)vh_error_set(&l->error, VH_ECORRUPT, "%s", archive_error_string(l->tar));
    return 0; /* as above */
}

static int start(vh__layer *l, vh_error *err)
{
    int rc = vh__digest_new(&l->blob_digest, err);

    if (rc == 0)
        rc = vh__digest_new(&l->tar_digest, err);
    if (rc)
        return rc;
    l->raw = archive_read_new();
    l->tar = archive_read_new();
    l->chunk = malloc(CHUNK);
    if (!l->raw || !l->tar || !l->chunk)
        return vh_error_set(err, -ENOMEM, "reader of a layer");
    rc = start_raw(l, err);
    return rc ? rc : start_tar(l, err);
}

int vh__layer_open(int fd, const vh__oci_descriptor *blob, const char *diff_id, vh__budget *budget,
                   const vh__wait *w, vh__layer **out, vh_error *err)
{
    vh__layer *l = calloc(1, sizeof(*l));
    int rc;

    if (!l)
        return vh_error_set(err, -ENOMEM, "reader of a layer");
    l->fd = fd;
    l->blob = blob;
    l->diff_id = diff_id;
    l->budget = budget;
    l->wait = w;
    rc = start(l, err);
    if (rc) {
        vh__layer_close(l);
        return rc;
    }
    *out = l;
    return 0;
}

void vh__layer_close(vh__layer *l)
{
    if (!l)
        return;
    archive_read_free(l->tar); /* NULL is fine; before |raw|, which it reads from */
    archive_read_free(l->raw);
    vh__digest_free(l->blob_digest);
    vh__digest_free(l->tar_digest);
    free(l->chunk);
    free(l);
}

/* Reads the rest of the blob and compares. */
static int check_blob(vh__layer *l, vh_error *err)
{
    char found[VH_DIGEST_TEXT];
    ssize_t n;
    int rc;

    while (l->blob_bytes < l->blob->size && (n = read_blob(l)) > 0)
        ;
    if (l->error.code)
        return pass_on(l, err);
    rc = vh__digest_final(l->blob_digest, found, err);
    if (rc || strcmp(found, l->blob->digest) == 0)
        return rc;
    return vh_error_set(err, VH_ECORRUPT, "its blob is damaged: expected %s, found %s: fetch the image again",
                        l->blob->digest, found);
}

/* Damaged content is a symptom: whether the blob is what it claims to be is the cause, so look at that first. */
static int corrupt(vh__layer *l, const char *symptom, vh_error *err)
{
    vh_error inner = { 0 };
    int rc;

    if (l->error.code && l->error.code != VH_ECORRUPT)
        return pass_on(l, err);
    inner = l->error;
    l->error = (vh_error){ 0 };
    rc = check_blob(l, err);
    if (rc)
        return rc;
    return vh_error_set(err, VH_ECORRUPT, "%s: rebuild the image", inner.code ? inner.msg : symptom);
}

static int tar_failure(vh__layer *l, vh_error *err)
{
    if (l->error.code == 0 && archive_errno(l->tar) == ENOMEM)
        return vh_error_set(err, -ENOMEM, "tar reader");
    return corrupt(l, archive_error_string(l->tar) ? archive_error_string(l->tar) : "damaged tar stream", err);
}

static int fill_link(const vh__layer *l, vh__entry *e, vh_error *err)
{
    const char *target = archive_entry_hardlink(l->entry);
    int rc;

    e->is_hard_link = target != NULL;
    if (target) {
        rc = vh__tree_clean(target, e->hard_link, err);
        return rc ? vh_error_wrap(err, rc, "target of hard link \"%.200s\"", e->path) : 0;
    }
    if (!S_ISLNK(e->mode))
        return 0;
    e->symlink = archive_entry_symlink(l->entry);
    if (!e->symlink || !*e->symlink || strlen(e->symlink) > VH_TREE_PATH_MAX)
        return vh_error_set(err, VH_EIMAGE, "symlink \"%.200s\" has a target of 0 or over 4095 bytes", e->path);
    return 0;
}

static int fill_owner(const vh__layer *l, vh__entry *e, vh_error *err)
{
    int64_t uid = archive_entry_uid(l->entry), gid = archive_entry_gid(l->entry);

    if (uid < 0 || uid > UINT32_MAX || gid < 0 || gid > UINT32_MAX)
        return vh_error_set(err, VH_EIMAGE, "\"%.200s\" has an owner or group that is not 0..2^32-1", e->path);
    e->uid = (uint32_t)uid;
    e->gid = (uint32_t)gid;
    return 0;
}

static int fill_type(const vh__layer *l, vh__entry *e, vh_error *err)
{
    mode_t type = archive_entry_filetype(l->entry);
    dev_t dev = archive_entry_rdev(l->entry);

    e->mode = type | (archive_entry_mode(l->entry) & 07777);
    e->rdev = 0;
    e->symlink = NULL;
    if (archive_entry_hardlink(l->entry))
        return 0; /* it is what its target is */
    if (S_ISCHR(type) || S_ISBLK(type)) {
        if (dev > UINT32_MAX)
            return vh_error_set(err, VH_EIMAGE, "device \"%.200s\" has a number too large", e->path);
        e->rdev = (uint32_t)dev;
    } else if (!S_ISREG(type) && !S_ISDIR(type) && !S_ISLNK(type) && !S_ISFIFO(type)) {
        return vh_error_set(err, VH_EIMAGE, "\"%.200s\" is of an unknown type", e->path);
    }
    return 0;
}

static int fill(vh__layer *l, vh__entry *e, vh_error *err)
{
    const char *name = archive_entry_pathname(l->entry);
    int rc;

    if (!name)
        return corrupt(l, "an entry without a name", err);
    if (++l->budget->entries > l->budget->max_entries)
        return vh_error_set(err, VH_ELIMIT, "the image has more than %llu entries: raise image.max_entries",
                    (unsigned long long)l->budget->max_entries);
    rc = vh__tree_clean(name, e->path, err);
    if (rc == 0)
        rc = fill_type(l, e, err);
    if (rc == 0)
        rc = fill_owner(l, e, err);
    return rc ? rc : fill_link(l, e, err);
}

int vh__layer_next(vh__layer *l, vh__entry *entry, vh_error *err)
{
    int rc, filled;

    if (l->error.code)
        return corrupt(l, "", err);
    rc = archive_read_next_header(l->tar, &l->entry);
    if (rc == ARCHIVE_EOF && l->error.code == 0)
        return 0;
    /* A warning is about a character set: names are bytes here. A bad header checksum is "retry". */
    if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
        return tar_failure(l, err);
    l->at = l->piece_at = 0;
    l->piece_n = 0;
    l->data_ended = false;
    l->entry_size = (uint64_t)archive_entry_size(l->entry);
    archive_entry_xattr_reset(l->entry);
    filled = fill(l, entry, err);
    return filled ? filled : 1;
}

/* Fetches the next piece, or the end of the file, as one more place to fill up to with zeros. */
static int next_piece(vh__layer *l, vh_error *err)
{
    la_int64_t off = 0;
    int rc = archive_read_data_block(l->tar, &l->piece, &l->piece_n, &off);

    if (rc == ARCHIVE_EOF) {
        l->data_ended = true;
        l->piece_n = 0;
        off = VH_MAX(l->at, archive_entry_size(l->entry));
    } else if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN) {
        return tar_failure(l, err);
    }
    if (off < l->at)
        return corrupt(l, "a sparse file's pieces are out of order", err);
    if (charge(l, (uint64_t)(off - l->at)))
        return pass_on(l, err);
    l->piece_at = off;
    return 0;
}

int vh__layer_data(vh__layer *l, const void **bytes, size_t *n, vh_error *err)
{
    static const char zeros[CHUNK];
    int rc;

    while (l->at == l->piece_at && l->piece_n == 0) {
        if (l->data_ended)
            return 0;
        rc = next_piece(l, err);
        if (rc)
            return rc;
    }
    if (l->at < l->piece_at) {
        *bytes = zeros;
        *n = (size_t)VH_MIN(l->piece_at - l->at, (int64_t)sizeof(zeros));
        rc = vh__wait_check(l->wait, "convert image", err);
        if (rc)
            return rc;
    } else {
        *bytes = l->piece;
        *n = l->piece_n;
        l->piece_n = 0;
        l->piece_at += (int64_t)*n;
    }
    l->at += (int64_t)*n;
    return 1;
}

int vh__layer_xattr(vh__layer *l, const char **name, const void **value, size_t *n, vh_error *err)
{
    while (archive_entry_xattr_next(l->entry, name, value, n) == ARCHIVE_OK) {
        if (strcmp(*name, "security.capability") != 0 && strncmp(*name, "user.", 5) != 0)
            continue;
        if (strlen(*name) > VH_TREE_NAME_MAX || *n > UINT16_MAX || (*name)[strcspn(*name, ".") + 1] == '\0')
            return vh_error_set(err, VH_EIMAGE, "extended attribute \"%.80s\" is longer than Linux has them, or has "
                                "no name", *name);
        l->budget->xattr_bytes += strlen(*name) + *n;
        if (l->budget->xattr_bytes > VH_LAYER_XATTRS_MAX)
            return vh_error_set(err, VH_ELIMIT, "the image has more than 16 MiB of extended attributes");
        return 1;
    }
    return 0;
}

int vh__layer_finish(vh__layer *l, vh_error *err)
{
    char found[VH_DIGEST_TEXT];
    const void *bytes;
    la_ssize_t n;
    int rc;

    /* Behind the end of the archive comes padding, which the digest covers. */
    while ((n = read_tar(l, &bytes)) > 0)
        ;
    if (n < 0)
        return corrupt(l, "", err);
    rc = check_blob(l, err);
    if (rc == 0)
        rc = vh__digest_final(l->tar_digest, found, err);
    if (rc || strcmp(found, l->diff_id) == 0)
        return rc;
    return vh_error_set(err, VH_ECORRUPT, "unpacks to %s, but the image's config says %s: rebuild the image", found,
                l->diff_id);
}

uint64_t vh__layer_position(const vh__layer *l)
{
    return l->blob_bytes;
}
