/* The last bytes of something that may say any amount: a guest's console, a VMM's complaints. */
#ifndef VH_VMM_RING_H
#define VH_VMM_RING_H

#include <stdbool.h>
#include <stddef.h>

#define VH_RING_SIZE 8192

/** Zero-initialise. */
typedef struct vh__ring {
    size_t total; /* bytes ever put in */
    char bytes[VH_RING_SIZE];
} vh__ring;

void vh__ring_put(vh__ring *r, const char *bytes, size_t n);
/**
 * Copies the last lines, at most |n| - 1 bytes of them, into |out| as one terminated line of printable ASCII: line
 * ends become " | ", everything else unprintable "?". Returns |out|.
 */
const char *vh__ring_tail(const vh__ring *r, char *out, size_t n);
/**
 * Copies what |mark| begins, to the end of its line and at most |n| - 1 bytes, into |out|, printable as above; the first
 * one that is still there. False if there is none.
 */
bool vh__ring_find(const vh__ring *r, const char *mark, char *out, size_t n);

#endif
