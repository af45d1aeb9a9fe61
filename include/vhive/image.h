/*
 * vh_images: OCI images as read-only root file systems. Opening a reference turns the image's layers into one
 * squashfs, once: equal layers give equal bytes, on any machine at any time, so that the digest of the file names
 * its content. The image's configuration lies beside it.
 *
 *     vh_images *images;
 *     vh_image *image;
 *     if (vh_images_new(env, NULL, &images, &err) == 0 &&
 *         vh_image_open(images, "oci:build/functions/hello", NULL, &image, &err) == 0) {
 *         ... attach vh_image_rootfs_path(image) to a VM, start vh_image_config_get(image)->argv ...
 *         vh_image_close(image);
 *     }
 *
 * References: "oci:DIR[:TAG]", an OCI image layout in DIR. TAG is what follows the last ':' after the last '/', so a
 * DIR whose last part has a ':' needs its TAG written out. Without TAG it is "latest", else the only manifest if that
 * has no name. "docker://[HOST[:PORT]/]NAME[:TAG|@sha256:HEX]", an image of a registry, by default docker.io and the
 * tag latest; the scheme may be left out. "docker-archive:FILE[:REF]", what `docker save` writes. An image that is
 * stored already can also be named by its digest, "sha256:<hex>", or by the first 6 or more hex digits of it if no
 * other has the same.
 *
 * A registry is asked what a tag leads to whenever it is opened; layers are downloaded only for an image that is not
 * stored. A reference with a digest is not asked about when its image is stored; when the registry cannot be reached,
 * the image that the tag led to last is used and a warning logged.
 *
 * On disk: <state_dir>/images/<hex of the manifest's digest>/{rootfs.squashfs,config.json,info.json}, each published
 * by one rename. Locks are per image and held in the kernel (flock): any number of threads and processes may open,
 * list and remove at once; one of them converts, the others wait for it.
 *
 * Threads: both objects may be used by all threads; a vh_images
 * must outlive its vh_image objects.
 */
#ifndef VHIVE_IMAGE_H
#define VHIVE_IMAGE_H

#include <stddef.h>
#include <stdint.h>
#include <vhive/attr.h>
#include <vhive/env.h>
#include <vhive/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vh_images vh_images;
typedef struct vh_image vh_image;

/** Limits on what an image may ask for, and how registries are reached. 0: the default. */
typedef struct vh_images_options {
    size_t size;                 /**< sizeof(vh_images_options) */
    uint64_t max_unpacked_bytes; /**< of all layers together, unpacked; holes of sparse files count. Default 16 GiB */
    uint64_t max_entries;        /**< entries of all layers together; default 1 million */
    uint64_t max_config_bytes;   /**< of each JSON document (index, manifest, config); default 4 MiB */
    const char *auth_file;       /**< Docker's config.json, whose "auths" registries get. NULL, "": $REGISTRY_AUTH_FILE
                                      if that is set, else $DOCKER_CONFIG/config.json if that is, else those there are
                                      of $XDG_RUNTIME_DIR/containers/auth.json (without the variable it is in
                                      /run/containers/UID), $XDG_CONFIG_HOME/containers/auth.json (~/.config) and
                                      ~/.docker/config.json. Credential helpers are not run */
    const char *ca_file;         /**< PEM file of authorities to trust beside the system's; NULL, "": none */
    const char *mirrors;         /**< "HOST=MIRROR[,MIRROR]... ...": asked in this order before HOST itself */
    const char *insecure_registries; /**< "HOST[:PORT] ...", which may answer in plain HTTP, as those of this machine
                                          may without being named */
    uint32_t downloads;          /**< layers that are downloaded at once, at most 16; default 3 */
} vh_images_options;

#define VH_IMAGES_OPTIONS_INIT { .size = sizeof(vh_images_options) }

/**
 * Makes the store's object from |env| (borrowed) and |opts| (copied; NULL: defaults), and removes what conversions
 * of dead processes left. Creates no directory. The caller owns |*images| (vh_images_free()).
 * Returns 0, -ENOMEM, or VH_EINVALID for limits over 100 million entries or 64 MiB of config, and for lists of
 * hosts that cannot be read.
 */
VH_API VH_MUST_CHECK int vh_images_new(vh_env *env, const vh_images_options *opts, vh_images **images, vh_error *err);
/** Frees |images|; NULL is fine. Its vh_image objects must be closed before. */
VH_API void vh_images_free(vh_images *images);

/** Longest reference, NUL included; longer ones are VH_EINVALID. */
#define VH_IMAGE_REF 1024
/** Room for "sha256:", 64 hex digits and NUL. */
#define VH_IMAGE_DIGEST 72

