#include "image_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "auto.h"
#include "fetch.h"
#include "known.h"
#include "log.h"
#include "path.h"

enum { OPEN_MS = 600000, POLL_MS = 20 };

#define UNPACKED_DEFAULT (16ULL << 30)
#define ENTRIES_DEFAULT  1000000
#define ENTRIES_MOST     100000000 /* inode numbers have 32 bits, sizes of tables are computed from it */
#define CONFIG_DEFAULT   (4 << 20)
#define CONFIG_MOST      (64 << 20)
#define DOWNLOADS        3

static int set_limits(vh_images *i, const vh_images_options *o, vh_error *err)
{
    if (o->max_entries > ENTRIES_MOST || o->max_config_bytes > CONFIG_MOST || o->downloads > VH_FETCH_MAX)
        return vh_error_set(err, VH_EINVALID, "limits of images: at most %d entries, documents of %d bytes and %d "
                            "downloads at once", ENTRIES_MOST, CONFIG_MOST, VH_FETCH_MAX);
    i->max_unpacked = o->max_unpacked_bytes ? o->max_unpacked_bytes : UNPACKED_DEFAULT;
    i->max_entries = o->max_entries ? o->max_entries : ENTRIES_DEFAULT;
    i->max_config = o->max_config_bytes ? (size_t)o->max_config_bytes : CONFIG_DEFAULT;
    i->downloads = o->downloads ? o->downloads : DOWNLOADS;
    return 0;
}

/* Copies |text| (NULL stays NULL); false when out of memory. */
static bool copy_text(const char *text, char **to)
{
    *to = text ? strdup(text) : NULL;
    return *to || !text;
}

static int set_registries(vh_images *i, const vh_images_options *o, vh_error *err)
{
    if (!copy_text(o->auth_file, &i->auth_file) || !copy_text(o->ca_file, &i->ca_file) ||
        !copy_text(o->mirrors, &i->mirrors) || !copy_text(o->insecure_registries, &i->insecure))
        return vh_error_set(err, -ENOMEM, "images");
    i->context = (vh__source_context){
        .env = i->env,
        .registry = { .auth_file = i->auth_file, .ca_file = i->ca_file, .mirrors = i->mirrors,
                      .insecure = i->insecure },
        .max_bytes = i->max_unpacked,
    };
    return vh__registry_options_check(&i->context.registry, err);
}

static int set_up(vh_images *i, const vh_images_options *opts, vh_error *err)
{
    vh_images_options o = { 0 };
    int rc;

    if (opts)
        memcpy(&o, opts, VH_MIN(opts->size, sizeof(o)));
    i->dir = vh__path_join(vh_env_state_dir(i->env), "images");
    rc = i->dir ? set_limits(i, &o, err) : vh_error_set(err, -ENOMEM, "images");
    return rc ? rc : set_registries(i, &o, err);
}

int vh_images_new(vh_env *env, const vh_images_options *opts, vh_images **images, vh_error *err)
{
    vh_images *i = calloc(1, sizeof(*i));
    int rc;

    if (!i)
        return vh_error_set(err, -ENOMEM, "images");
    i->env = env;
    rc = set_up(i, opts, err);
    if (rc) {
        vh_images_free(i);
        return rc;
    }
    vh__images_sweep(i);
    *images = i;
    return 0;
}

void vh_images_free(vh_images *images)
{
    if (!images)
        return;
    free(images->dir);
    free(images->auth_file);
    free(images->ca_file);
    free(images->mirrors);
    free(images->insecure);
    free(images);
}

/* Pins the stored image, if it is there and whole. */
static int pin(const vh_images *images, const char *digest, vh_image *image, vh_error *err)
{
    vh_auto_fd int lock = -1;
    int rc = vh__image_lock(images, digest, LOCK_SH, &lock, err);

    if (rc == 0)
        rc = vh__image_load(images, digest, image, err);
    if (rc == 0)
        image->lock = vh_steal_fd(&lock);
    return rc;
}

