/*
 * What references of registries last led to: <state_dir>/images/refs/<hex of the reference's digest>, two lines, the
 * digest of the manifest and the reference. With it an image is found without asking the registry.
 */
#ifndef VH_IMAGE_KNOWN_H
#define VH_IMAGE_KNOWN_H

#include "image_priv.h"

/** Digest of the stored image that |ref| last led to. VH_ENOTFOUND: none is known, or it is not stored any more. */
VH_MUST_CHECK int vh__known_get(const vh_images *images, const char *ref, char digest[VH_DIGEST_TEXT],
                                vh_error *err);
/** Notes that |ref| leads to |digest|. */
VH_MUST_CHECK int vh__known_put(const vh_images *images, const char *ref, const char *digest, vh_error *err);
/** Forgets all references that lead to |digest|. */
void vh__known_forget(const vh_images *images, const char *digest);

#endif
