/*
 * Virtual machine monitors behind one set of operations. The object is driven by the shim, from one thread:
 *
 *     spawn -> connect -> [attach] -> [load] -> resume -> pause -> save -> resume -> kill
 *
 * A VMM is a child process. It starts as root with the capabilities to read files and to change its user alone, opens
 * what it is given, and becomes an unprivileged user before it sees anything of the guest's; its system calls are
 * filtered. What must not
 * be shared is handed over by descriptor: memory, tap, control and agent sockets.
 */
#ifndef VH_VMM_VMM_H
#define VH_VMM_VMM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ring.h"
#include "spawn.h"
#include "wait.h"

/** Where the guest's memory comes from. */
typedef enum vh__vmm_memory {
    VH_VMM_MEMORY_SHARED,  /* memory_fd, mapped shared: a memfd of a VM that boots and can be saved */
    VH_VMM_MEMORY_PRIVATE, /* memory_fd, mapped private: a snapshot's memory file (engine file) */
    VH_VMM_MEMORY_UFFD,    /* anonymous, missing pages come from whoever reads the handshake on uffd_sock */
} vh__vmm_memory;

/** Everything a VMM is started with. All borrowed for the call; descriptors are duplicated into the child. */
typedef struct vh__vmm_config {
    const char *binary; /* path */
    const char *accel;  /* "tcg" or "kvm" */
    const char *run_dir; /* its working directory */
    const char *rootfs; /* read-only disk image; NULL: attach() brings it */
    const char *kernel, *initramfs, *cmdline; /* NULL when a snapshot is loaded */
    const char *guest_mac;
    const char *preload; /* path of the preload library: uffd-preload.so for VH_VMM_MEMORY_UFFD, readonly-preload.so
                            for VH_VMM_MEMORY_PRIVATE */
    uint32_t memory_mib, cpus;
    uint32_t uid; /* user and group it becomes */
    vh__vmm_memory memory;
    int memory_fd;            /* not for VH_VMM_MEMORY_UFFD */
    int uffd_sock, uffd_dev;  /* for VH_VMM_MEMORY_UFFD: connected socket, /dev/userfaultfd */
    int tap_fd, netns_fd;
} vh__vmm_config;

typedef struct vh__vmm vh__vmm;

/** A backend. All members are required; all run on the shim's thread; errors carry the VMM's last words. */
typedef struct vh__vmm_ops {
    const char *name;
    /* Starts the process. A VM that boots runs at once; one that is to load a snapshot waits for load(). */
    int (*spawn)(vh__vmm *v, const vh__vmm_config *c, vh_error *err);
    /* Waits until it answers on its control channel. */
    int (*connect)(vh__vmm *v, const vh__wait *w, vh_error *err);
    /* Gives a VMM that was spawned without |rootfs| its disk: |fd|, borrowed, open for reading. Before load(). */
    int (*attach)(vh__vmm *v, const vh__wait *w, int fd, vh_error *err);
    int (*pause)(vh__vmm *v, const vh__wait *w, vh_error *err);
    int (*resume)(vh__vmm *v, const vh__wait *w, vh_error *err);
    /* Writes the device state of a paused VM with shared memory to |fd|. */
    int (*save)(vh__vmm *v, const vh__wait *w, int fd, vh_error *err);
    /* Reads the device state from |fd|; the VM is then paused. */
    int (*load)(vh__vmm *v, const vh__wait *w, int fd, vh_error *err);
    /* Frees |v->backend|, which may be NULL. The process is dead by then. */
    void (*free)(vh__vmm *v);
} vh__vmm_ops;

/** Channels and process of a VMM that was spawned; owned by the object. */
struct vh__vmm {
    const vh__vmm_ops *ops;
    vh__process process;
    int agent_fd;   /* our end of the agent channel, a stream socket, non-blocking */
    int console_fd; /* our end of the serial console, non-blocking; -1 after its end */
    int stderr_fd;  /* its complaints, non-blocking; -1 after their end */
    vh__ring console, complaints;
    char version[32]; /* after connect */
    bool saveable;    /* its memory is shared */
    bool ended;       /* seen by vh__vmm_explain(), whenever that is called again; its pidfd tells no more: */
    int status;       /* as of waitpid(2) */
    void *backend;    /* the backend's own, freed by its free() */
};

/** Backend of a name, "qemu". VH_EINVALID names the choices. */
VH_MUST_CHECK int vh__vmm_backend(const char *name, const vh__vmm_ops **ops, vh_error *err);

/** Spawns a VMM. On success the caller owns |*v| (vh__vmm_free()); on error nothing runs. */
VH_MUST_CHECK int vh__vmm_spawn(const vh__vmm_ops *ops, const vh__vmm_config *c, vh__vmm **v, vh_error *err);

/** Takes what console and stderr have to say into the rings. Never blocks. */
void vh__vmm_drain(vh__vmm *v);

/**
 * Makes |err| (already set to |code|) tell the whole story when the VMM has died: how it ended and its last words.
 * Waits up to 200 ms for a process that is about to end. Returns the code: VH_EVMM if it died, else |code|.
 */
int vh__vmm_explain(vh__vmm *v, int code, vh_error *err);

/** Kills the VMM if it runs, and frees |v|. NULL is fine. */
void vh__vmm_free(vh__vmm *v);

/** Version of the VMM |binary| ("7.2.22"), by asking it; remembered in |cache_dir| (NULL: nowhere) by file
 *  identity. */
VH_MUST_CHECK int vh__vmm_version(const char *binary, const char *cache_dir, const vh__wait *w, char version[32],
                                  vh_error *err);

/**
 * Runs a tiny guest of 400,000 ring-0 instructions under /dev/kvm. Returns 0 when that took no longer than hardware
 * does: KVM is real; VH_EUNSUPPORTED when it is emulated; else why it could not be tried. Blocks for as long as the
 * guest takes, so it is run in a process that can be killed (the shim with --probe-kvm).
 */
VH_MUST_CHECK int vh__kvm_probe(vh_error *err);

#endif
