/*
 * Listening sockets. A Unix socket's file outlives the process that made it, so one that nobody listens on any more is
 * replaced; one that is alive is refused. Starters of one directory take turns, so two at once cannot both replace it.
 */
#ifndef VH_BASE_LISTEN_H
#define VH_BASE_LISTEN_H

#include <sys/types.h>
#include <vhive/attr.h>
#include <vhive/error.h>

/** Which file a Unix socket has: by the time it is to be removed its path may lead to another's. Zero: none. */
typedef struct vh__socket_file {
    dev_t dev;
    ino_t ino;
} vh__socket_file;

/**
 * Listens at the Unix socket |path|, whose directory exists. The file gets |mode|, and the group |gid| unless that is
 * (gid_t)-1; nobody connects before it has them. On success the caller owns |*fd| (non-blocking, close-on-exec) and
 * |*file| for vh__unlisten_unix() (NULL: it is not to be removed). -EADDRINUSE (somebody listens there, or it is no
 * socket), VH_EINVALID (too long), -EBUSY (the directory stays locked), -errno.
 */
VH_MUST_CHECK int vh__listen_unix(const char *path, mode_t mode, gid_t gid, int *fd, vh__socket_file *file,
                                  vh_error *err);
/**
 * Removes the file of a socket that was made at |path| and sets |*file| to none; leaves alone what others have put there
 * since. Before the socket is closed, or another may take the file for a stale one in between, and find its own removed.
 */
void vh__unlisten_unix(const char *path, vh__socket_file *file);

/**
 * Listens at the numeric |address| of this machine alone: "127.0.0.1:9090", "[::1]:9090"; port 0 is one the kernel picks.
 * On success the caller owns |*fd|, as above. VH_EINVALID (form, or not a loopback address), -EADDRINUSE, -errno.
 */
VH_MUST_CHECK int vh__listen_loopback(const char *address, int *fd, vh_error *err);

#endif
