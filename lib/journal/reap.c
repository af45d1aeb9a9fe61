#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "auto.h"
#include "fd.h"
#include "journal_priv.h"

struct reaper {
    vh__journal *j;
    const vh__journal_handler *handlers;
    size_t n;
    void *arg;
    size_t reaped;
    vh_error first; /* what went wrong first */
};

static int open_dir(const vh__journal *j, DIR **dir, vh_error *err)
{
    /* opened anew: a dup() would share its position with every other reader */
    int fd = openat(j->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    int rc;

    *dir = fd < 0 ? NULL : fdopendir(fd);
    if (*dir)
        return 0;
    rc = vh_error_set(err, -errno, "journal %s", j->dir);
    vh__fd_close(&fd);
    return rc;
}

/* The next name in |dir| that may be an entry; NULL at the end, with errno set on an error. */
static const char *next_name(DIR *dir)
{
    struct dirent *d;

    while ((errno = 0, d = readdir(dir)))
        if (vh__journal_is_word(d->d_name, VH_JOURNAL_NAME_MAX, true))
            return d->d_name;
    return NULL;
}

/* Opens the entry |name|; -1 when it is gone or is no regular file. */
static int open_entry(const vh__journal *j, const char *name, int flags)
{
    vh_auto_fd int fd = openat(j->fd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return -1;
    return vh_steal_fd(&fd);
}

/* Undoes one note, a line without its end. */
static int undo_line(const struct reaper *r, char *line, vh_error *err)
{
    char *space = strchr(line, ' ');

    if (!space || !space[1])
        return vh_error_set(err, VH_ECORRUPT, "a line is no note");
    *space = '\0';
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(line, r->handlers[i].kind) == 0)
            return r->handlers[i].undo(space + 1, r->arg, err);
    return vh_error_set(err, VH_EUNSUPPORTED, "note of unknown kind \"%.*s\"", VH_JOURNAL_KIND_MAX, line);
}

/* Undoes the whole lines of |text|, last first; all of them, whatever fails. Returns the first error. */
static int undo_lines(const struct reaper *r, vh__buf *text, vh_error *err)
{
    char *end = text->len ? memrchr(text->data, '\n', text->len) : NULL;
    int first = 0;

    while (end) {
        char *before = memrchr(text->data, '\n', (size_t)(end - text->data));
        char *line = before ? before + 1 : text->data;
        int rc;

        *end = '\0';
        rc = undo_line(r, line, first ? NULL : err);
        first = first ? first : rc;
        end = before;
    }
    return first;
}

static int read_entry(int fd, const char *name, vh__buf *text, vh_error *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return vh_error_set(err, -errno, "read %s", name);
    if (st.st_size > VH_JOURNAL_ENTRY_MAX)
        return vh_error_set(err, VH_ECORRUPT, "larger than %d bytes: not an entry", VH_JOURNAL_ENTRY_MAX);
    if (!vh__buf_reserve(text, (size_t)st.st_size + 1))
        return vh__buf_check(text, name, err);
    text->len = (size_t)st.st_size;
    return vh__fd_pread_full(fd, text->data, text->len, 0, name, err);
}

/* Takes the lock of |fd| unless somebody has it. */
static bool try_lock(int fd)
{
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    return fcntl(fd, F_OFD_SETLK, &all) == 0;
}

/* Reaps the entry |name| if it is stale. */
static int reap_entry(struct reaper *r, const char *name, vh_error *err)
{
    vh_auto_fd int fd = open_entry(r->j, name, O_RDWR);
    vh_auto_buf vh__buf text = { 0 };
    int rc;

    /* the lock first, then the look: another reaper may have been at it until now */
    if (fd < 0 || !try_lock(fd) || !vh__journal_is_current(r->j, name, fd))
        return 0;
    rc = read_entry(fd, name, &text, err);
    if (rc)
        return rc;
    rc = undo_lines(r, &text, err);
    if (rc)
        return rc;
    if (unlinkat(r->j->fd, name, 0) < 0)
        return vh_error_set(err, -errno, "remove");
    r->reaped++;
    return 0;
}

int vh__journal_reap(vh__journal *j, const vh__journal_handler *handlers, size_t n, void *arg, size_t *reaped,
                     vh_error *err)
{
    struct reaper r = { .j = j, .handlers = handlers, .n = n, .arg = arg };
    vh_auto_dir DIR *dir = NULL;
    const char *name;
    int rc = open_dir(j, &dir, err);

    if (rc)
        return rc;
    while ((name = next_name(dir))) {
        vh_error e = { 0 };

        if (reap_entry(&r, name, &e) == 0 || r.first.code)
            continue;
        (void)vh_error_wrap(&e, e.code, "journal %s: entry %s is kept", j->dir, name);
        r.first = e;
    }
    if (errno && !r.first.code)
        vh_error_set(&r.first, -errno, "journal %s", j->dir);
    if (reaped)
        *reaped = r.reaped;
    if (err && r.first.code)
        *err = r.first;
    return r.first.code;
}

/* Whether somebody holds the entry |name|; asks without taking the lock. */
static bool is_live(const vh__journal *j, const char *name, bool *live)
{
    vh_auto_fd int fd = open_entry(j, name, O_RDWR);
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    if (fd < 0 || fcntl(fd, F_OFD_GETLK, &lock) < 0)
        return false;
    *live = lock.l_type != F_UNLCK;
    return true;
}

int vh__journal_list(vh__journal *j, bool (*visit)(const char *name, bool live, void *arg), void *arg,
                     vh_error *err)
{
    vh_auto_dir DIR *dir = NULL;
    const char *name;
    bool live;
    int rc = open_dir(j, &dir, err);

    if (rc)
        return rc;
    while ((name = next_name(dir)))
        if (is_live(j, name, &live) && !visit(name, live, arg))
            return 0;
    return errno ? vh_error_set(err, -errno, "journal %s", j->dir) : 0;
}
