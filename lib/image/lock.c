/* One lock file per image. */
#include "image_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auto.h"
#include "path.h"

static char *lock_path(const vh_images *images, const char *digest)
{
    return vh__strf("%s/locks/%s", images->dir, vh__image_hex(digest));
}

/* Opens the lock's file, which is there if somebody made or makes the image; |create|: makes it otherwise. */
static int open_lock(const vh_images *images, const char *path, bool create, int *fd, vh_error *err)
{
    int f = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

    if (f < 0 && errno == ENOENT && create) {
        vh_auto_free char *dir = vh__path_join(images->dir, "locks");
        int rc = dir ? vh__path_mkdirs(dir, 0755, err) : vh_error_set(err, -ENOMEM, "lock %s", path);

        if (rc)
            return rc;
        f = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    }
    if (f < 0 && errno == ENOENT)
        return vh_error_set(err, VH_ENOTFOUND, "image %s is not stored: open its reference first",
                            strrchr(path, '/') + 1);
    if (f < 0)
        return vh_error_set(err, -errno, "open lock %s", path);
    *fd = f;
    return 0;
}

int vh__image_lock(const vh_images *images, const char *digest, int how, int *fd, vh_error *err)
{
    vh_auto_free char *path = lock_path(images, digest), *image = vh__image_path(images, digest, false);
    struct stat st;
    int rc;

    if (!path || !image)
        return vh_error_set(err, -ENOMEM, "lock of image %s", digest);
    for (;;) {
        vh_auto_fd int f = -1;

        rc = open_lock(images, path, how == LOCK_EX || access(image, F_OK) == 0, &f, err);
        if (rc)
            return rc;
        if (flock(f, how | LOCK_NB) || fstat(f, &st))
            return vh_error_set(err, -errno, "lock %s", path);
        if (st.st_nlink > 0) {
            *fd = vh_steal_fd(&f);
            return 0;
        }
        /* Somebody removed the image, and the file with it, before we had the lock: what we hold locks nothing. */
    }
}

void vh__image_lock_forget(const vh_images *images, const char *digest)
{
    vh_auto_free char *path = lock_path(images, digest), *image = vh__image_path(images, digest, false);

    if (path && image && access(image, F_OK) != 0)
        (void)unlink(path); /* one that stays is an empty file and does no harm */
}
