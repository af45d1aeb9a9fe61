/*
 * Fetching the layers of a remote image, several at once, into files without a name, while those that are there are
 * converted. The uppermost comes first, as the conversion wants them; a layer is given out when it is whole and
 * verified. What a process that dies leaves behind is nothing.
 *
 * Progress is reported as "pull", summed over all layers. Threads: one uses it; its own threads call the source.
 */
#ifndef VH_IMAGE_FETCH_H
#define VH_IMAGE_FETCH_H

#include <stdbool.h>
#include <vhive/env.h>

#include "source.h"

typedef struct vh__fetch vh__fetch;

/** What to fetch. All borrowed for the fetch's life. */
typedef struct vh__fetch_job {
    const vh_env *env;
    vh__source *source;
    const vh__oci_descriptor *layers; /* lowest first */
    size_t n;
    unsigned parallel; /* 1..VH_FETCH_MAX */
    const char *dir;   /* where there is room for them */
} vh__fetch_job;

/** Most layers at once. */
enum { VH_FETCH_MAX = 16 };

/** Starts. On success the caller owns |*out| (vh__fetch_stop()). -ENOSPC: |dir|'s file system has less room than the
 *  layers want. */
VH_MUST_CHECK int vh__fetch_start(const vh__fetch_job *job, const vh__wait *w, vh__fetch **out, vh_error *err);
/** Waits for layer |i| and opens it at its start; the caller owns |*fd|. May be called again for the same one, but not
 *  while an earlier descriptor of it is read: they share a position. When any layer has failed, its error. */
VH_MUST_CHECK int vh__fetch_open(vh__fetch *f, size_t i, const vh__wait *w, int *fd, vh_error *err);
/** Whether all layers are there. */
bool vh__fetch_done(vh__fetch *f);
/** Ends what is under way and frees |f|; NULL is fine. */
void vh__fetch_stop(vh__fetch *f);

#endif
