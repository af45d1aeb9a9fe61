#include "tarball.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "auto.h"
#include "fd.h"
#include "path.h"
#include "space.h"

enum { BLOCK = 512, CHUNK = 1 << 17, LINKS_MAX = 4, NAME_MAX_BYTES = 1024 };

typedef struct member {
    char *name;
    char *link; /* of a link: the member it leads to */
    vh__member place;
} member;

struct vh__tarball {
    int fd;
    size_t n, room;
    member *members;
};

static void auto_archive(struct archive **a)
{
    archive_read_free(*a); /* NULL is fine */
}

#define vh_auto_archive __attribute__((cleanup(auto_archive)))

static int not_tar(struct archive *a, vh_error *err)
{
    const char *why = archive_error_string(a);

    if (archive_errno(a) == ENOMEM)
        return vh_error_set(err, -ENOMEM, "tar reader");
    return vh_error_set(err, VH_EIMAGE, "it is not a whole tar file (%s)", why ? why : "damaged");
}

/* A special file would block or never end: refused. */
static int open_file(const char *path, int *fd, vh_error *err)
{
    vh_auto_fd int f = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (f < 0 && (errno == ENOENT || errno == ENOTDIR))
        return vh_error_set(err, VH_ENOTFOUND, "there is no file %s", path);
    if (f < 0 || fstat(f, &st))
        return vh_error_set(err, -errno, "open %s", path);
    if (!S_ISREG(st.st_mode))
        return vh_error_set(err, VH_EIMAGE, "%s is not a file", path);
    *fd = vh_steal_fd(&f);
    return 0;
}

static int spool_file(const char *dir, int *fd, vh_error *err)
{
    vh_auto_free char *path = vh__path_join(dir, ".spool-XXXXXX");
    int rc = path ? vh__path_mkdirs(dir, 0755, err) : vh_error_set(err, -ENOMEM, "spool file");

    if (rc)
        return rc;
    *fd = mkostemp(path, O_CLOEXEC);
    if (*fd < 0 || unlink(path))
        return vh_error_set(err, -errno, "spool file %s", path);
    return 0;
}

/* Copies what |a| unpacks to the file |to| in |dir|, at most |max| bytes. */
static int unpack(struct archive *a, int to, const char *dir, uint64_t max, const vh__wait *w, vh_error *err)
{
    const void *bytes;
    la_int64_t off;
    uint64_t at = 0;
    size_t n;
    int more;

    while ((more = archive_read_data_block(a, &bytes, &n, &off)) == ARCHIVE_OK) {
        int rc = vh__wait_check(w, "unpack the archive", err);

        if (rc == 0 && n > max - at)
            rc = vh_error_set(err, VH_ELIMIT, "unpacked, it has more than %llu bytes: raise image.max_bytes",
                              (unsigned long long)max);
        if (rc == 0)
            rc = vh__fd_pwrite_full(to, bytes, n, at, "spool file", err);
        if (rc)
            return vh__space_error(dir, at + n, rc, err); /* of what it takes, so much is known */
        at += n;
    }
    return more == ARCHIVE_EOF ? 0 : not_tar(a, err);
}

/* Puts an unpacked copy in the place of a compressed file; a plain one stays as it is. */
static int unpack_if_need_be(int *fd, const char *spool, uint64_t max, const vh__wait *w, vh_error *err)
{
    vh_auto_archive struct archive *a = archive_read_new();
    struct archive_entry *whole;
    vh_auto_fd int plain = -1;
    int rc;

    if (!a)
        return vh_error_set(err, -ENOMEM, "tar reader");
    if (archive_read_support_filter_gzip(a) != ARCHIVE_OK || archive_read_support_filter_zstd(a) != ARCHIVE_OK ||
        archive_read_support_format_raw(a) != ARCHIVE_OK || archive_read_open_fd(a, *fd, CHUNK) != ARCHIVE_OK ||
        archive_read_next_header(a, &whole) != ARCHIVE_OK)
        return not_tar(a, err);
    if (archive_filter_count(a) == 1)
        return 0;
    if (archive_filter_count(a) > 2) /* the work in between would know neither limit nor deadline */
        return vh_error_set(err, VH_EIMAGE, "it is compressed more than once: unpack it first");
    rc = spool_file(spool, &plain, err);
    if (rc == 0)
        rc = unpack(a, plain, spool, max, w, err);
    if (rc)
        return rc;
    vh__fd_close(fd);
    *fd = vh_steal_fd(&plain);
    return 0;
}

static member *add(vh__tarball *t)
{
    size_t room = t->room ? t->room * 2 : 64;
    member *more;

    if (t->n == t->room) {
        more = realloc(t->members, room * sizeof(*more));
        if (!more)
            return NULL;
        t->members = more;
        t->room = room;
    }
    t->members[t->n] = (member){ 0 };
    return &t->members[t->n++];
}

/* "a/layer.tar" with a link to "../b/layer.tar" means "b/layer.tar"; only this form occurs. */
static char *target_of(const char *name, const char *symlink)
{
    const char *slash = strrchr(name, '/');

    if (strncmp(symlink, "../", 3) == 0 && slash && memchr(name, '/', (size_t)(slash - name)) == NULL)
        return strdup(symlink + 3);
    return vh__strf("%.*s%s", slash ? (int)(slash - name + 1) : 0, name, symlink);
}

