/*
 * What can be done with a VM that runs, whoever's it is: list it, freeze it, and run processes in it beside its
 * function, in its file system and network, as its user unless told otherwise. The VM may be of this process or of
 * another one on this machine; what is needed is the run directory of the environment and the right to connect to the
 * VM's socket there, which is root's.
 *
 *     const char *argv[] = { "ps", "-ef", NULL };
 *     vh_exec_options o = VH_EXEC_OPTIONS_INIT;
 *     vh_exec *exec;
 *     vh_exec_result result = VH_EXEC_RESULT_INIT;
 *
 *     o.argv = argv;
 *     o.stdout_fd = 1;
 *     o.stderr_fd = 2;
 *     if (vh_exec_start(env, vh_vm_id(vm), &o, NULL, &exec, &err) == 0) {
 *         rc = vh_exec_wait(exec, NULL, &result, &err);
 *         vh_exec_free(exec);
 *     }
 *
 * Threads: start, wait and free by one thread at a time; resize and signal from any, until vh_exec_free().
 */
#ifndef VHIVE_EXEC_H
#define VHIVE_EXEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <vhive/attr.h>
#include <vhive/env.h>
#include <vhive/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A VM that runs on this machine, of whatever process. Plain data. */
typedef struct vh_vm_info {
    size_t size;          /**< sizeof(vh_vm_info) of the library */
    char id[24];          /**< as vh_vm_id() */
    char image[1024];     /**< image reference it was asked for by; cut if it is longer */
    char address[16];     /**< IPv4 address, reachable from the host */
    uint16_t port;        /**< the function's */
    char engine[8];       /**< engine that brought it up */
    char snapshot[32];    /**< id of the snapshot it came from, "" after a boot */
    pid_t pid;            /**< process that owns it: its end is the VM's */
    int64_t started_ns;   /**< CLOCK_REALTIME */
    bool paused;          /**< vh_vms_pause(), vh_vm_pause() */
} vh_vm_info;

/** One VM of a listing. |info| is borrowed for the call. Returning false ends the listing. */
typedef bool (*vh_vm_info_fn)(const vh_vm_info *info, void *arg);

/**
 * Calls |each| for every VM below the run directory of |env| whose function was started, in order of their ids, on the
 * caller's thread. One that ends meanwhile, or does not answer within a second, is left out. Default deadline 10 s.
 * Returns 0, -EACCES (not root), VH_ETIMEDOUT, VH_ECANCELED, -ENOMEM, -errno of reading the directory.
 */
VH_API VH_MUST_CHECK int vh_vms_list(const vh_env *env, const vh_call *call, vh_vm_info_fn each, void *arg,
                                     vh_error *err);

/**
 * Freezes the virtual CPUs of |vm| (as vh_exec_start() takes it), or lets them go on, as vh_vm_pause() and
 * vh_vm_resume() do; but the guest's clock is right only some milliseconds after vh_vms_resume() returned. Default
 * deadline 10 s. VH_ENOTFOUND, VH_EINVALID (several VMs are meant), VH_ESTATE (it is ending or being saved), VH_EVMM,
 * -EACCES, VH_ETIMEDOUT, VH_ECANCELED, -ENOMEM.
 */
VH_API VH_MUST_CHECK int vh_vms_pause(const vh_env *env, const char *vm, const vh_call *call, vh_error *err);
VH_API VH_MUST_CHECK int vh_vms_resume(const vh_env *env, const char *vm, const vh_call *call, vh_error *err);

typedef struct vh_exec vh_exec;

typedef struct vh_exec_options {
    size_t size;             /**< sizeof(vh_exec_options) */
    const char *const *argv; /**< NULL-terminated, required; argv[0] is searched in the guest's PATH */
    const char *const *env;  /**< NULL-terminated "KEY=VALUE" list added to the function's environment; NULL: none */
    const char *cwd;         /**< NULL: the function's; made if it is missing */
    const char *user;        /**< "name", "uid", "name:group", "uid:gid"; NULL: the function's */
    bool tty;                /**< a terminal in the guest, which controls the process: all its output is stdout */
    uint16_t rows, cols;     /**< of the terminal; 0: not known */
    int stdin_fd, stdout_fd, stderr_fd; /**< borrowed until vh_exec_free(); -1: empty input, output is dropped */
} vh_exec_options;

#define VH_EXEC_OPTIONS_INIT { .size = sizeof(vh_exec_options), .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1 }

/**
 * Starts a process in the VM |vm|: its id, or the beginning of exactly one (the leading "vm-" may be left out); NULL:
 * the only VM that runs. Strings are copied. On success the caller owns |*exec|. Default deadline 10 s.
 * Returns VH_ENOTFOUND (no such VM runs), VH_EINVALID (several do; options), VH_ELIMIT (16 processes run in it already,
 * or arguments beyond about 60 KiB), VH_ESTATE (it is ending, paused or being saved), -EACCES, VH_ETIMEDOUT,
 * VH_ECANCELED, -ENOMEM. A command that cannot be executed is no error of this call: vh_exec_wait() tells.
 */
VH_API VH_MUST_CHECK int vh_exec_start(const vh_env *env, const char *vm, const vh_exec_options *opts,
                                       const vh_call *call, vh_exec **exec, vh_error *err);

/** How a process ended. */
typedef struct vh_exec_result {
    size_t size; /**< in: sizeof(vh_exec_result) */
    int code;    /**< its exit code; 128 + signal; 126: cannot be executed, 127: no such command, 125: neither */
    int signal;  /**< that killed it, 0: none */
    char reason[320]; /**< why it did not start; "": it did */
} vh_exec_result;

#define VH_EXEC_RESULT_INIT { .size = sizeof(vh_exec_result) }

/**
 * Moves bytes between the caller's descriptors and the process until it has ended and its output was handed on. A
 * reader that is slow holds up the process, and nothing else. Default: no deadline. VH_ETIMEDOUT and VH_ECANCELED leave
 * it running, to be waited for again. VH_EVMM: the VM ended; -errno: a descriptor of the caller's failed (-EPIPE: its
 * reader is gone).
 */
VH_API VH_MUST_CHECK int vh_exec_wait(vh_exec *exec, const vh_call *call, vh_exec_result *result, vh_error *err);

/** Tells the terminal its size. Nothing happens without a terminal or after the end. -EAGAIN: the VM is busy. */
VH_API int vh_exec_resize(vh_exec *exec, uint16_t rows, uint16_t cols, vh_error *err);

/** Sends signal 1..64 to the process and its group. Nothing happens after its end. VH_EINVALID; -EAGAIN. */
VH_API int vh_exec_signal(vh_exec *exec, int signal, vh_error *err);

/** Frees |exec|; a process that still runs is killed, with its session. NULL is fine. */
VH_API void vh_exec_free(vh_exec *exec);

#ifdef __cplusplus
}
#endif
#endif
