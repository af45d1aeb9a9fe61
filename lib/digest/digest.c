#include "digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auto.h"

struct vh__digest {
    EVP_MD_CTX *ctx;
};

int vh__digest_new(vh__digest **d, vh_error *err)
{
    vh__digest *n = calloc(1, sizeof(*n));

    if (n)
        n->ctx = EVP_MD_CTX_new();
    if (!n || !n->ctx || EVP_DigestInit_ex(n->ctx, EVP_sha256(), NULL) != 1) {
        vh__digest_free(n);
        return vh_error_set(err, -ENOMEM, "SHA-256");
    }
    *d = n;
    return 0;
}

void vh__digest_free(vh__digest *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->ctx);
    free(d);
}

int vh__digest_update(vh__digest *d, const void *bytes, size_t n, vh_error *err)
{
    return EVP_DigestUpdate(d->ctx, bytes, n) == 1 ? 0 : vh_error_set(err, -ENOMEM, "SHA-256");
}

int vh__digest_final(vh__digest *d, char text[VH_DIGEST_TEXT], vh_error *err)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char *p = text;

    if (EVP_DigestFinal_ex(d->ctx, raw, &n) != 1 || n != 32 || EVP_DigestInit_ex(d->ctx, NULL, NULL) != 1)
        return vh_error_set(err, -ENOMEM, "SHA-256");
    p = stpcpy(p, "sha256:");
    for (unsigned i = 0; i < n; i++) {
        *p++ = hex[raw[i] >> 4];
        *p++ = hex[raw[i] & 15];
    }
    *p = '\0';
    return 0;
}

int vh__digest_bytes(const void *bytes, size_t n, char text[VH_DIGEST_TEXT], vh_error *err)
{
    vh__digest *d;
    int rc = vh__digest_new(&d, err);

    if (rc)
        return rc;
    rc = vh__digest_update(d, bytes, n, err);
    if (rc == 0)
        rc = vh__digest_final(d, text, err);
    vh__digest_free(d);
    return rc;
}

static int hash_fd(vh__digest *d, int fd, const char *what, char text[VH_DIGEST_TEXT], vh_error *err)
{
    enum { CHUNK = 1 << 18 };
    vh_auto_free char *chunk = malloc(CHUNK);
    off_t off = 0;

    if (!chunk)
        return vh_error_set(err, -ENOMEM, "digest of %s", what);
    for (;;) {
        ssize_t got = pread(fd, chunk, CHUNK, off);
        int rc;

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return vh_error_set(err, -errno, "read %s", what);
        if (got == 0)
            return vh__digest_final(d, text, err);
        rc = vh__digest_update(d, chunk, (size_t)got, err);
        if (rc)
            return rc;
        off += got;
    }
}

int vh__digest_fd(int fd, const char *what, char text[VH_DIGEST_TEXT], vh_error *err)
{
    vh__digest *d;
    int rc = vh__digest_new(&d, err);

    if (rc)
        return rc;
    rc = hash_fd(d, fd, what, text, err);
    vh__digest_free(d);
    return rc;
}

bool vh__digest_valid(const char *text)
{
    return strncmp(text, "sha256:", 7) == 0 && strspn(text + 7, "0123456789abcdef") == 64 && text[7 + 64] == '\0';
}