/* Makes the image unless another did so meanwhile, or is at it (-EWOULDBLOCK). */
static int make_alone(const vh_images *images, vh__source *source, const vh__oci_descriptor *manifest,
                      const vh__wait *w, vh_error *err)
{
    vh_auto_fd int lock = -1;
    vh_image there = { .lock = -1 };
    int rc = vh__image_lock(images, manifest->digest, LOCK_EX, &lock, err);

    if (rc)
        return rc;
    rc = vh__image_load(images, manifest->digest, &there, err);
    vh__image_unload(&there);
    if (rc == VH_ECORRUPT)
        vh__log(images->env, VH_LOG_WARN, "image", NULL, "stored image %s is damaged: made anew", manifest->digest);
    if (rc == VH_ECORRUPT || rc == VH_ENOTFOUND)
        rc = vh__image_make(images, source, manifest, w, err);
    if (rc)
        vh__image_lock_forget(images, manifest->digest);
    return rc;
}

/* Pinning comes first in each round: having made an image is no promise that nobody removed it since. */
static int pin_or_make(const vh_images *images, vh__source *source, const vh__oci_descriptor *manifest,
                       const vh__wait *w, vh_image *image, vh_error *err)
{
    for (;;) {
        int rc = pin(images, manifest->digest, image, err);

        if (rc == VH_ENOTFOUND || rc == VH_ECORRUPT)
            rc = make_alone(images, source, manifest, w, err);
        else if (rc != -EWOULDBLOCK)
            return rc;
        if (rc == -EWOULDBLOCK)
            rc = vh__wait_sleep(w, POLL_MS, "wait for another process that converts the image", err);
        if (rc)
            return rc;
    }
}

/* What a registry's reference led to is kept for the time when the registry cannot be asked. */
static void remember(const vh_images *images, const vh__source *source, const char *digest)
{
    vh_error why = { 0 };

    if (source->ops->fetch && vh__known_put(images, source->ref, digest, &why))
        vh__log(images->env, VH_LOG_WARN, "image", NULL, "without its registry %s will not be found: %s", source->ref,
                why.msg);
}

static int open_image(vh_images *images, const char *ref, const vh__wait *w, vh_image *image, vh_error *err)
{
    vh_auto_source vh__source *source = NULL;
    char digest[VH_DIGEST_TEXT];
    vh__oci_descriptor manifest;
    int rc = vh__image_find(images, ref, w, digest, &source, &manifest, err);

    if (rc)
        return rc;
    if (source) {
        rc = pin_or_make(images, source, &manifest, w, image, err);
        if (rc == 0)
            remember(images, source, digest);
        return rc;
    }
    rc = pin(images, digest, image, err);
    return rc == -EWOULDBLOCK ? vh_error_set(err, VH_ESTATE, "it is being made or removed: try again") : rc;
}

int vh_image_open(vh_images *images, const char *ref, const vh_call *call, vh_image **image, vh_error *err)
{
    vh__wait w = vh__wait_from(call, OPEN_MS);
    vh_image *i = calloc(1, sizeof(*i));
    int rc;

    if (!i)
        return vh_error_set(err, -ENOMEM, "image %s", ref);
    i->lock = -1;
    rc = open_image(images, ref, &w, i, err);
    if (rc) {
        (void)vh_error_wrap(err, rc, "image %.300s", ref);
        vh_image_close(i);
        return rc;
    }
    if (err)
        *err = (vh_error){ 0 }; /* rounds that did not succeed have left their message */
    *image = i;
    return 0;
}

void vh_image_close(vh_image *image)
{
    if (!image)
        return;
    vh__image_unload(image);
    vh__fd_close(&image->lock);
    free(image);
}

const vh_image_info *vh_image_info_get(const vh_image *image)
{
    return &image->info;
}

const vh_image_config *vh_image_config_get(const vh_image *image)
{
    return &image->config.run;
}

const char *vh_image_digest(const vh_image *image)
{
    return image->info.digest;
}

const char *vh_image_rootfs_digest(const vh_image *image)
{
    return image->info.rootfs_digest;
}

const char *vh_image_rootfs_path(const vh_image *image)
{
    return image->rootfs;
}

int vh_image_check_runnable(const vh_image *image, vh_error *err)
{
    if (image->config.run.argv[0])
        return 0;
    return vh_error_set(err, VH_EIMAGE, "image %.300s names no command to run: build it with an ENTRYPOINT or CMD",
                        image->info.ref);
}
