/*
 * The file a result goes to: there as a whole or not at all. It is opened before anything is measured, so that a wrong
 * path is told then, and takes its name when it is complete.
 */
#ifndef BENCH_OUTFILE_H
#define BENCH_OUTFILE_H

#include <stdio.h>
#include <vhive/error.h>

typedef struct bench_outfile {
    FILE *f;
    const char *path; /* NULL: standard output; borrowed */
    char *temporary;  /* beside it; owned */
} bench_outfile;

/** Opens what becomes |path|; NULL: standard output. -errno; VH_EINVALID: there is something other than a file. */
VH_MUST_CHECK int bench_outfile_open(bench_outfile *o, const char *path, vh_error *err);
/** Puts the file in place. -errno of writing it. */
VH_MUST_CHECK int bench_outfile_commit(bench_outfile *o, vh_error *err);
/** Releases |o|, removing what was not put in place. Zeroed ones and a second call are fine. */
void bench_outfile_close(bench_outfile *o);

#endif
