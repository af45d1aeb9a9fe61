/*
 * The manifest.json of `docker save`: which member is the config, which are the layers. Bytes in, values out; it
 * comes from strangers.
 */
#ifndef VH_IMAGE_ARCHIVE_MANIFEST_H
#define VH_IMAGE_ARCHIVE_MANIFEST_H

#include <cjson/cJSON.h>
#include <vhive/error.h>

#include "oci.h"

/** One image of the archive. Zero-initialise; vh__archive_image_fini(). */
typedef struct vh__archive_image {
    const char *config; /* names of members */
    size_t n;
    const char *layers[VH_OCI_LAYERS_MAX]; /* lowest first */
    cJSON *doc;                            /* holds the texts */
} vh__archive_image;

/**
 * Picks the image whose RepoTags have |tag|, a reference as docker writes it ("hello", "localhost:5000/hello:v1");
 * NULL: the only one. VH_ENOTFOUND names the tags there are; VH_EINVALID for a |tag| that is none; VH_EIMAGE,
 * VH_ELIMIT. The caller owns |out| on success.
 */
VH_MUST_CHECK int vh__archive_image_pick(const char *bytes, size_t n, const char *tag, vh__archive_image *out,
                                         vh_error *err);
void vh__archive_image_fini(vh__archive_image *i);

#endif
