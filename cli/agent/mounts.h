/* File systems: those of the initramfs, and the function's root with what a container expects in it. */
#ifndef VHIVE_AGENT_MOUNTS_H
#define VHIVE_AGENT_MOUNTS_H

#include "util.h"

/** Folder of what the agent tells the function: generation, env. */
#define VHIVE_RUN_DIR "/run/vhive"

/** Mounts /proc, /sys and /dev of the initramfs. 0 or -1 with |f|. */
int mounts_early(struct fault *f);

/**
 * Makes the image on /dev/vda, under a tmpfs of |tmpfs_bytes| (0: the kernel's default, half of the memory) that takes
 * the writes, the root of this process and mounts the usual file systems in it. Early mounts are gone afterwards;
 * open descriptors stay. 0 or -1 with |f|.
 */
int mounts_enter_root(uint64_t tmpfs_bytes, struct fault *f);

#endif
