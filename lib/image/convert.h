/*
 * Layers to one squashfs: applies them, the uppermost first, and streams file data into the writer as it arrives, so
 * that memory grows with the number of names and not with their content.
 *
 * A hard link whose file an upper layer hides needs data that has passed by already: that layer is then read again
 * for just those files. This is the only case in which a layer is read more than once. (A link whose file a layer in
 * between removed could not be made by any builder; here it gets that file.)
 */
#ifndef VH_IMAGE_CONVERT_H
#define VH_IMAGE_CONVERT_H

#include "layer.h"
#include "oci.h"
#include "wait.h"

/** What to convert. All borrowed for the call. */
typedef struct vh__convert_job {
    const vh__oci_descriptor *layers; /* lowest first */
    const char (*diff_ids)[VH_DIGEST_TEXT];
    size_t n;
    /* Opens layer |i|'s blob at its start; the caller owns |*fd|. Its message names the layer. */
    int (*open)(void *arg, size_t i, const vh__wait *w, int *fd, vh_error *err);
    /* So many of |total| bytes of blobs have been read; NULL: nobody asks. */
    void (*report)(void *arg, uint64_t done, uint64_t total);
    void *arg; /* of both */
    vh__budget budget; /* limits in, use out */
} vh__convert_job;

/** Writes the squashfs of |job| into the empty file |fd| (borrowed). On error the file's content is garbage. */
VH_MUST_CHECK int vh__convert(vh__convert_job *job, int fd, const vh__wait *w, vh_error *err);

#endif