/** What is known about a stored image. Plain data. */
typedef struct vh_image_info {
    char ref[VH_IMAGE_REF];             /**< the reference it was made from, its directory absolute */
    char digest[VH_IMAGE_DIGEST];       /**< of the manifest: its name in the store */
    char rootfs_digest[VH_IMAGE_DIGEST]; /**< of the squashfs: equal layers, equal digest */
    char architecture[16];              /**< "amd64" */
    int64_t created_s;                  /**< when it was built, by its own account, Unix time; 0 unknown */
    int64_t converted_s;                /**< when its squashfs was made, Unix time */
    uint64_t rootfs_bytes;              /**< of the squashfs */
    uint64_t unpacked_bytes;            /**< of the layers' tar streams */
    uint32_t layers;
} vh_image_info;

/** How to run an image. Borrowed from its vh_image. */
typedef struct vh_image_config {
    const char *const *argv; /**< entrypoint and command, NULL-terminated; empty: see vh_image_check_runnable() */
    const char *const *env;  /**< "NAME=VALUE", NULL-terminated */
    const char *cwd;         /**< absolute; "/" when the image names none */
    const char *user;        /**< "name|uid[:group|gid]"; "" when the image names none: root */
    uint16_t port;           /**< lowest exposed TCP port; 0: none */
    int stop_signal;         /**< number on Linux; SIGTERM when the image names none */
    const char *invoke;      /**< label io.vhive.invoke, a typical request as vh_invoke_parse() takes it; "" without */
} vh_image_config;

/**
 * Opens the image |ref| for linux/amd64, converting it first if that has not been done, and pins it: it cannot be
 * removed until vh_image_close(). Every blob that is read is checked against its digest and size, every layer's tar
 * stream against the config's diff_ids. Progress is reported as "pull" while layers are downloaded, and as
 * "convert", both in bytes of compressed layers.
 * Default deadline 10 min. On success the caller owns |*image|.
 *
 * Layers apply as in Docker: a file replaces a directory and the other way round; whiteouts and opaque marks act on
 * lower layers only; of several entries for one path the last one of the uppermost layer counts; missing parents are
 * root's with mode 0755. A directory replaces a symlink of a lower layer; an entry *below* a symlink of its own layer
 * is refused, as are ".." in names, hard links to what is not there, and one layer using a path as a directory and as
 * something else. Names may start with "/" or "./". Of extended attributes security.capability and user.* are kept.
 * All times are 0.
 *
 * Errors: VH_EINVALID (reference), VH_ENOTFOUND (no such layout, tag or stored digest), VH_EIMAGE (made for another
 * platform, not an image, or layers that cannot be applied), VH_ECORRUPT (blob missing, cut or not what its digest
 * says: names it, what was expected and found), VH_ELIMIT (those of vh_images_options; 256 layers, 32 GiB per file,
 * 65536 owners), VH_EREMOTE (the registry says no: login, redirect to plain HTTP, certificate), VH_EPROTOCOL,
 * -ECONNREFUSED, -EHOSTUNREACH, -EHOSTDOWN (a registry that cannot be reached, or cannot answer), VH_ETIMEDOUT,
 * VH_ECANCELED, -errno (-ENOSPC: where, and how much is wanted).
 * On error |*image| is untouched and nothing is left behind.
 */
VH_API VH_MUST_CHECK int vh_image_open(vh_images *images, const char *ref, const vh_call *call, vh_image **image,
                                       vh_error *err);
/** Unpins and frees |image|; NULL is fine. */
VH_API void vh_image_close(vh_image *image);

/** What is known about |image|; all borrowed, valid until vh_image_close(). */
VH_API const vh_image_info *vh_image_info_get(const vh_image *image);
VH_API const vh_image_config *vh_image_config_get(const vh_image *image);
VH_API const char *vh_image_digest(const vh_image *image);        /**< of the manifest, "sha256:<hex>" */
VH_API const char *vh_image_rootfs_digest(const vh_image *image); /**< of the squashfs, "sha256:<hex>" */
VH_API const char *vh_image_rootfs_path(const vh_image *image);   /**< the squashfs, absolute; never written to */

/** 0 if |image| says what to run, else VH_EIMAGE with the remedy. */
VH_API VH_MUST_CHECK int vh_image_check_runnable(const vh_image *image, vh_error *err);

/** Called for each image, on the caller's thread; |info| is borrowed for the call. Non-zero ends the listing. */
typedef int (*vh_images_list_fn)(const vh_image_info *info, void *arg);

/** Lists the stored images in the order of their digests. Returns 0, what |fn| returned, or -errno. A damaged one is
 *  left out and logged; a store that does not exist yet is empty. */
VH_API VH_MUST_CHECK int vh_images_list(vh_images *images, vh_images_list_fn fn, void *arg, vh_error *err);

/** Fills |info| about the stored image |name| (reference, digest or digest prefix); no registry is asked. VH_ENOTFOUND
 *  if it is not stored, VH_EINVALID for a prefix that several have. */
VH_API VH_MUST_CHECK int vh_images_inspect(vh_images *images, const char *name, vh_image_info *info, vh_error *err);

/** Removes the stored image |name|, as in vh_images_inspect(). VH_ESTATE while anyone has it open. */
VH_API VH_MUST_CHECK int vh_images_remove(vh_images *images, const char *name, vh_error *err);

#ifdef __cplusplus
}
#endif
#endif
