/* Listening Unix sockets, which leave a file behind when their process is killed. */
#ifndef VH_BASE_UNIX_LISTEN_H
#define VH_BASE_UNIX_LISTEN_H

#include <sys/types.h>
#include <vhive/attr.h>
#include <vhive/error.h>

/** Which file a socket has made: it may be another's by the time it is to be removed. */
typedef struct vh__unix_place {
    dev_t dev;
    ino_t ino; /* 0: none */
} vh__unix_place;

/**
 * Listens at the absolute |path|, non-blocking, mode 0660. A socket there that nobody listens to is replaced; one that
 * is served is refused, and so is whatever is no socket. On success the caller owns |*fd|, and |*place| is what
 * vh__unix_unlink() wants. -EADDRINUSE (which it is), VH_EINVALID (the path is too long), -errno.
 */
VH_MUST_CHECK int vh__unix_listen(const char *path, int *fd, vh__unix_place *place, vh_error *err);
/** Removes |path| if it is still the socket of |place|. Before the socket is closed, or another may be taken for it. */
void vh__unix_unlink(const char *path, const vh__unix_place *place);

#endif
