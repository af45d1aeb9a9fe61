/*
 * The store: <state_dir>/images/<hex>/ per image, <state_dir>/images/.tmp-<hex>/ while one is made or removed,
 * <state_dir>/images/refs/<hex> what references of registries led to, <state_dir>/images/locks/<hex>, locked shared by
 * who has the image open, exclusively by who makes or removes it.
 * So whoever holds the exclusive lock owns .tmp-<hex>, and one found without it is a dead process's.
 */
#ifndef VH_IMAGE_IMAGE_PRIV_H
#define VH_IMAGE_IMAGE_PRIV_H

#include <vhive/image.h>

#include "layer.h"
#include "oci.h"
#include "source.h"
#include "wait.h"

struct vh_images {
    vh_env *env;
    char *dir;
    uint64_t max_unpacked, max_entries;
    size_t max_config;
    unsigned downloads; /* at once */
    vh__source_context context;
    char *auth_file, *ca_file, *mirrors, *insecure; /* what |context| borrows; NULL where nothing was given */
};

struct vh_image {
    int lock; /* held shared while the image is open */
    vh_image_info info;
    vh__oci_config config;
    char *rootfs;
};

/* In paths an image goes by the hex digits of its digest. */
static inline const char *vh__image_hex(const char *digest)
{
    return digest + 7;
}

/**
 * Takes the lock of |digest| without waiting, |how| LOCK_SH or LOCK_EX; -EWOULDBLOCK if somebody holds it otherwise,
 * VH_ENOTFOUND if there is nothing to share.
 * On success the caller owns |*fd|, whose close releases it. flock() works between threads as between processes,
 * since each call opens the file anew.
 */
VH_MUST_CHECK int vh__image_lock(const vh_images *images, const char *digest, int how, int *fd, vh_error *err);
/** Removes the file of the lock, which the caller holds exclusively, if there is no such image. */
void vh__image_lock_forget(const vh_images *images, const char *digest);

/** Reads what is known about a stored image. VH_ENOTFOUND, VH_ECORRUPT. */
VH_MUST_CHECK int vh__image_info_read(const vh_images *images, const char *digest, vh_image_info *info,
                                      vh_error *err);
/** Fills |image|, but for its lock, from the store; on error it owns nothing. VH_ENOTFOUND, VH_ECORRUPT. */
VH_MUST_CHECK int vh__image_load(const vh_images *images, const char *digest, vh_image *image, vh_error *err);
/** Frees what vh__image_load() filled. */
void vh__image_unload(vh_image *image);

/** Path of the stored image, or of the directory that is made before (|tmp|). NULL: out of memory. */
VH_MUST_CHECK char *vh__image_path(const vh_images *images, const char *digest, bool tmp);
/** Removes the image by way of its .tmp directory, so that it is never seen in part. Needs the exclusive lock. */
VH_MUST_CHECK int vh__image_drop(const vh_images *images, const char *digest, vh_error *err);
/** Removes the .tmp directories that have no owner. What cannot be removed is logged. */
void vh__images_sweep(const vh_images *images);

/** The documents of an image, read and verified. Zero-initialise; vh__image_docs_fini(). */
typedef struct vh__image_docs {
    vh__oci_manifest manifest;
    vh__oci_config config;
    vh__buf config_text;
} vh__image_docs;

void vh__image_docs_fini(vh__image_docs *d);

/** Makes the image |manifest| of |source| and publishes it. Needs the exclusive lock. Leaves nothing on error. */
VH_MUST_CHECK int vh__image_make(const vh_images *images, vh__source *source, const vh__oci_descriptor *manifest,
                                 const vh__wait *w, vh_error *err);
/** Writes config.json and info.json beside the squashfs in |dir|, and puts |dir| in its place for good. */
VH_MUST_CHECK int vh__image_publish(const vh_images *images, const char *dir, const vh_image_info *info,
                                    const vh__image_docs *docs, vh_error *err);

/**
 * Digest (VH_DIGEST_TEXT bytes) of the image |name|: a digest, a unique prefix of a stored one, or a reference, which
 * is followed. For a reference |*source| (the caller's to close) and |*manifest| say where it comes from; else
 * |*source| is NULL.
 */
VH_MUST_CHECK int vh__image_find(const vh_images *images, const char *name, const vh__wait *w, char *digest,
                                 vh__source **source, vh__oci_descriptor *manifest, vh_error *err);

#endif
