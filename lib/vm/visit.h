/* The way to a running VM of whatever process: the socket of its shim, in its directory. */
#ifndef VH_VM_VISIT_H
#define VH_VM_VISIT_H

#include <vhive/exec.h>

#include "shim.h"
#include "wait.h"

/** Connects to the VM |id|. The caller owns |*sock|, non-blocking. VH_ENOTFOUND: no such VM runs; -EACCES; as |w|. */
VH_MUST_CHECK int vh__visit_connect(const vh_env *env, const char *id, const vh__wait *w, int *sock, vh_error *err);

/** Finds the VM that |ref| means, as vh_exec_start() says: its |id|. VH_ENOTFOUND, VH_EINVALID, as vh_vms_list(). */
VH_MUST_CHECK int vh__visit_find(const vh_env *env, const char *ref, const vh__wait *w, char id[24], vh_error *err);

#endif
