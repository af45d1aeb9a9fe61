/* SHA-256 as OCI writes it, "sha256:<64 hex digits>", on OpenSSL. */
#ifndef VH_DIGEST_DIGEST_H
#define VH_DIGEST_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vhive/error.h>

/** Room for "sha256:" + 64 hex digits + NUL. */
#define VH_DIGEST_TEXT 72

/** A running hash; make with vh__digest_new(), free with vh__digest_free(). Not thread-safe. */
typedef struct vh__digest vh__digest;

VH_MUST_CHECK int vh__digest_new(vh__digest **d, vh_error *err);
void vh__digest_free(vh__digest *d);
VH_MUST_CHECK int vh__digest_update(vh__digest *d, const void *bytes, size_t n, vh_error *err);
/** Ends the hash and starts a new one. |text| becomes "sha256:...". */
VH_MUST_CHECK int vh__digest_final(vh__digest *d, char text[VH_DIGEST_TEXT], vh_error *err);

/** Digest of |n| bytes. */
VH_MUST_CHECK int vh__digest_bytes(const void *bytes, size_t n, char text[VH_DIGEST_TEXT], vh_error *err);
/** Digest of the whole file behind |fd|, from its start; |what| names it in errors. */
VH_MUST_CHECK int vh__digest_fd(int fd, const char *what, char text[VH_DIGEST_TEXT], vh_error *err);

/** Whether |text| is "sha256:" and 64 lower-case hex digits: nothing else may become part of a path. */
bool vh__digest_valid(const char *text);

#endif
