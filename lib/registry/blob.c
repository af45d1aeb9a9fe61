/* A blob into a file, resumed where a connection broke. */
#include "registry_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auto.h"
#include "fd.h"
#include "path.h"

/* A connection that brought as much before it broke was worth it: the count of tries begins anew. */
enum { PROGRESS = 1 << 20 };

typedef struct download {
    const vh__registry_blob *b;
    vh__digest *digest;
    uint64_t at; /* so much is in the file, and hashed */
    bool begun;  /* the answer's first piece has been looked at */
} download;

static void moved(const download *d, int64_t bytes)
{
    if (d->b->moved && bytes)
        d->b->moved(d->b->arg, bytes);
}

/* Forgets what has come: the next byte is the first. */
static int rewind_file(download *d, vh_error *err)
{
    char unused[VH_DIGEST_TEXT];
    int rc = d->at ? vh__digest_final(d->digest, unused, err) : 0; /* which begins a new one */

    moved(d, -(int64_t)d->at);
    d->at = 0;
    if (rc == 0 && ftruncate(d->b->fd, 0))
        rc = vh_error_set(err, -errno, "empty a temporary file");
    return rc;
}

/* Where the answer starts: at the beginning (200), or where we asked it to (206). */
static int begin(download *d, const vh__http_response *r, vh_error *err)
{
    char range[64];
    unsigned long long from = 0;

    if (r->status != 206)
        return d->at ? rewind_file(d, err) : 0;
    if (!vh__http_header(r, "content-range", range, sizeof(range)) || sscanf(range, "bytes %llu-", &from) != 1 ||
        from != d->at)
        return vh_error_set(err, VH_EPROTOCOL, "it sends another range than it was asked for");
    return 0;
}

static int on_piece(void *arg, const vh__http_response *r, const void *bytes, size_t n, vh_error *err)
{
    download *d = arg;
    int rc = d->begun ? 0 : begin(d, r, err);

    d->begun = true;
    if (rc)
        return rc;
    if (n > d->b->size - d->at)
        return vh_error_set(err, VH_ECORRUPT, "blob %s is longer than the %llu bytes it should have", d->b->digest,
                            (unsigned long long)d->b->size);
    rc = vh__fd_pwrite_full(d->b->fd, bytes, n, d->at, "a temporary file", err);
    if (rc == 0)
        rc = vh__digest_update(d->digest, bytes, n, err);
    if (rc)
        return rc;
    d->at += n;
    moved(d, (int64_t)n);
    return 0;
}

static int ask_once(vh__registry *r, vh__endpoint *e, download *d, vh__patience *p, const vh__wait *w, vh_error *err)
{
    vh_auto_free char *path = vh__strf("blobs/%s", d->b->digest);
    vh__http_response response = { 0 };
    char range[64];
    vh__registry_get g = { .path = path, .header = d->at ? range : NULL, .max_body = 1 << 16, .sink = on_piece,
                           .arg = d };
    int rc;

    (void)snprintf(range, sizeof(range), "Range: bytes=%llu-", (unsigned long long)d->at);
    d->begun = false;
    rc = path ? vh__registry_ask(r, e, &g, w, &response, err) : vh_error_set(err, -ENOMEM, "registry");
    vh__patience_hear(p, &response);
    if (rc == 0 && response.status != 200 && response.status != 206)
        rc = vh__registry_status(&response, e->host, err);
    vh__http_response_fini(&response);
    return rc;
}

/* All bytes are there, or no more will come. */
static int check(download *d, vh_error *err)
{
    char found[VH_DIGEST_TEXT];
    int rc;

    if (d->at != d->b->size)
        return vh_error_set(err, VH_ECORRUPT, "blob %s ends after %llu of %llu bytes: push the image again",
                            d->b->digest, (unsigned long long)d->at, (unsigned long long)d->b->size);
    rc = vh__digest_final(d->digest, found, err);
    if (rc || strcmp(found, d->b->digest) == 0)
        return rc;
    return vh_error_set(err, VH_ECORRUPT, "blob is damaged: expected %s, found %s: push the image again",
                        d->b->digest, found);
}

static int from_endpoint(vh__registry *r, vh__endpoint *e, download *d, const vh__wait *w, vh_error *err)
{
    vh__patience p = { .r = r, .e = e, .refused = true };
    uint64_t before;
    int rc;

    do {
        before = d->at;
        rc = ask_once(r, e, d, &p, w, err);
        if (rc == 0 || d->at == d->b->size)
            return check(d, err);
        if (e->mirror && d->at <= before)
            return rc; /* there is another to ask: nothing is waited for */
        if (d->at >= before + PROGRESS)
            p.tries = 0; /* it is a new trouble */
        rc = vh__patience_wait(&p, rc, w, err);
    } while (rc == 0);
    return rc;
}

static int get(vh__registry *r, download *d, const vh__wait *w, vh_error *err)
{
    int rc = VH_ENOTFOUND;
    vh__endpoint *e;
    size_t i = 0;

    while ((e = vh__registry_next(r, &i))) {
        rc = from_endpoint(r, e, d, w, err);
        if (rc == 0)
            return 0;
        rc = vh__registry_failed(r, e, rc, err);
        if (!vh__registry_go_on(rc, w))
            return rc;
        if (rewind_file(d, NULL)) /* what has come may be bad, and the next one would be blamed */
            return rc;
    }
    return rc;
}

int vh__registry_blob_get(vh__registry *r, const vh__registry_blob *b, const vh__wait *w, vh_error *err)
{
    download d = { .b = b };
    int rc = vh__digest_new(&d.digest, err);

    if (rc == 0)
        rc = get(r, &d, w, err);
    vh__digest_free(d.digest);
    return rc;
}