/* Notes the current entry; where its data lies is known when the next header is reached. */
static int note(vh__tarball *t, struct archive_entry *e, member **out, vh_error *err)
{
    const char *name = archive_entry_pathname(e), *hard = archive_entry_hardlink(e), *soft = archive_entry_symlink(e);
    const char *link = hard ? hard : soft;
    member *m;

    *out = NULL;
    if (!name || strlen(name) > NAME_MAX_BYTES || (link && strlen(link) > NAME_MAX_BYTES) ||
        archive_entry_filetype(e) == AE_IFDIR)
        return 0;
    if (t->n == VH_TARBALL_MEMBERS_MAX)
        return vh_error_set(err, VH_ELIMIT, "it has more than %d members", VH_TARBALL_MEMBERS_MAX);
    if (strncmp(name, "./", 2) == 0)
        name += 2;
    m = add(t);
    if (!m || !(m->name = strdup(name)))
        return vh_error_set(err, -ENOMEM, "tar reader");
    if (link) {
        m->link = hard ? strdup(hard) : target_of(name, soft);
        return m->link ? 0 : vh_error_set(err, -ENOMEM, "tar reader");
    }
    if (archive_entry_sparse_count(e) > 0)
        return vh_error_set(err, VH_EIMAGE, "its member %.100s is sparse, which is not supported", name);
    m->place.size = (uint64_t)archive_entry_size(e);
    *out = m;
    return 0;
}

/* Data lies right before the next header, padded to whole blocks. */
static void place(member *m, uint64_t next)
{
    uint64_t padded = (m->place.size + BLOCK - 1) / BLOCK * BLOCK;

    m->place.at = next >= padded ? next - padded : 0; /* never less: what it was made from has been skipped */
}

static int read_headers(vh__tarball *t, struct archive *a, const vh__wait *w, vh_error *err)
{
    struct archive_entry *e;
    member *last = NULL;
    int more, rc;

    for (;;) {
        more = archive_read_next_header(a, &e);
        if (more != ARCHIVE_OK && more != ARCHIVE_WARN && more != ARCHIVE_EOF)
            return not_tar(a, err);
        if (last)
            place(last, (uint64_t)archive_read_header_position(a));
        if (more == ARCHIVE_EOF)
            return 0;
        rc = vh__wait_check(w, "read the archive", err);
        if (rc == 0)
            rc = note(t, e, &last, err);
        if (rc)
            return rc;
    }
}

static int index_members(vh__tarball *t, const vh__wait *w, vh_error *err)
{
    vh_auto_archive struct archive *a = archive_read_new();

    if (!a)
        return vh_error_set(err, -ENOMEM, "tar reader");
    if (lseek(t->fd, 0, SEEK_SET) < 0)
        return vh_error_set(err, -errno, "read the archive");
    if (archive_read_support_format_tar(a) != ARCHIVE_OK || archive_read_open_fd(a, t->fd, CHUNK) != ARCHIVE_OK)
        return not_tar(a, err);
    return read_headers(t, a, w, err);
}

int vh__tarball_open(const char *path, const char *spool, uint64_t max, const vh__wait *w, vh__tarball **out,
                     vh_error *err)
{
    vh__tarball *t = calloc(1, sizeof(*t));
    int rc;

    if (!t)
        return vh_error_set(err, -ENOMEM, "tar reader");
    t->fd = -1;
    rc = open_file(path, &t->fd, err);
    if (rc == 0)
        rc = unpack_if_need_be(&t->fd, spool, max, w, err);
    if (rc == 0)
        rc = index_members(t, w, err);
    if (rc) {
        vh__tarball_close(t);
        return rc;
    }
    *out = t;
    return 0;
}

void vh__tarball_close(vh__tarball *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n; i++) {
        free(t->members[i].name);
        free(t->members[i].link);
    }
    free(t->members);
    vh__fd_close(&t->fd);
    free(t);
}

/* The last of a name counts, as it would when extracted. */
static const member *find(const vh__tarball *t, const char *name)
{
    for (size_t i = t->n; i > 0; i--)
        if (strcmp(t->members[i - 1].name, name) == 0)
            return &t->members[i - 1];
    return NULL;
}

bool vh__tarball_find(const vh__tarball *t, const char *name, vh__member *out)
{
    const member *m = find(t, name);

    for (int i = 0; m && m->link && i < LINKS_MAX; i++)
        m = find(t, m->link);
    if (!m || m->link)
        return false;
    *out = m->place;
    return true;
}

int vh__tarball_read(const vh__tarball *t, const vh__member *m, size_t max, vh__buf *out, vh_error *err)
{
    void *to;
    int rc;

    if (m->size > max)
        return vh_error_set(err, VH_ELIMIT, "it has a document of %llu bytes, at most %zu are read",
                            (unsigned long long)m->size, max);
    to = vh__buf_reserve(out, (size_t)m->size);
    if (!to)
        return vh__buf_check(out, "document", err);
    rc = vh__fd_pread_full(t->fd, to, (size_t)m->size, m->at, "the archive", err);
    if (rc)
        return rc;
    out->len += (size_t)m->size;
    return 0;
}

int vh__tarball_seek(const vh__tarball *t, const vh__member *m, int *fd, vh_error *err)
{
    vh_auto_fd int copy = fcntl(t->fd, F_DUPFD_CLOEXEC, 3);

    if (copy < 0 || lseek(copy, (off_t)m->at, SEEK_SET) < 0)
        return vh_error_set(err, -errno, "the archive");
    *fd = vh_steal_fd(&copy);
    return 0;
}
