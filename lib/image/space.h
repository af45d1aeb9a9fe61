/* Room on the file system that an image is made on: errors that say where it is missing, and how much is wanted. */
#ifndef VH_IMAGE_SPACE_H
#define VH_IMAGE_SPACE_H

#include <stdint.h>
#include <vhive/error.h>

/** -ENOSPC if the file system of the directory |dir| has less than |need| bytes free. */
VH_MUST_CHECK int vh__space_check(const char *dir, uint64_t need, vh_error *err);
/** If |rc| is that there is no space, says so of the file system of |dir| in |err|; |need| is what all of it takes.
 *  Returns |rc|. */
int vh__space_error(const char *dir, uint64_t need, int rc, vh_error *err);

#endif
