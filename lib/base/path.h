/* Paths: joining, making, removing. */
#ifndef VH_BASE_PATH_H
#define VH_BASE_PATH_H

#include <stdbool.h>
#include <sys/types.h>
#include <vhive/attr.h>
#include <vhive/error.h>

/** "dir/name" on the heap; NULL when out of memory. */
VH_MUST_CHECK char *vh__path_join(const char *dir, const char *name);
/** printf to the heap; NULL when out of memory. */
VH_MUST_CHECK char *vh__strf(const char *fmt, ...) VH_PRINTF(1, 2);
/** Makes |path| and what is missing above it with |mode|. Existing directories are fine. */
VH_MUST_CHECK int vh__path_mkdirs(const char *path, mode_t mode, vh_error *err);
/** Removes |path| with everything below it, following no link and crossing no mount. A missing one is fine. */
VH_MUST_CHECK int vh__path_remove(const char *path, vh_error *err);
/** Absolute path of |program|, found in PATH unless it has a slash; on the heap, NULL if not found. */
VH_MUST_CHECK char *vh__path_find_program(const char *program);

#endif
