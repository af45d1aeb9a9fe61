#ifndef VH_IMAGE_OCI_PRIV_H
#define VH_IMAGE_OCI_PRIV_H

#include "oci.h"

/** Parses a document that must be an object; VH_EIMAGE. The caller owns |*doc|. */
VH_MUST_CHECK int vh__oci_parse(const char *bytes, size_t n, const char *what, cJSON **doc, vh_error *err);

#endif
