/* Locals that free themselves, and the way to hand them on. */
#ifndef VH_BASE_AUTO_H
#define VH_BASE_AUTO_H

#include <stdlib.h>
#include <stdio.h>
#include <unistd.h>
#include <dirent.h>

static inline void vh__auto_free_fn(void *p)
{
    free(*(void **)p);
}

static inline void vh__auto_fd_fn(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* nothing to do about a failing close of a descriptor that is given up */
}

static inline void vh__auto_dir_fn(DIR **dir)
{
    if (*dir)
        (void)closedir(*dir); /* as above */
}

static inline void vh__auto_file_fn(FILE **file)
{
    if (*file)
        (void)fclose(*file); /* as above; writers call fclose themselves and look at its result */
}

/** free()s the local at the end of its scope. Initialise it. */
#define vh_auto_free __attribute__((cleanup(vh__auto_free_fn)))
/** close()s the local descriptor at the end of its scope. Initialise it to -1. */
#define vh_auto_fd __attribute__((cleanup(vh__auto_fd_fn)))
#define vh_auto_dir __attribute__((cleanup(vh__auto_dir_fn)))
#define vh_auto_file __attribute__((cleanup(vh__auto_file_fn)))

/** Takes the pointer out of a vh_auto_free local: `*out = vh_steal_ptr(p);` */
#define vh_steal_ptr(p)                                                                                                \
    ({                                                                                                                 \
        __typeof__(p) vh__stolen = (p);                                                                                \
        (p) = NULL;                                                                                                    \
        vh__stolen;                                                                                                    \
    })

/** Takes the descriptor out of a vh_auto_fd local. */
static inline int vh_steal_fd(int *fd)
{
    int stolen = *fd;
    *fd = -1;
    return stolen;
}

/** close()s |*fd| if it is one and sets it to -1: for the fields of half-built objects. */
static inline void vh__fd_close(int *fd)
{
    if (*fd >= 0)
        (void)close(vh_steal_fd(fd)); /* nothing to do about it */
}

/** Calls something whose result must be looked at, and does not: always with a reason beside it. */
#define vh_ignore(call)                                                                                                \
    do {                                                                                                               \
        if (call) {                                                                                                    \
        }                                                                                                              \
    } while (0)

#define VH_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define VH_MIN(a, b)    ((a) < (b) ? (a) : (b))
#define VH_MAX(a, b)    ((a) > (b) ? (a) : (b))

#endif
