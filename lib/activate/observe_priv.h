/* Collects the headers that carry a trace; who reads which protocol feeds them. */
#ifndef VH_ACTIVATE_OBSERVE_PRIV_H
#define VH_ACTIVATE_OBSERVE_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Kept of one header; longer ones are none of ours. The longest is b3, with 68. */
#define VH_OBSERVED_TEXT 80

enum {
    VH_OBSERVED_W3C,
    VH_OBSERVED_B3,
    VH_OBSERVED_TRACE_ID,
    VH_OBSERVED_SPAN_ID,
    VH_OBSERVED_PARENT,
    VH_OBSERVED_SAMPLED,
    VH_OBSERVED_FLAGS,
    VH_OBSERVED
};

/** "" where there was none. Zero-initialise. */
typedef struct vh__observed {
    char values[VH_OBSERVED][VH_OBSERVED_TEXT];
} vh__observed;

/** Takes a header, whose name may be of any case. The first of a name counts. */
void vh__observed_header(vh__observed *o, const void *name, size_t name_len, const void *value, size_t value_len);

/** Feeds |o| the headers of the first HEADERS frame in |n| bytes that begin with the preface of HTTP/2. */
void vh__observe_h2(const uint8_t *bytes, size_t n, vh__observed *o);
/** True if |n| bytes begin with the preface of HTTP/2. */
bool vh__observe_is_h2(const uint8_t *bytes, size_t n);

#endif
