/*
 * The JSON of OCI images (and Docker's twin of it), bytes in, values out: index, manifest, configuration. All of it
 * comes from strangers: types are checked, counts and lengths bounded, digests must be sha256.
 */
#ifndef VH_IMAGE_OCI_H
#define VH_IMAGE_OCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cjson/cJSON.h>
#include <vhive/image.h>

#include "digest.h"

/** Most layers of one image; Docker itself stops at 127. */
#define VH_OCI_LAYERS_MAX 256

typedef enum vh__oci_kind {
    VH_OCI_OTHER = 0, /* attestations, charts, what is not for us */
    VH_OCI_INDEX,     /* OCI index, Docker manifest list */
    VH_OCI_MANIFEST,
    VH_OCI_CONFIG,
    VH_OCI_TAR, /* layers, by compression */
    VH_OCI_TAR_GZIP,
    VH_OCI_TAR_ZSTD,
} vh__oci_kind;

/** Names a blob. */
typedef struct vh__oci_descriptor {
    vh__oci_kind kind;
    char digest[VH_DIGEST_TEXT];
    uint64_t size;
} vh__oci_descriptor;

typedef struct vh__oci_manifest {
    vh__oci_descriptor config;
    size_t n; /* layers, lowest first */
    vh__oci_descriptor layers[VH_OCI_LAYERS_MAX];
} vh__oci_manifest;

/** A parsed configuration. Zero-initialise; vh__oci_config_fini(). */
typedef struct vh__oci_config {
    vh_image_config run; /* points into what follows */
    char architecture[16];
    int64_t created_s; /* Unix time, 0 unknown */
    size_t n;          /* layers */
    char (*diff_ids)[VH_DIGEST_TEXT];
    cJSON *doc;
    const char **argv, **env;
} vh__oci_config;

/**
 * Picks the image |tag| for linux/amd64 from an index; |tag| NULL: "latest", else the only image if it has no name;
 * "" : any name (an index that a descriptor led to). VH_ENOTFOUND names the tags there are, VH_EIMAGE the platforms.
 */
VH_MUST_CHECK int vh__oci_index_pick(const char *bytes, size_t n, const char *tag, vh__oci_descriptor *out,
                                     vh_error *err);

/**
 * What the document is that a registry calls |media_type| ("" when it says nothing): VH_OCI_INDEX or VH_OCI_MANIFEST.
 * VH_EIMAGE for others, Docker's schema 1 among them.
 */
VH_MUST_CHECK int vh__oci_document_kind(const char *bytes, size_t n, const char *media_type, vh__oci_kind *out,
                                        vh_error *err);

/** Parses a manifest. VH_EIMAGE when it is not one of a container image. */
VH_MUST_CHECK int vh__oci_manifest_parse(const char *bytes, size_t n, vh__oci_manifest *out, vh_error *err);

/** Puts "layer I of N (DIGEST)" in front of |err|, made of layer |i| of |n|, and returns |rc|. */
int vh__oci_layer_failed(const vh__oci_descriptor *layers, size_t n, size_t i, int rc, vh_error *err);

/** Parses an image's configuration; on success the caller owns |out| (vh__oci_config_fini()). VH_EIMAGE. */
VH_MUST_CHECK int vh__oci_config_parse(const char *bytes, size_t n, vh__oci_config *out, vh_error *err);
void vh__oci_config_fini(vh__oci_config *c);

/** Number on Linux of "SIGTERM", "TERM", "SIGRTMIN+3" or "15"; 0 if it names none. */
int vh__oci_signal(const char *text);

#endif
