/* Inside of registry: the sans-I/O cores (challenges, credentials, lists of hosts), and one request. */
#ifndef VH_REGISTRY_REGISTRY_PRIV_H
#define VH_REGISTRY_REGISTRY_PRIV_H

#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdbool.h>

#include "http.h"
#include "registry.h"

/* --- challenge.c: the header WWW-Authenticate */

typedef enum vh__challenge_kind { VH_CHALLENGE_NONE = 0, VH_CHALLENGE_BASIC, VH_CHALLENGE_BEARER } vh__challenge_kind;

typedef struct vh__challenge {
    vh__challenge_kind kind;
    char realm[1024]; /* Bearer: address of the token service */
    char service[256];
} vh__challenge;

/**
 * Picks the best challenge we can answer from the header's text, Bearer before Basic; |kind| NONE if there is none.
 * VH_EPROTOCOL for what is no list of challenges.
 */
VH_MUST_CHECK int vh__challenge_parse(const char *text, vh__challenge *out, vh_error *err);

/* --- credentials.c: Docker's config.json, podman's auth.json */

/** What is known for one host; each NULL or on the heap. vh__login_fini() wipes it. */
typedef struct vh__login {
    char *basic;    /* base64 of "user:password" */
    char *identity; /* refresh token for the token service */
    char *token;    /* bearer token for the registry */
    char helper[64]; /* name of a credential helper that would know, "": none */
} vh__login;

void vh__login_fini(vh__login *l);
/** Frees a string after wiping it; NULL is fine. */
void vh__secret_free(char *secret);

/**
 * Finds what |docs|, an array of parsed config.json, know for |name| on |host|: the entry of the longest prefix of
 * "host/name", and of equal ones the first. VH_EINVALID for an entry that cannot be read; no message quotes it. The
 * caller owns |*out|.
 */
VH_MUST_CHECK int vh__login_find(const cJSON *docs, const char *host, const char *name, vh__login *out, vh_error *err);

/**
 * Reads config.json into the array |*docs|, which the caller owns: |file|, or for NULL and "" what there is of the
 * files that podman, skopeo and docker write, see vh_images_options. -ENOENT for a |file| that is not there,
 * VH_EINVALID.
 */
VH_MUST_CHECK int vh__credentials_read(const char *file, cJSON **docs, vh_error *err);

/* --- endpoints.c: where to ask */

enum { VH_REGISTRY_MIRRORS_MAX = 8 };

/** A mirror, or the registry itself. */
typedef struct vh__endpoint {
    char host[VH_REGISTRY_HOST_MAX + 1]; /* as credentials know it */
    char base[VH_REGISTRY_HOST_MAX + 32]; /* "https://HOST"; "" until it is known */
    bool mirror;
    bool down;           /* a mirror that did not answer when it was last asked: it is not asked again */
    bool may_plain;      /* it may answer in plain HTTP */
    char *authorization; /* header of that name; NULL: none is wanted, or none known yet */
} vh__endpoint;

/** Fills |to| with the mirrors of |host| and, last, |host| itself; |*n| of them. VH_EINVALID, VH_ELIMIT. */
VH_MUST_CHECK int vh__endpoints_make(const vh__registry_options *o, const char *host,
                                     vh__endpoint to[VH_REGISTRY_MIRRORS_MAX + 1], size_t *n, vh_error *err);
/** Whether |host|, with or without a port, is this machine or one of the |insecure| list. */
bool vh__host_may_plain(const char *host, const char *insecure);
/** Whether |host|, "NAME[:PORT]" or "[IPv6][:PORT]", can be one: nothing else may become part of a URL. */
bool vh__host_valid(const char *host, size_t n);

struct vh__registry {
    const vh_env *env;
    vh__registry_ref ref;
    char *ca_file, *insecure;
    cJSON *credentials;
    size_t n;
    vh__endpoint endpoints[VH_REGISTRY_MIRRORS_MAX + 1];
    pthread_mutex_t lock; /* of |base|, |authorization| and |down| */
};

/* --- token.c */

/**
 * Gets the right to pull from |e| after the answer |refused|; with |r->lock| held. VH_EREMOTE when it is denied.
 */
VH_MUST_CHECK int vh__registry_authorize(vh__registry *r, vh__endpoint *e, const vh__http_response *refused,
                                         const vh__wait *w, vh_error *err);

/** The error of having been refused once logged in: VH_EREMOTE. */
int vh__registry_refused(const vh__registry *r, const vh__endpoint *e, vh_error *err);

/* --- request.c */

/** One GET of |path| below "/v2/NAME/". */
typedef struct vh__registry_get {
    const char *path;   /* "manifests/latest" */
    const char *header; /* one more, NULL: none */
    size_t max_body;
    int (*sink)(void *arg, const vh__http_response *r, const void *bytes, size_t n, vh_error *err);
    void *arg;
} vh__registry_get;

/** Asks |e| once, logging in and following redirects as need be. 0 whatever the status, or an error. */
VH_MUST_CHECK int vh__registry_ask(vh__registry *r, vh__endpoint *e, const vh__registry_get *g, const vh__wait *w,
                                   vh__http_response *response, vh_error *err);

/**
 * A request that follows redirects, unless it has a body; |authorization| (NULL: none) is dropped on the way to
 * another host, |*home| says whether the answer is from the host that was asked.
 */
VH_MUST_CHECK int vh__registry_follow(const vh__registry *r, const vh__http_request *q, const char *authorization,
                                      const vh__wait *w, vh__http_response *response, bool *home, vh_error *err);

/** The error that a status other than 2xx is: VH_ENOTFOUND, VH_EREMOTE, -EHOSTDOWN. */
int vh__registry_status(const vh__http_response *response, const char *host, vh_error *err);

/** Attempts of one request to |e|. Zero-initialise the rest. */
typedef struct vh__patience {
    const vh__registry *r;
    const vh__endpoint *e;
    bool refused; /* that nobody listens is no reason to end */
    unsigned tries;
    uint32_t asked_ms; /* what the last answer asked to wait, 0: nothing */
} vh__patience;

/** Takes note of Retry-After. */
void vh__patience_hear(vh__patience *p, const vh__http_response *response);
/**
 * After the failure |rc|, whose message is in |err|: 0 when it may be tried again, having waited, which is logged if
 * it takes a while; else |rc| or VH_ECANCELED, with the message.
 */
VH_MUST_CHECK int vh__patience_wait(vh__patience *p, int rc, const vh__wait *w, vh_error *err);

/** The endpoint to ask after the first |*i| of them, which it counts on; NULL: that was the last. */
vh__endpoint *vh__registry_next(vh__registry *r, size_t *i);
/** Whether after |rc| the next endpoint may be asked: neither cancelled nor out of time, memory or disk. */
bool vh__registry_go_on(int rc, const vh__wait *w);
/** Puts the name of what was asked in front of |err|, and for a mirror logs it: the next one will be asked. */
int vh__registry_failed(vh__registry *r, vh__endpoint *e, int rc, vh_error *err);

#endif
