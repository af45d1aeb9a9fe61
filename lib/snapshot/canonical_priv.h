/* Canonical text of JSON: the same value gives the same bytes, whoever wrote it and in whichever order. */
#ifndef VH_SNAPSHOT_CANONICAL_PRIV_H
#define VH_SNAPSHOT_CANONICAL_PRIV_H

#include <cjson/cJSON.h>

#include "buf.h"
#include "digest.h"

/** Appends |j|: members sorted by name at every level, no spaces. -ENOMEM. */
VH_MUST_CHECK int vh__canonical_print(const cJSON *j, vh__buf *out, vh_error *err);

/** Digest of the canonical text of |j|. */
VH_MUST_CHECK int vh__canonical_digest(const cJSON *j, char text[VH_DIGEST_TEXT], vh_error *err);

#endif
