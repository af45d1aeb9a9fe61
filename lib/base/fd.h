/* Descriptors: whole reads and writes, whole files, descriptors over Unix sockets. */
#ifndef VH_BASE_FD_H
#define VH_BASE_FD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <vhive/error.h>

#include "auto.h"
#include "buf.h"

/** Reads exactly |n| bytes at |off|. A shorter file is VH_ECORRUPT. |what| names the file in the message. */
VH_MUST_CHECK int vh__fd_pread_full(int fd, void *to, size_t n, uint64_t off, const char *what, vh_error *err);
/** Writes exactly |n| bytes at |off|. */
VH_MUST_CHECK int vh__fd_pwrite_full(int fd, const void *from, size_t n, uint64_t off, const char *what, vh_error *err);

/** Reads the whole of |path| into |out|; more than |max| bytes is VH_ELIMIT, a missing file -ENOENT. */
VH_MUST_CHECK int vh__file_read(const char *path, size_t max, vh__buf *out, vh_error *err);
/**
 * Writes |path| so that readers see the old content or the new one, never a part: temporary file beside it, fsync,
 * rename, fsync of the directory.
 */
VH_MUST_CHECK int vh__file_write_atomic(const char *path, const void *bytes, size_t n, mode_t mode, vh_error *err);
/** fsync()s the directory |path|, which makes a rename in it durable. */
VH_MUST_CHECK int vh__dir_sync(const char *path, vh_error *err);

/** Most descriptors one message may carry. */
#define VH_FDS_MAX 8

/**
 * Sends one message with |nfds| descriptors (borrowed) over a Unix socket. On SOCK_SEQPACKET the message is whole.
 * Returns 0 or -errno (-EPIPE: the peer is gone).
 */
VH_MUST_CHECK int vh__fd_send(int sock, const void *bytes, size_t n, const int *fds, size_t nfds, vh_error *err);
/**
 * Receives one message of at most |cap| bytes and at most VH_FDS_MAX descriptors (close-on-exec). On success |*n| is
 * its length, 0 when the peer has closed, and the caller owns |fds[0..*nfds)|. A message that was cut, or that had
 * more descriptors, is VH_EPROTOCOL and leaves none open. -EAGAIN on a non-blocking socket that has nothing.
 */
VH_MUST_CHECK int vh__fd_recv(int sock, void *to, size_t cap, size_t *n, int *fds, size_t *nfds, vh_error *err);

/** Makes |fd| non-blocking. */
VH_MUST_CHECK int vh__fd_nonblock(int fd, vh_error *err);

#endif
