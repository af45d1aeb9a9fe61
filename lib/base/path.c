#include "path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "auto.h"

char *vh__strf(const char *fmt, ...)
{
    va_list ap;
    char *s;

    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0)
        s = NULL;
    va_end(ap);
    return s;
}

char *vh__path_join(const char *dir, const char *name)
{
    return vh__strf("%s/%s", dir, name);
}

int vh__path_mkdirs(const char *path, mode_t mode, vh_error *err)
{
    vh_auto_free char *copy = strdup(path);

    if (!copy)
        return vh_error_set(err, -ENOMEM, "make directory %s", path);
    for (char *p = copy + 1;; p++) {
        char end = *p;

        if (end && end != '/')
            continue;
        *p = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return vh_error_set(err, -errno, "make directory %s", copy);
        if (!end)
            return 0;
        *p = end;
    }
}

/* Removes what is in the directory |fd| and then closes it. */
static int empty_dir(int fd, dev_t dev, const char *path, vh_error *err)
{
    vh_auto_dir DIR *dir = fdopendir(fd);
    struct dirent *e;
    struct stat st;

    if (!dir) {
        int code = -errno;
        (void)close(fd); /* given up */
        return vh_error_set(err, code, "remove %s", path);
    }
    while ((errno = 0, e = readdir(dir))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
            if (errno == ENOENT)
                continue;
            return vh_error_set(err, -errno, "remove %s/%s", path, e->d_name);
        }
        if (S_ISDIR(st.st_mode)) {
            int sub, rc;

            if (st.st_dev != dev)
                return vh_error_set(err, -EBUSY, "remove %s/%s: something is mounted there", path, e->d_name);
            sub = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (sub < 0)
                return vh_error_set(err, -errno, "remove %s/%s", path, e->d_name);
            rc = empty_dir(sub, dev, path, err);
            if (rc)
                return rc;
        }
        if (unlinkat(fd, e->d_name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) < 0 && errno != ENOENT)
            return vh_error_set(err, -errno, "remove %s/%s", path, e->d_name);
    }
    return errno ? vh_error_set(err, -errno, "remove %s: read directory", path) : 0;
}

int vh__path_remove(const char *path, vh_error *err)
{
    struct stat st;
    int fd, rc;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : vh_error_set(err, -errno, "remove %s", path);
    if (S_ISDIR(st.st_mode)) {
        fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            return vh_error_set(err, -errno, "remove %s", path);
        rc = empty_dir(fd, st.st_dev, path, err);
        if (rc)
            return rc;
    }
    if ((S_ISDIR(st.st_mode) ? rmdir(path) : unlink(path)) < 0 && errno != ENOENT)
        return vh_error_set(err, -errno, "remove %s", path);
    return 0;
}

char *vh__path_find_program(const char *program)
{
    const char *path = getenv("PATH");

    if (strchr(program, '/'))
        return access(program, X_OK) == 0 ? realpath(program, NULL) : NULL;
    if (!path)
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    while (*path) {
        size_t n = strcspn(path, ":");
        vh_auto_free char *full = vh__strf("%.*s/%s", (int)n, path, program);

        if (!full)
            return NULL;
        if (n && access(full, X_OK) == 0)
            return realpath(full, NULL);
        path += n + (path[n] == ':');
    }
    return NULL;
}
