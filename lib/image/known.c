#include "known.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "auto.h"
#include "fd.h"
#include "path.h"

enum { NOTE_MAX = VH_IMAGE_REF + VH_DIGEST_TEXT };

static char *note_path(const vh_images *images, const char *ref)
{
    char digest[VH_DIGEST_TEXT];

    if (vh__digest_bytes(ref, strlen(ref), digest, NULL))
        return NULL;
    return vh__strf("%s/refs/%s", images->dir, vh__image_hex(digest));
}

/* Reads the note in |path|: its digest, and whether it is about |ref| (NULL: any). */
static bool read_note(const char *path, const char *ref, char digest[VH_DIGEST_TEXT])
{
    vh_auto_buf vh__buf text = { 0 };
    size_t n;

    if (vh__file_read(path, NOTE_MAX, &text, NULL) || !text.data)
        return false;
    n = strcspn(text.data, "\n");
    if (n >= VH_DIGEST_TEXT || text.data[n] == '\0')
        return false;
    memcpy(digest, text.data, n);
    digest[n] = '\0';
    text.data[text.len - 1] = '\0'; /* the end of the second line */
    return vh__digest_valid(digest) && (!ref || strcmp(text.data + n + 1, ref) == 0);
}

int vh__known_get(const vh_images *images, const char *ref, char digest[VH_DIGEST_TEXT], vh_error *err)
{
    vh_auto_free char *path = note_path(images, ref);
    char found[VH_DIGEST_TEXT];
    vh_image_info info;

    if (!path)
        return vh_error_set(err, -ENOMEM, "image %s", ref);
    if (!read_note(path, ref, found) || vh__image_info_read(images, found, &info, NULL))
        return vh_error_set(err, VH_ENOTFOUND, "no image of %s is stored; `vhive-ctl image ls` lists those that are", ref);
    strcpy(digest, found);
    return 0;
}

int vh__known_put(const vh_images *images, const char *ref, const char *digest, vh_error *err)
{
    vh_auto_free char *path = note_path(images, ref), *dir = vh__path_join(images->dir, "refs"),
                      *text = vh__strf("%s\n%s\n", digest, ref);
    char before[VH_DIGEST_TEXT];
    int rc;

    if (!path || !dir || !text)
        return vh_error_set(err, -ENOMEM, "image %s", ref);
    if (read_note(path, ref, before) && strcmp(before, digest) == 0)
        return 0;
    rc = vh__path_mkdirs(dir, 0755, err);
    return rc ? rc : vh__file_write_atomic(path, text, strlen(text), 0644, err);
}

void vh__known_forget(const vh_images *images, const char *digest)
{
    vh_auto_free char *dir = vh__path_join(images->dir, "refs");
    vh_auto_dir DIR *d = dir ? opendir(dir) : NULL;
    const struct dirent *e;

    while (d && (e = readdir(d))) {
        vh_auto_free char *path = vh__path_join(dir, e->d_name);
        char found[VH_DIGEST_TEXT];

        if (path && e->d_name[0] != '.' && read_note(path, NULL, found) && strcmp(found, digest) == 0)
            (void)unlink(path); /* one that stays leads to nothing, and is not believed */
    }
}
