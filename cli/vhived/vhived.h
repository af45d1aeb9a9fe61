/*
 * vhived: one process with a control API and functions' addresses, the CRI socket, and HTTP for monitoring. This is its
 * composition: parts are started in order, each with what it owns, and stopped in reverse (daemon.c).
 *
 * Threads: parts are started and stopped on the main thread, which then only watches (watch.c): signals, and the end of
 * a server that should not have ended. What servers share with it is atomic.
 */
#ifndef VHIVED_VHIVED_H
#define VHIVED_VHIVED_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <vhive/fn.h>
#include <vhive/host.h>

#include "cli.h"
#include "control.h"
#include "cri.h"
#include "http_server.h"
#include "listen.h"
#include "log.h"
#include "metrics.h"
#include "rpc.h"

/** The listening sockets, which systemd may have made; in the order of vhived_socket_names. */
enum { VHIVED_CONTROL = 0, VHIVED_CRI, VHIVED_HTTP, VHIVED_SOCKETS };

typedef struct vhived_socket {
    int fd;     /* -1: not configured, or with the server that serves it */
    char *path; /* of the file that we made and remove; NULL: none */
    vh__socket_file file;
} vhived_socket;

/** systemd's side of a service (sd_notify(3)); everything off where it is not there. */
typedef struct vhived_notify {
    char *socket;        /* NULL: none */
    int64_t watchdog_ns; /* how often it wants to hear of us; 0: never */
} vhived_notify;

/** A server that runs on a thread of its own. */
typedef struct vhived_server {
    const char *name;
    int (*run)(void *server, vh_error *err);
    void *server;
    vh_cancel *end; /* triggered when it ends by itself, which ends the daemon */
    pthread_t thread;
    bool running;
    int rc; /* with |err|, valid once the thread was joined */
    vh_error err;
} vhived_server;

typedef enum vhived_state { VHIVED_STARTING = 0, VHIVED_READY, VHIVED_STOPPING } vhived_state;

/** Spans on their way to Zipkin, traces.c. */
typedef struct vhived_traces vhived_traces;

typedef struct vhived {
    cli *cli; /* configuration, console, cancel token */
    vh_env *env;
    vh__metrics *metrics;
    _Atomic vhived_state state;
    int64_t started_ns; /* CLOCK_REALTIME */
    vhived_notify notify;
    int hangup_fd; /* readable when SIGHUP came */
    int lock_fd;
    vhived_socket sockets[VHIVED_SOCKETS];
    vh__http_server *http;
    vhived_server http_server;
    vhived_traces *traces; /* NULL: nobody wants them */
    vh_host *host;
    vh__control *control;
    pthread_mutex_t functions_lock; /* held by whoever reads figures: |functions| do not go meanwhile */
    vh_functions *functions;        /* of the host; NULL: none are served, or they have not been loaded yet */
    vh__rpc_server *control_rpc;
    vhived_server control_server;
    vh__cri *cri;
} vhived;

/** Serves until a signal or a failure ends it; then all is released. The command of the program. */
int vhived_run(cli *c, vh_error *err);

/** Directories, log and metrics sinks of |d|, borrowed from it. */
void vhived_env_options(vhived *d, vh_env_options *o);

/** Locks the state directory for one daemon. VH_ESTATE names the process that has it. */
VH_MUST_CHECK int vhived_lock(vhived *d, vh_error *err);
void vhived_unlock(vhived *d);

/** Takes the sockets that systemd hands over, and makes the others that are configured. */
VH_MUST_CHECK int vhived_sockets_open(vhived *d, vh_error *err);
/** Closes those that no server took, and removes the files of those that we made. */
void vhived_sockets_close(vhived *d);

/** Starts the thread of |s|, whose first members the caller has filled. -EAGAIN. */
VH_MUST_CHECK int vhived_server_start(vhived_server *s, vh_error *err);
/** Waits for its end; whoever calls has told the server to stop. Returns what it ended with. */
int vhived_server_join(vhived_server *s, vh_error *err);

/** /metrics, /healthz and /readyz. */
VH_MUST_CHECK int vhived_monitor_start(vhived *d, vh_error *err);
void vhived_monitor_stop(vhived *d);
/** Declares every family that a module of the library counts in. */
VH_MUST_CHECK int vhived_families_declare(vh__metrics *m, vh_error *err);
/** Appends the figures of the process itself in Prometheus text format. */
void vhived_process_text(const vhived *d, vh__buf *out);

/** Traces of cold starts, if there is somebody to send them to. */
VH_MUST_CHECK int vhived_traces_start(vhived *d, vh_error *err);
/** Sends what is left, once. */
void vhived_traces_stop(vhived *d);
/** Sink for vh_env_options; |traces| is a vhived_traces. */
void vhived_traces_take(const vh_trace_record *record, void *traces);

/** Appends the figures of functions and instances. */
void vhived_functions_text(vhived *d, vh__buf *out);

/** The host, and its functions. */
VH_MUST_CHECK int vhived_machine_start(vhived *d, vh_error *err);
void vhived_machine_stop(vhived *d);

/** The control API, behind the host. */
VH_MUST_CHECK int vhived_control_start(vhived *d, vh_error *err);
void vhived_control_stop(vhived *d);

/** The CRI socket. */
VH_MUST_CHECK int vhived_cri_start(vhived *d, vh_error *err);
void vhived_cri_stop(vhived *d);

/** Takes what systemd tells in the environment, and removes it from there, since it is not for our children. */
VH_MUST_CHECK int vhived_notify_init(vhived_notify *n, vh_error *err);
void vhived_notify_fini(vhived_notify *n);
/** Tells systemd |text| ("READY=1"). What cannot be told is lost, as sd_notify(3) has it. */
void vhived_notify_send(const vhived_notify *n, const char *text);

/** Waits until the cancel token ends the daemon; feeds the watchdog and serves SIGHUP meanwhile. */
VH_MUST_CHECK int vhived_watch(vhived *d, vh_error *err);
/** Reads the settings anew, takes over the log's, and tells which others changed. */
void vhived_reload(vhived *d);

#endif
