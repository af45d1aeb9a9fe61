#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "auto.h"
#include "buf.h"
#include "fd.h"
#include "journal_priv.h"
#include "path.h"

struct vh__journal_entry {
    vh__journal *j; /* borrowed */
    int fd;
    size_t size; /* bytes written */
    char name[VH_JOURNAL_NAME_MAX + 1];
};

/* Notes are orders to delete: whoever may write here could have root remove anything. */
static int check_owner(int fd, const char *dir, vh_error *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return vh_error_set(err, -errno, "journal %s", dir);
    if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
        return vh_error_set(err, VH_ESTATE,
                            "journal %s: other users may write to it (owner %u, mode %o): remove it, or make "
                            "it user %u's own with mode 0700",
                            dir, (unsigned)st.st_uid, (unsigned)st.st_mode & 07777, (unsigned)geteuid());
    return 0;
}

int vh__journal_open(const char *dir, vh__journal **j, vh_error *err)
{
    vh_auto_free vh__journal *made = calloc(1, sizeof(*made));
    vh_auto_free char *copy = strdup(dir);
    vh_auto_fd int fd = -1;
    int rc;

    if (!made || !copy)
        return vh_error_set(err, -ENOMEM, "journal %s", dir);
    rc = vh__path_mkdirs(dir, 0700, err);
    if (rc)
        return rc;
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return vh_error_set(err, -errno, "journal %s", dir);
    rc = check_owner(fd, dir, err);
    if (rc)
        return rc;
    made->dir = vh_steal_ptr(copy);
    made->fd = vh_steal_fd(&fd);
    *j = vh_steal_ptr(made);
    return 0;
}

void vh__journal_free(vh__journal *j)
{
    if (!j)
        return;
    vh__fd_close(&j->fd);
    free(j->dir);
    free(j);
}

bool vh__journal_is_word(const char *s, size_t max, bool file)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    size_t n = strlen(s);
    size_t good = strspn(s, letters);

    if (!file && strcspn(s, "_.") < good)
        return false;
    return n > 0 && n <= max && good == n && s[0] != '.';
}

bool vh__journal_is_current(const vh__journal *j, const char *name, int fd)
{
    struct stat here, there;

    return fstat(fd, &here) == 0 && fstatat(j->fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

/* Waits for the lock of |fd|: at most a reaper has it, for the moment of removing an entry without notes. */
static int lock(int fd)
{
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    while (fcntl(fd, F_OFD_SETLKW, &all) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

/*
 * Makes the file and locks it. A reaper may come upon it in between, take it for a stale entry and remove it:
 * harmless, because that shows (-ESTALE) and nothing was noted yet; the caller makes it anew.
 */
static int create_locked(vh__journal *j, const char *name, int *out)
{
    vh_auto_fd int fd = openat(j->fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int rc;

    if (fd < 0)
        return -errno;
    rc = lock(fd);
    if (rc) {
        (void)unlinkat(j->fd, name, 0); /* the reaper's, if this fails */
        return rc;
    }
    if (!vh__journal_is_current(j, name, fd))
        return -ESTALE;
    *out = vh_steal_fd(&fd);
    return 0;
}

int vh__journal_begin(vh__journal *j, const char *name, vh__journal_entry **e, vh_error *err)
{
    vh_auto_free vh__journal_entry *made = NULL;
    int rc;

    if (!vh__journal_is_word(name, VH_JOURNAL_NAME_MAX, true))
        return vh_error_set(err, VH_EINVALID, "journal %s: \"%s\" cannot name an entry", j->dir, name);
    made = calloc(1, sizeof(*made));
    if (!made)
        return vh_error_set(err, -ENOMEM, "journal %s: entry %s", j->dir, name);
    made->j = j;
    memcpy(made->name, name, strlen(name));
    do
        rc = create_locked(j, name, &made->fd);
    while (rc == -ESTALE);
    if (rc)
        return vh_error_set(err, rc == -EEXIST ? VH_EEXISTS : rc, "journal %s: entry %s", j->dir, name);
    *e = vh_steal_ptr(made);
    return 0;
}

int vh__journal_note(vh__journal_entry *e, const char *kind, const char *value, vh_error *err)
{
    vh_auto_buf vh__buf line = { 0 };
    int rc;

    if (!vh__journal_is_word(kind, VH_JOURNAL_KIND_MAX, false) || !value[0] || strchr(value, '\n'))
        return vh_error_set(err, VH_EINVALID,
                            "journal entry %s: kind \"%s\" must be a word and its value one line", e->name,
                            kind);
    vh__buf_printf(&line, "%s %s\n", kind, value);
    rc = vh__buf_check(&line, "journal note", err);
    if (rc)
        return rc;
    if (strlen(value) > VH_JOURNAL_VALUE_MAX || e->size + line.len > VH_JOURNAL_ENTRY_MAX)
        return vh_error_set(err, VH_ELIMIT,
                            "journal entry %s: %s of %zu bytes: at most %d a value, %d an entry", e->name,
                            kind, strlen(value), VH_JOURNAL_VALUE_MAX, VH_JOURNAL_ENTRY_MAX);
    rc = vh__fd_pwrite_full(e->fd, line.data, line.len, e->size, "journal entry", err);
    if (rc) {
        if (ftruncate(e->fd, (off_t)e->size) < 0) {
            /* what is left is a line without its end; the next note overwrites it */
        }
        return rc;
    }
    e->size += line.len;
    return 0;
}

int vh__journal_fd(const vh__journal_entry *e)
{
    return e->fd;
}

void vh__journal_end(vh__journal_entry *e)
{
    if (!e)
        return;
    /* Should the removal fail, the entry turns stale and the next reaper finds its resources gone. */
    if (vh__journal_is_current(e->j, e->name, e->fd))
        (void)unlinkat(e->j->fd, e->name, 0);
    vh__journal_abandon(e);
}

void vh__journal_abandon(vh__journal_entry *e)
{
    if (!e)
        return;
    vh__fd_close(&e->fd);
    free(e);
}
