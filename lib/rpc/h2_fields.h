/*
 * A header list on its way from one session of nghttp2 to another. The strings are those that the decoder made,
 * counted by reference, so nothing is copied before the other session does it.
 */
#ifndef VH_RPC_H2_FIELDS_H
#define VH_RPC_H2_FIELDS_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vhive/attr.h>

/** Most bytes of a list that is relayed, counted as HTTP/2 does: what nghttp2 takes for one field or one block. */
#define VH_H2_RELAY_LIST 65536
/** Most fields of one; gRPC's own library for C stops far below. */
#define VH_H2_RELAY_FIELDS 512

struct vh__h2_pair {
    nghttp2_rcbuf *name, *value;
    uint8_t flags;
};

/** Zero-initialise; vh__h2_fields_fini(). */
typedef struct vh__h2_fields {
    struct vh__h2_pair *pairs;
    size_t n, cap, bytes;
    bool over; /* it passed a limit: what came after that is missing */
} vh__h2_fields;

void vh__h2_fields_fini(vh__h2_fields *f);
/** Lets go of the strings, keeps the room. */
void vh__h2_fields_clear(vh__h2_fields *f);
/** Appends a field, whose strings it shares. -ENOMEM. */
VH_MUST_CHECK int vh__h2_fields_add(vh__h2_fields *f, nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags);
/** The value of the first field |name| (lower case), borrowed; NULL if there is none. */
nghttp2_rcbuf *vh__h2_fields_find(const vh__h2_fields *f, const char *name);
/** Fills |nv| with the fields, borrowed; returns their number. */
size_t vh__h2_fields_nv(const vh__h2_fields *f, nghttp2_nv nv[VH_H2_RELAY_FIELDS]);
/** Exchanges two lists. */
void vh__h2_fields_swap(vh__h2_fields *a, vh__h2_fields *b);

#endif
