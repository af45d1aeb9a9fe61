/*
 * record: what is deployed under a name, and its file. Immutable once it is complete, and shared by those who hold it:
 * an instance keeps the one it was started with.
 */
#ifndef VH_FN_RECORD_H
#define VH_FN_RECORD_H

#include <vhive/fn.h>
#include <vhive/image.h>

#include "buf.h"

/* Longest file that is read. */
#define VH_RECORD_MAX (1 << 20)

struct record {
    vh_function_spec spec; /* strings owned; defaults filled in */
    char image_digest[VH_IMAGE_DIGEST];
    char listen[VH_FUNCTION_ADDRESS]; /* address it is reached at, "": none yet */
    uint32_t revision;
    int64_t deployed_ns;
    vh_image *image; /* keeps it from being removed; NULL: not opened yet. Under the owner's lock */
    unsigned holders; /* under the owner's lock */
};

/** Checks |spec| but for what only the image can tell. VH_EINVALID names the member. */
VH_MUST_CHECK int vh__record_check(const vh_function_spec *spec, vh_error *err);
/** Makes a record of |spec| (copied, checked), held once. VH_EINVALID, -ENOMEM. */
VH_MUST_CHECK int vh__record_new(const vh_function_spec *spec, struct record **record, vh_error *err);
void vh__record_hold(struct record *record);
/** Frees it with the last holder. NULL is fine. */
void vh__record_drop(struct record *record);
/** Whether instances of |a| serve for |b| as well: all is equal but how many there are, and how long. */
bool vh__record_same_revision(const struct record *a, const struct record *b);

/** Whether |name| can be a function's. */
bool vh__record_is_name(const char *name);

/** Prints |record| as the content of its file. Out of memory is sticky. */
void vh__record_print(const struct record *record, vh__buf *out);
/** Parses the content of a file. VH_EINVALID for anything that this library would not have written; -ENOMEM. */
VH_MUST_CHECK int vh__record_parse(const char *text, size_t n, struct record **record, vh_error *err);

#endif
