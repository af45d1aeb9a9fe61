/* One stream of output on its way to whoever wants it: what cannot be written now is kept, by callers' bounds. */
#ifndef VH_SHIM_OUTPUT_H
#define VH_SHIM_OUTPUT_H

#include "buf.h"

struct output {
    int fd; /* non-blocking pipe; -1: nobody wants it */
    vh__buf pending;
};

/** Adds |n| bytes. Without memory for them the stream is given up: output is lost rather than the VM. */
void output_put(struct output *o, const void *bytes, size_t n);
/** Writes what the pipe takes. One whose reader is gone is closed. */
void output_write(struct output *o);
/** Closes it and forgets what is pending. */
void output_close(struct output *o);

#endif
