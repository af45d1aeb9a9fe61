/* Inside of vm: one VM from its request to its end. */
#ifndef VH_VM_VM_PRIV_H
#define VH_VM_VM_PRIV_H

#include <pthread.h>

#include "agent_host.h"
#include "flow.h"
#include "json.h"
#include "shim.h"
#include "spawn.h"
#include "vm.h"

struct vh_vms {
    vh__vms_options o; /* strings owned */
    vh__journal *journal;
    char *cache_dir; /* what was found out about VMM and machine */
    pthread_mutex_t mutex;
    vh_vm *shells; /* linked by |next|; under the mutex */
};

/* What a VM is to be: the request with everything it leaves open filled in. Owned by its vh_vm. */
struct spec {
    vh_image *image;
    char *const *argv;       /* borrowed from the image */
    char **env;              /* image's and caller's, one of each name; owned, NULL-terminated */
    uint16_t port;
    uint32_t memory_mib, cpus;
    uint64_t tmpfs_bytes;
    char accel[8];
    char cpu[128];           /* model, as far as the guest can tell */
    char *qemu;              /* path */
    char vmm_version[32];
    vh__guest_files files;
    cJSON *identity;
    char key[VH_DIGEST_TEXT];
};

/* Our end of a shim. */
struct client {
    pthread_mutex_t mutex; /* of |process|: vh_vm_kill() may come from any thread while its end is waited for */
    vh__process process;
    int sock;
    uint64_t last_id; /* of a request; answers to others are late ones of requests that were given up */
    bool exit_seen; /* the VM ended by itself: */
    vh_vm_exit exit;
};

/* Moves the function's output from two pipes to the caller's callback. */
struct output {
    vh_output_fn fn;
    void *arg;
    pthread_t thread;
    bool running;
    int read_fd[2], write_fd[2]; /* stdout, stderr */
};

struct vh_vm {
    vh_vms *vms;
    vh_vm *next; /* of a shell */
    vh_run_options o; /* strings borrowed during vh_vm_run() only, NULL afterwards */
    char *image, *label; /* ours: the same for good; no label: NULL */
    char id[24];
    char address[16]; /* as long as there was a lease */
    vh_engine engine;
    struct spec spec;
    vh__journal_entry *entry;
    char *dir;
    vh__net_lease *lease;
    struct client client;
    struct output output;
    vh__snapshot *snap;
    bool shell;             /* it was spawned ahead */
    bool saving;            /* it boots to be saved */
    bool shell_lost;        /* that was of no use: the restore was undone */
    bool own_env;           /* it was given environment that is no part of its snapshot's key */
    bool loading;           /* the restore under way came to the snapshot's content */
    bool replay, recording; /* engine reap: a working set is there; is being recorded */
    vh_phases phases;
    vh__wait restore_wait; /* bounds of the restore under way */
    uint32_t boot_retries;
    char snapshot_id[VH_SNAPSHOT_ID]; /* it came from */
};

/* accel.c */
/** Decides between KVM and TCG; "auto" asks a probe guest once per boot of the machine. Fills |accel| and |cpu|. */
VH_MUST_CHECK int vh__vm_accel(vh_vms *vms, const char *wanted, const vh__wait *w, char accel[8], char cpu[128],
                           vh_error *err);

/* client.c */
VH_MUST_CHECK int vh__client_start(struct client *c, const vh_env *env, vh_error *err);
void vh__client_init(struct client *c);
void vh__client_fini(struct client *c);
/**
 * One request: |req| is taken (NULL: out of memory), descriptors and payload are borrowed. |answer| (may be NULL) is
 * the caller's on success. A request whose bounds were over is given up; the shim may still be at it for a while.
 */
VH_MUST_CHECK int vh__client_call(struct client *c, const vh__wait *w, cJSON *req, const vh__shim_fd *fds, size_t nfds,
                              const vh__buf *payload, vh__shim_message *answer, vh_error *err);
/** {"op": name}; NULL when out of memory. */
cJSON *vh__client_request(const char *op);
/** Waits for the VM to end by itself. */
VH_MUST_CHECK int vh__client_wait_exit(struct client *c, const vh__wait *w, vh_error *err);
/** Kills the shim, and with it the VM. Idempotent; the next start makes a new one. */
void vh__client_kill(struct client *c);
/** Sends SIGKILL and nothing more, from any thread. */
void vh__client_signal_kill(struct client *c);

