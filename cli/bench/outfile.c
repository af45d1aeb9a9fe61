#include "outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* mkstemp() makes files that only their owner may read; a result is for whom the umask lets. */
static void apply_umask(int fd)
{
    mode_t mask = umask(0);

    (void)umask(mask);
    (void)fchmod(fd, 0666 & ~mask); /* a file of another mode is as good */
}

int bench_outfile_open(bench_outfile *o, const char *path, vh_error *err)
{
    struct stat st;
    int fd;

    *o = (bench_outfile){ .f = path ? NULL : stdout, .path = path };
    if (!path)
        return 0;
    if (!*path)
        return vh_error_set(err, VH_EINVALID, "--out: the name of a file is missing");
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return vh_error_set(err, VH_EINVALID, "--out %s: it is not a regular file; without --out the result goes to "
                            "standard output", path);
    if (asprintf(&o->temporary, "%s.XXXXXX", path) < 0) {
        o->temporary = NULL;
        return vh_error_set(err, -ENOMEM, "--out %s", path);
    }
    fd = mkostemp(o->temporary, O_CLOEXEC);
    if (fd < 0) {
        int rc = vh_error_set(err, -errno, "--out %s: make a file beside it", path);

        free(o->temporary);
        o->temporary = NULL;
        return rc;
    }
    apply_umask(fd);
    o->f = fdopen(fd, "w");
    if (o->f)
        return 0;
    (void)close(fd);
    bench_outfile_close(o);
    return vh_error_set(err, -ENOMEM, "--out %s", path);
}

int bench_outfile_commit(bench_outfile *o, vh_error *err)
{
    errno = 0;
    if (fflush(o->f) || ferror(o->f) || (o->path && fsync(fileno(o->f))))
        return vh_error_set(err, errno ? -errno : -EIO, "write %s", o->path ? o->path : "standard output");
    if (!o->path)
        return 0;
    if (rename(o->temporary, o->path))
        return vh_error_set(err, -errno, "rename %s to %s", o->temporary, o->path);
    free(o->temporary);
    o->temporary = NULL;
    return 0;
}

void bench_outfile_close(bench_outfile *o)
{
    if (o->path && o->f)
        (void)fclose(o->f);
    if (o->temporary)
        (void)unlink(o->temporary);
    free(o->temporary);
    *o = (bench_outfile){ .f = NULL };
}
