/*
 * manifest.json: what a snapshot is, belongs to and must look like. Bytes in, values out, and the reverse; no files.
 * Its text ends with a digest of all that stands before, so that a flipped bit in it is noticed like any other.
 */
#ifndef VH_SNAPSHOT_MANIFEST_PRIV_H
#define VH_SNAPSHOT_MANIFEST_PRIV_H

#include "buf.h"
#include "snapshot.h"

/** Most bytes of a manifest: 64 GiB of memory need 2.5 MiB of chunk digests. */
#define VH_MANIFEST_MAX (4U << 20)

/** A parsed manifest. Zero-initialise; vh__manifest_fini() at the end. */
typedef struct vh__manifest {
    cJSON *json;                 /* owned; what follows points into it */
    char digest[VH_DIGEST_TEXT]; /* of the manifest, and by what stands in it of the whole snapshot */
    const char *key;
    const char *vmstate_digest;
    const cJSON *chunks;   /* array of vh__chunks_count(info.memory_bytes) strings, each "zero" or a digest */
    const cJSON *machine;  /* the maker's object, NULL if none */
    vh_snapshot_info info; /* what the manifest knows: all but id, labels, problem and working set */
} vh__manifest;

void vh__manifest_fini(vh__manifest *m);
/** Name of the very saving, for its working set: snapshot.h, vh__snapshot_ws_owner(). */
const char *vh__manifest_ws_owner(const vh__manifest *m);
#define vh_auto_manifest __attribute__((cleanup(vh__manifest_fini)))

/**
 * Parses and checks |n| bytes. On error |m| is as it was. VH_ECORRUPT naming the member; VH_EUNSUPPORTED: of another
 * version; -ENOMEM.
 */
VH_MUST_CHECK int vh__manifest_parse(const char *bytes, size_t n, vh__manifest *m, vh_error *err);

/** What goes into a new manifest beside the maker's facts. All borrowed. */
typedef struct vh__manifest_content {
    const char *key;
    const cJSON *identity;
    int64_t created_ns;
    uint64_t memory_bytes;
    const char (*chunks)[VH_DIGEST_TEXT]; /* "": all zero */
    uint64_t vmstate_bytes;
    const char *vmstate_digest;
} vh__manifest_content;

/** Makes the text. VH_EINVALID: |facts| hold what vh__manifest_parse() would refuse; -ENOMEM. */
VH_MUST_CHECK int vh__manifest_print(const vh__manifest_content *c, const vh__snapshot_facts *facts, vh__buf *out,
                                     vh_error *err);

#endif
