#ifndef VH_VMM_VMM_PRIV_H
#define VH_VMM_VMM_PRIV_H

#include "qmp_client.h"
#include "vmm.h"

extern const vh__vmm_ops vh__qemu_ops;

/* QEMU's part of a vh__vmm. */
struct qemu {
    vh__qmp_client qmp;
};

/* Numbers the child finds its descriptors at. */
enum {
    QEMU_FD_QMP = 3,
    QEMU_FD_AGENT,
    QEMU_FD_CONSOLE,
    QEMU_FD_TAP,
    QEMU_FD_MEMORY = 7, /* qemu_args.c has it in a path */
    QEMU_FD_UFFD_SOCK,
    QEMU_FD_UFFD_DEV,
};

/** Argument and environment vectors for QEMU; the strings are on the heap. */
typedef struct vh__qemu_args {
    char *argv[64];
    char *envp[8];
    size_t argc, envc;
    bool oom;
} vh__qemu_args;

/** Fills |a| (zero-initialised) from |c|. -ENOMEM. vh__qemu_args_fini() whatever is returned. */
VH_MUST_CHECK int vh__qemu_args_make(vh__qemu_args *a, const vh__vmm_config *c, vh_error *err);
void vh__qemu_args_fini(vh__qemu_args *a);

#endif
