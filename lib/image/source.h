/*
 * Where an image's blobs come from. A reference is parsed into a source; what is read from it is verified here, so a
 * source itself is not trusted. One ops table per kind of reference: "oci:" a layout in a directory, "docker://" a
 * registry, "docker-archive:" a file of `docker save`.
 */
#ifndef VH_IMAGE_SOURCE_H
#define VH_IMAGE_SOURCE_H

#include <vhive/error.h>

#include "buf.h"
#include "oci.h"
#include "registry.h"
#include "wait.h"

typedef struct vh__source vh__source;

/** What sources are made with. Borrowed for the life of the source. */
typedef struct vh__source_context {
    const vh_env *env;
    vh__registry_options registry;
    uint64_t max_bytes; /* of a compressed file that must be unpacked to be read */
} vh__source_context;

/** What a kind of source does. Required but for |fetch|; called by one thread at a time but for |fetch|. */
typedef struct vh__source_ops {
    const char *scheme; /* "oci:" */
    /* Parses what follows the scheme. The source is the caller's to close. */
    int (*open)(const vh__source_context *context, const char *rest, vh__source **out, vh_error *err);
    /* The descriptor that the reference leads to: an index or a manifest. Documents over |max| bytes are refused. */
    int (*resolve)(vh__source *s, size_t max, const vh__wait *w, vh__oci_descriptor *out, vh_error *err);
    /* A descriptor to read the blob from, start to end; it may be a pipe. The caller owns |*fd|. */
    int (*open_blob)(vh__source *s, const vh__oci_descriptor *d, const vh__wait *w, int *fd, vh_error *err);
    /* Puts a blob into a file, verified. NULL: blobs are on this machine, and open_blob() is as good. */
    int (*fetch)(vh__source *s, const vh__registry_blob *b, const vh__wait *w, vh_error *err);
    void (*close)(vh__source *s);
} vh__source_ops;

struct vh__source {
    const vh__source_ops *ops;
    char ref[VH_IMAGE_REF];      /* the reference in full: absolute directory, host, tag */
    char digest[VH_DIGEST_TEXT]; /* that the reference itself demands; "": none */
};

/**
 * Opens the source that |ref| names; without a scheme it is of a registry. VH_EINVALID, VH_ENOTFOUND. On success the
 * caller owns |*out|.
 */
VH_MUST_CHECK int vh__source_open(const vh__source_context *context, const char *ref, vh__source **out,
                                  vh_error *err);
/** Closes |s|; NULL is fine. */
void vh__source_close(vh__source *s);
void vh__source_auto_close(vh__source **s);
#define vh_auto_source __attribute__((cleanup(vh__source_auto_close)))

/** Follows the reference, through an index if need be, to the descriptor of the manifest for linux/amd64. */
VH_MUST_CHECK int vh__source_manifest(vh__source *s, size_t max, const vh__wait *w, vh__oci_descriptor *out,
                                      vh_error *err);

/** Reads the whole blob |d| of at most |max| bytes into |out|, verified. VH_ECORRUPT, VH_ELIMIT. */
VH_MUST_CHECK int vh__source_read(vh__source *s, const vh__oci_descriptor *d, size_t max, const vh__wait *w,
                                  vh__buf *out, vh_error *err);

/** Splits "DIR[:TAG]" (see <vhive/image.h>): |*dir_len| of |rest| is DIR, |*tag| is TAG or NULL. VH_EINVALID. */
VH_MUST_CHECK int vh__oci_split(const char *rest, size_t *dir_len, const char **tag, vh_error *err);

/** A descriptor of a file in memory with these bytes, at its start. The caller owns |*fd|. */
VH_MUST_CHECK int vh__source_memory(const void *bytes, size_t n, int *fd, vh_error *err);

extern const vh__source_ops vh__source_oci, vh__source_registry, vh__source_archive;

#endif
