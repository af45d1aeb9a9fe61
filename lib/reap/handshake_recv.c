#include "reap.h"

#include <errno.h>
#include <poll.h>

#include "fd.h"

/* What has come so far. */
struct inbox {
    vh__buf bytes;
    int uffd;
    size_t nfds; /* ever received */
};

static void inbox_fini(struct inbox *in)
{
    vh__buf_fini(&in->bytes);
    vh__fd_close(&in->uffd);
}

/* Keeps the first descriptor, closes the others: more than one is refused, but only after none can leak. */
static void keep_first(struct inbox *in, const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (in->nfds++ == 0)
            in->uffd = fds[i];
        else
            (void)close(fds[i]); /* unwanted */
}

static int receive_piece(struct inbox *in, int sock, const vh__wait *w, vh_error *err)
{
    int fds[VH_FDS_MAX];
    size_t n = 0, nfds = 0;
    char *to = vh__buf_reserve(&in->bytes, VH_HANDSHAKE_MAX + 1 - in->bytes.len);
    int rc;

    if (!to)
        return vh__buf_check(&in->bytes, "userfaultfd handshake", err);
    rc = vh__wait_fd(w, sock, POLLIN, "userfaultfd handshake", err);
    if (rc)
        return rc;
    rc = vh__fd_recv(sock, to, VH_HANDSHAKE_MAX + 1 - in->bytes.len, &n, fds, &nfds, err);
    if (rc == -EAGAIN)
        return 0;
    if (rc)
        return vh_error_wrap(err, rc, "userfaultfd handshake");
    in->bytes.len += n;
    keep_first(in, fds, nfds);
    if (in->nfds > 1)
        return vh_error_set(err, VH_EPROTOCOL, "userfaultfd handshake: %zu descriptors, must be one",
                            in->nfds);
    if (in->bytes.len > VH_HANDSHAKE_MAX)
        return vh_error_set(err, VH_EPROTOCOL, "userfaultfd handshake: longer than %d bytes",
                            VH_HANDSHAKE_MAX);
    if (n == 0)
        return vh_error_set(err, VH_EPROTOCOL,
                            "userfaultfd handshake: ended after %zu bytes and %zu descriptors",
                            in->bytes.len, in->nfds);
    return 0;
}

int vh__handshake_recv(int sock, const vh__wait *w, uint64_t memory_size, int *uffd, vh__regions *out,
                       vh_error *err)
{
    __attribute__((cleanup(inbox_fini))) struct inbox in = { .uffd = -1 };
    vh__regions r;
    int rc;

    while (vh__handshake_length(in.bytes.data, in.bytes.len) == 0) {
        rc = receive_piece(&in, sock, w, err);
        if (rc)
            return rc;
    }
    if (in.nfds == 0) /* it travels with the first byte it was sent with, so none is to come */
        return vh_error_set(err, VH_EPROTOCOL, "userfaultfd handshake: came without its descriptor");
    rc = vh__handshake_parse(in.bytes.data, in.bytes.len, memory_size, &r, err);
    if (rc)
        return rc;
    *out = r;
    *uffd = vh_steal_fd(&in.uffd);
    return 0;
}
