/*
 * readonly-preload.so: makes QEMU open a snapshot's memory file for reading only.
 *
 * Why: QEMU (7.2) opens the file behind memory-backend-file for reading and writing also where it is mapped privately
 * (share=off), and its option readonly=on maps guest RAM read-only too. A guest that broke out into QEMU could then
 * rewrite the memory of every later clone. A private, writable mapping needs no more than a readable descriptor.
 *
 * How: LD_PRELOAD in QEMU's own environment with VHIVE_READONLY_PATH, the path that QEMU will open. Both are removed
 * from the environment at once.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static char readonly_path[64]; /* written before main(), read only afterwards */

__attribute__((constructor)) static void configure(void)
{
    const char *path = getenv("VHIVE_READONLY_PATH");

    if (path && strlen(path) < sizeof(readonly_path))
        strcpy(readonly_path, path);
    unsetenv("VHIVE_READONLY_PATH");
    unsetenv("LD_PRELOAD");
}

static int open_as_configured(const char *path, int flags, mode_t mode)
{
    if (readonly_path[0] && strcmp(path, readonly_path) == 0)
        flags = (flags & ~O_ACCMODE) | O_RDONLY;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
    mode_t mode = 0;

    if (flags & (O_CREAT | __O_TMPFILE)) {
        va_list ap;

        va_start(ap, flags);
        mode = va_arg(ap, mode_t);
        va_end(ap);
    }
    return open_as_configured(path, flags, mode);
}

EXPORT int open(const char *path, int flags, ...) __attribute__((alias("open64")));

/* What open() without a mode becomes in programs that are built with _FORTIFY_SOURCE, as distributions' are. */
EXPORT int __open64_2(const char *path, int flags);
EXPORT int __open64_2(const char *path, int flags)
{
    return open_as_configured(path, flags, 0);
}
