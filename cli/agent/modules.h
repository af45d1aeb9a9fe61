/* Loads the kernel modules that the initramfs carries. */
#ifndef VHIVE_AGENT_MODULES_H
#define VHIVE_AGENT_MODULES_H

#include "util.h"

/**
 * Loads the files that /modules.list names, one a line, in its order, and removes each (they take up the guest's
 * memory, which becomes the snapshot). No list: everything is built into the kernel. 0 or -1 with |f|.
 */
int modules_load(struct fault *f);

#endif
