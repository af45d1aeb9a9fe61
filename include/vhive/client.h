/*
 * vh_client: what a running vhived does, from another process. One call for each RPC of the control API
 * (proto/vhive/control/v1), with the types of <vhive/fn.h>, <vhive/image.h> and <vhive/snapshot.h>: what is said there
 * of a call, its errors and its defaults holds here too.
 *
 *     vh_client *client;
 *     if (vh_client_new("/run/vhive/vhived.sock", &client, &err) == 0 &&
 *         vh_client_deploy(client, &spec, NULL, &err) == 0)
 *         rc = vh_client_invoke(client, "hello", NULL, "{\"name\":\"record\"}", 17, NULL, &response, NULL, &err);
 *     vh_client_free(client);
 *
 * Every call has a connection of its own, so calls do not wait for one another and a daemon that was restarted is
 * found again. A call that is cancelled or late is given up by the daemon as well. Progress of long calls goes to
 * |call->progress|.
 *
 * Errors of all calls, beside their own: VH_ENODAEMON, nobody listens at the socket; -EACCES; VH_EPROTOCOL, what
 * listens there is no vhived; -ECONNRESET, it went away; VH_EINVALID, a text is no UTF-8; VH_ETIMEDOUT, VH_ECANCELED,
 * VH_ELIMIT, -ENOMEM.
 *
 * Threads: a client may be used by all threads at once.
 */
#ifndef VHIVE_CLIENT_H
#define VHIVE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <vhive/attr.h>
#include <vhive/config.h>
#include <vhive/env.h>
#include <vhive/error.h>
#include <vhive/exec.h>
#include <vhive/fn.h>
#include <vhive/image.h>
#include <vhive/invoke.h>
#include <vhive/snapshot.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Name of the control API's socket in the run directory of a daemon. */
#define VH_CLIENT_SOCKET "vhived.sock"

typedef struct vh_client vh_client;

/**
 * Makes a client of the daemon at |socket|, the path of a Unix socket (copied). Connects to nothing yet. On success the
 * caller owns |*client| (vh_client_free()). VH_EINVALID: the path is empty or longer than 107 bytes; -ENOMEM.
 */
VH_API VH_MUST_CHECK int vh_client_new(const char *socket, vh_client **client, vh_error *err);
/** Frees |client|; NULL is fine. Its processes (vh_client_exec) may live on. */
VH_API void vh_client_free(vh_client *client);

/** Who answers. Plain data. */
typedef struct vh_daemon_info {
    size_t size;          /**< in: sizeof(vh_daemon_info) */
    char version[32];
    char state_dir[1024]; /**< cut if it is longer */
    char run_dir[128];
    pid_t pid;
    int64_t started_ns;   /**< CLOCK_REALTIME */
} vh_daemon_info;

#define VH_DAEMON_INFO_INIT { .size = sizeof(vh_daemon_info) }

/** Asks the daemon who it is: also the way to find out whether there is one. Default deadline 5 s. */
VH_API VH_MUST_CHECK int vh_client_version(vh_client *client, const vh_call *call, vh_daemon_info *info, vh_error *err);
/** The daemon's settings as vh_config_dump() writes them; the caller owns |*yaml| (free()). Default deadline 5 s. */
VH_API VH_MUST_CHECK int vh_client_config(vh_client *client, const vh_call *call, char **yaml, vh_error *err);

/**
 * As vh_functions_deploy() and the like. The daemon sets the default deadlines, but for 10 s of listings. An image in a
 * folder or file ("oci:DIR") that is no absolute path is looked for from the caller's working directory.
 */
VH_API VH_MUST_CHECK int vh_client_deploy(vh_client *client, const vh_function_spec *spec, const vh_call *call,
                                          vh_error *err);
VH_API VH_MUST_CHECK int vh_client_update(vh_client *client, const vh_function_spec *spec, const vh_call *call,
                                          vh_error *err);
VH_API VH_MUST_CHECK int vh_client_scale(vh_client *client, const char *name, uint32_t min, uint32_t max,
                                         const vh_call *call, vh_error *err);
VH_API VH_MUST_CHECK int vh_client_remove(vh_client *client, const char *name, const vh_call *call, vh_error *err);
/** NULL for |name|: all. */
VH_API VH_MUST_CHECK int vh_client_functions(vh_client *client, const char *name, const vh_call *call,
                                             vh_function_fn each, void *arg, vh_error *err);
VH_API VH_MUST_CHECK int vh_client_instances(vh_client *client, const char *name, const vh_call *call,
                                             vh_instance_fn each, void *arg, vh_error *err);

/**
 * Calls the function |name| with the request |spec|, as vh_invoke_parse() takes it; NULL: the typical request that its
 * image names (label io.vhive.invoke). |data| (|n| bytes; NULL: none) takes the place of the body in it. The daemon
 * reads no file for anyone: "@FILE" in |spec| is VH_EINVALID. As vh_functions_invoke(), VH_EREMOTE with |*response|
 * filled included. Of its stamps only begin_ns and last_byte_ns are set, and are those of this call as a whole.
 */
VH_API VH_MUST_CHECK int vh_client_invoke(vh_client *client, const char *name, const char *spec, const void *data,
                                          size_t n, const vh_call *call, vh_invoke_response *response,
                                          vh_invoke_timing *timing, vh_error *err);

/** As vh_functions_events(). */
VH_API VH_MUST_CHECK int vh_client_events(vh_client *client, const char *name, uint64_t since, const vh_call *call,
                                          vh_event_fn each, void *arg, vh_error *err);