/** Bumped when the meaning of a start changes: agent, network inside, devices. Part of every snapshot's identity. */
#define MACHINE_VERSION 1

/* identity.c */
/** Decides memory, processors, accelerator and VMM, which need no image. Once: later calls return at once. */
VH_MUST_CHECK int vh__spec_machine(vh_vm *vm, const vh__wait *w, vh_error *err);
/** Opens the image, prepares the kernel, decides the machine, and derives the snapshot's key. */
VH_MUST_CHECK int vh__spec_resolve(vh_vm *vm, const vh__wait *w, vh_error *err);
void vh__spec_fini(struct spec *s);

/* messages.c: frames for the agent, ready to send */
VH_MUST_CHECK int vh__message_start(const vh_vm *vm, vh__buf *out, vh_error *err);
VH_MUST_CHECK int vh__message_restored(const vh_vm *vm, vh__buf *out, vh_error *err);
VH_MUST_CHECK int vh__message_stop(uint32_t grace_ms, vh__buf *out, vh_error *err);

/* facts.c */
/** Adds to |request| (NULL: out of memory) what the shim tells of |vm|. Returns it, or NULL when out of memory. */
VH_MUST_CHECK cJSON *vh__vm_with_facts(const vh_vm *vm, cJSON *request);

/* steps.c: steps that booting and restoring share; |ctx| is the vh_vm */
int vh__step_resolve(void *ctx, const vh__wait *w, vh_error *err);
int vh__step_net(void *ctx, const vh__wait *w, vh_error *err);
void vh__undo_net(void *ctx);
int vh__step_shim(void *ctx, const vh__wait *w, vh_error *err);
void vh__undo_shim(void *ctx);
/** Spawns the VMM; unless |memory| is UFFD, with its disk, and the function's output goes where it shall. */
VH_MUST_CHECK int vh__vm_spawn(vh_vm *vm, const vh__wait *w, vh__vmm_memory memory, vh_error *err);

/* shell.c */
/** Makes a waiting shell of its machine the body of |vm|, if there is one: then |vm->client| is alive. */
void vh__shell_take(vh_vm *vm);

/* save.c: both give the snapshot's id; VH_EEXISTS: there is one of that key */
/** Saves the booted |vm|, which has served nobody, and ends it. */
VH_MUST_CHECK int vh__vm_save(vh_vm *vm, bool again, const vh__wait *w, char id[VH_SNAPSHOT_ID], vh_error *err);
/** Saves the booted |vm|, which goes on, whether that succeeds or not. */
VH_MUST_CHECK int vh__vm_save_running(vh_vm *vm, bool again, const vh__wait *w, char id[VH_SNAPSHOT_ID],
                                      vh_error *err);

/* boot.c, restore.c, output.c */
VH_MUST_CHECK int vh__vm_boot(vh_vm *vm, const vh__wait *w, vh_error *err);
VH_MUST_CHECK int vh__vm_restore(vh_vm *vm, const vh__wait *w, vh_error *err);
VH_MUST_CHECK int vh__output_start(struct output *out, vh_error *err);
/** Closes the write ends we hold, once the shim has them. */
void vh__output_given(struct output *out);
/** Waits until everything the shim wrote was handed on; call it when the shim is dead. */
void vh__output_stop(struct output *out);

/* count.c: metrics (docs/metrics.md) */
/** A start of |vm| ended with |rc|. */
void vh__vm_count_start(const vh_vm *vm, int rc);
/** Its snapshot was set aside, since it did not restore. */
void vh__vm_count_quarantine(const vh_vm *vm);
/** A save that began at |began_ns| (CLOCK_MONOTONIC) ended with |rc|; the VM stood still for |pause_us|. */
void vh__vm_count_save(const vh_vm *vm, int64_t began_ns, uint64_t pause_us, int rc);
/** How the memory of |vm|, which is about to end, came: asks its shim. */
void vh__vm_count_pages(vh_vm *vm);

/* vm.c */
VH_MUST_CHECK int vh__vm_new(vh_vms *vms, const vh_run_options *o, vh_vm **vm, vh_error *err);
/** Ends shim, network and directory; |spec|, snapshot and phases stay. Idempotent. */
void vh__vm_release(vh_vm *vm);

#endif
