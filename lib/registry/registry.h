/*
 * Client of container registries, the OCI distribution API: manifests by tag or digest, blobs into files.
 *
 *     vh__registry_ref ref;
 *     rc = vh__registry_ref_parse("localhost:5000/hello:v1", &ref, err);
 *     rc = vh__registry_new(env, &options, &ref, &r, err);
 *     rc = vh__registry_manifest(r, ref.tag, max, w, &text, media_type, err);
 *     rc = vh__registry_blob(r, &blob, w, err);
 *     vh__registry_free(r);
 *
 * Mirrors are asked first, in their order, then the registry itself. A connection that breaks is resumed, "too many
 * requests" and "unavailable" are waited out as long as the deadline allows, but not those of a mirror, which is left
 * out from then on. Redirects are followed a few times and never from https to http. TLS is spoken everywhere but with hosts of this machine and those named insecure, which
 * may answer in plain HTTP. Credentials go to the host they are for, to the token service it names, and nowhere else;
 * no message has them.
 *
 * Threads: a vh__registry may be used by several at once; its token is fetched by one for all.
 */
#ifndef VH_REGISTRY_REGISTRY_H
#define VH_REGISTRY_REGISTRY_H

#include <stddef.h>
#include <stdint.h>
#include <vhive/env.h>
#include <vhive/error.h>

#include "buf.h"
#include "digest.h"
#include "wait.h"

#define VH_REGISTRY_HOST_MAX 255 /* with its port */
#define VH_REGISTRY_NAME_MAX 255
#define VH_REGISTRY_TAG_MAX  128
/** Room for a media type. */
#define VH_REGISTRY_TYPE 128

/** An image of a registry. Plain data. */
typedef struct vh__registry_ref {
    char host[VH_REGISTRY_HOST_MAX + 1]; /* "docker.io" when none was written */
    char name[VH_REGISTRY_NAME_MAX + 1]; /* "library/busybox" */
    char tag[VH_REGISTRY_TAG_MAX + 1];   /* "" when there is a digest; else "latest" when none was written */
    char digest[VH_DIGEST_TEXT];         /* "" when none was written */
} vh__registry_ref;

/**
 * Parses "[HOST[:PORT]/]NAME[:TAG][@DIGEST]" as Docker does: the part before the first '/' is a host if it has a '.',
 * a ':' or an upper-case letter, or is "localhost". A tag beside a digest is dropped. VH_EINVALID.
 */
VH_MUST_CHECK int vh__registry_ref_parse(const char *text, vh__registry_ref *out, vh_error *err);
/** Writes |ref| in full, "HOST/NAME:TAG" or "HOST/NAME@DIGEST", which parses to the same; cut to |cap|. */
void vh__registry_ref_print(const vh__registry_ref *ref, char *out, size_t cap);

/** How to reach registries. All borrowed for the call that takes it; NULL and "" mean none. */
typedef struct vh__registry_options {
    const char *auth_file; /* Docker's config.json, whose "auths" are used; NULL: where docker and podman look */
    const char *ca_file;   /* PEM of certificate authorities to trust beside the system's */
    const char *mirrors;   /* "HOST=MIRROR[,MIRROR]... ..." */
    const char *insecure;  /* "HOST ...": may answer in plain HTTP; spaces or commas between them */
} vh__registry_options;

/** Whether |o| can be understood: VH_EINVALID says what cannot. Reads no file. */
VH_MUST_CHECK int vh__registry_options_check(const vh__registry_options *o, vh_error *err);

typedef struct vh__registry vh__registry;

/**
 * Makes a client for the image |ref| (copied); |env| is borrowed for its life. Reads the credentials, connects
 * nowhere. On success the caller owns |*out|. VH_EINVALID (options, config.json), -ENOENT (a file that was named).
 */
VH_MUST_CHECK int vh__registry_new(const vh_env *env, const vh__registry_options *o, const vh__registry_ref *ref,
                                   vh__registry **out, vh_error *err);
/** Frees |r|; NULL is fine. */
void vh__registry_free(vh__registry *r);

/**
 * Gets the manifest or index |which|, a tag or a digest, of at most |max| bytes into |text| (emptied first), and its
 * media type, "" if the registry names none. What a digest named is verified; a tag is whatever the registry says.
 * VH_ECORRUPT; VH_ENOTFOUND; VH_EREMOTE (refused: login, name); VH_ELIMIT; unreachable, see vh__registry_unreachable(); as
 * vh__http_do().
 */
VH_MUST_CHECK int vh__registry_manifest(vh__registry *r, const char *which, size_t max, const vh__wait *w,
                                        vh__buf *text, char media_type[VH_REGISTRY_TYPE], vh_error *err);

/** A blob to be fetched. All borrowed for the call. */
typedef struct vh__registry_blob {
    const char *digest;
    uint64_t size;
    int fd; /* an empty file */
    void (*moved)(void *arg, int64_t bytes); /* so many more of it have arrived, or less, when it begins anew */
    void *arg;                               /* |moved| NULL: nobody asks */
} vh__registry_blob;

/**
 * Fetches |b|, whole and verified. Errors as vh__registry_manifest(), VH_ECORRUPT (another digest or size), or those
 * of writing (-ENOSPC).
 */
VH_MUST_CHECK int vh__registry_blob_get(vh__registry *r, const vh__registry_blob *b, const vh__wait *w,
                                        vh_error *err);

/** Whether |rc| means that no registry could be reached or was able to answer, rather than that it said no. */
bool vh__registry_unreachable(int rc);

#endif