/** As vh_functions_logs(). */
VH_API VH_MUST_CHECK int vh_client_logs(vh_client *client, const char *name, uint32_t tail, bool follow,
                                        const vh_call *call, vh_log_piece_fn each, void *arg, vh_error *err);

/** A process in a VM, started through the daemon. */
typedef struct vh_client_exec vh_client_exec;

/**
 * Starts a process in an instance of |function|, or in the VM |vm| (one of the two is NULL; both: the only VM that
 * runs). As vh_functions_exec() and vh_exec_start(). On success the caller owns |*exec|. Default deadline 10 s for a
 * VM, that of a start for a function.
 */
VH_API VH_MUST_CHECK int vh_client_exec_start(vh_client *client, const char *function, const char *vm,
                                              const vh_exec_options *opts, const vh_call *call, vh_client_exec **exec,
                                              vh_error *err);
/** As vh_exec_wait(). -ECONNRESET: the daemon is gone, and the process with it. */
VH_API VH_MUST_CHECK int vh_client_exec_wait(vh_client_exec *exec, const vh_call *call, vh_exec_result *result,
                                             vh_error *err);
/** As vh_exec_resize() and vh_exec_signal(), from any thread; passed on by vh_client_exec_wait(). -EAGAIN: many wait. */
VH_API int vh_client_exec_resize(vh_client_exec *exec, uint16_t rows, uint16_t cols, vh_error *err);
VH_API int vh_client_exec_signal(vh_client_exec *exec, int signal, vh_error *err);
/** Frees |exec|; a process that still runs is killed. NULL is fine. */
VH_API void vh_client_exec_free(vh_client_exec *exec);

/** As vh_functions_vm_pause() and the like. */
VH_API VH_MUST_CHECK int vh_client_vm_pause(vh_client *client, const char *vm, const vh_call *call, vh_error *err);
VH_API VH_MUST_CHECK int vh_client_vm_resume(vh_client *client, const char *vm, const vh_call *call, vh_error *err);
VH_API VH_MUST_CHECK int vh_client_vm_kill(vh_client *client, const char *vm, const vh_call *call, vh_error *err);
VH_API VH_MUST_CHECK int vh_client_vm_snapshot(vh_client *client, const char *vm, const vh_call *call, char *id,
                                               vh_error *err);

/** Fetches and converts |ref|, as vh_image_open(), and fills |info|. Default deadline: timeout.pull of the daemon. */
VH_API VH_MUST_CHECK int vh_client_image_pull(vh_client *client, const char *ref, const vh_call *call,
                                              vh_image_info *info, vh_error *err);
/** As vh_images_list(); with a |name| the one image that vh_images_inspect() finds. */
VH_API VH_MUST_CHECK int vh_client_images(vh_client *client, const char *name, const vh_call *call,
                                          vh_images_list_fn each, void *arg, vh_error *err);
/** As vh_images_remove(). */
VH_API VH_MUST_CHECK int vh_client_image_remove(vh_client *client, const char *name, const vh_call *call,
                                                vh_error *err);

/**
 * As vh_vm_snapshot_create(); of |opts| image, env, port, memory, cpus and label count. |id| has VH_SNAPSHOT_ID bytes.
 */
VH_API VH_MUST_CHECK int vh_client_snapshot_create(vh_client *client, const vh_run_options *opts, bool again,
                                                   const vh_call *call, char *id, vh_error *err);
/** As vh_snapshots_list(), without |identity|; with a |ref| the one that vh_snapshots_inspect() finds, with it. */
VH_API VH_MUST_CHECK int vh_client_snapshots(vh_client *client, const char *ref, const vh_call *call,
                                             vh_snapshot_fn each, void *arg, vh_error *err);
/** As vh_snapshots_verify() and vh_snapshots_remove(). */
VH_API VH_MUST_CHECK int vh_client_snapshot_verify(vh_client *client, const char *ref, const vh_call *call,
                                                   vh_error *err);
VH_API VH_MUST_CHECK int vh_client_snapshot_remove(vh_client *client, const char *ref, const vh_call *call,
                                                   vh_error *err);

/**
 * Sets one member of |spec| from text, as files and command lines write it: |key| is its name there ("keep_alive", with
 * '_' or '-'), |text| (borrowed by |spec|) a value as in vhive.yaml ("30s", "256M"). `env` is none of them.
 * VH_EINVALID: no such key (the nearest is named), or a bad value.
 */
VH_API VH_MUST_CHECK int vh_client_spec_set(vh_function_spec *spec, const char *key, const char *text, vh_error *err);
/** Row |i| of those keys, with type, default, bounds and help; NULL beyond their end. Static storage. */
VH_API const vh_config_key *vh_client_spec_key(size_t i);

/** Takes one function of a file; |spec| is borrowed for the call. A negative code ends the reading with it. */
typedef int (*vh_function_spec_fn)(const vh_function_spec *spec, void *arg, vh_error *err);

/**
 * Reads the YAML file |path|, a list of functions whose keys are those of vh_client_spec_set() and `env`, a mapping
 * (docs/vhive-ctl.md has an example), and hands them to |each| in their order, once all of it was found
 * to be valid. Relative folders in `image` are taken from the file's own. Asks no daemon.
 * VH_EINVALID with FILE:LINE:COLUMN for bad YAML, an unknown key, a bad value, a key or a name that is there twice;
 * VH_ENOTFOUND: no such file; VH_ELIMIT: larger than 1 MiB, more than 1024 functions; -errno; what |each| returned.
 */
VH_API VH_MUST_CHECK int vh_client_read_functions(const char *path, vh_function_spec_fn each, void *arg, vh_error *err);

#ifdef __cplusplus
}
#endif
#endif
