/*
 * The language between the library and vhive-shim, the process that owns one VM: its VMM, its page faults and its
 * agent channel. One SOCK_SEQPACKET socket; each message is a JSON object, may carry descriptors that the object
 * names in "fds", and may be followed by a NUL and a payload (an agent frame, which the shim hands on unread).
 *
 * Requests are answered in order, one at a time: {"op": NAME, "timeout_ms": N, ...} by {"ok": true, ...} or
 * {"error": CODE, "message": TEXT}. Between them comes, at most once, {"event": "exit", ...}. When either end closes
 * the socket, or the shim dies, the VM dies: the shim is init of a pid namespace that holds the VMM.
 *
 *   op           descriptors, members                         does
 *   fetch        dir; snapshot, memory_bytes                  starts reading the working set
 *   spawn        tap, netns, [lease, journal];                starts the VMM; unless its memory is "uffd" it gets its
 *                [memory, stdout, stderr]; vh__shim_spawn_*   memory and disk now, and has answered when this returns
 *   connect                                                   waits until a VMM with memory "uffd" answers
 *   bind         memory, rootfs, [stdout, stderr];            makes a VMM with memory "uffd" the clone of a snapshot:
 *                snapshot, record, replay                     serves its page faults, gives it its disk
 *   hello                                                     waits for the agent's first word
 *   start        payload START                                starts the function, waits until it is ready
 *   save         vmstate; [goes_on]                           quiesces, freezes, saves; answers with descriptor memory
 *                                                             and paused_ns, when it was frozen; "goes_on": refuses
 *                                                             while further clients have processes in the VM
 *   continue                                                  after "save", also a failed one: lets the VM go on, until
 *                                                             its clock is right; otherwise nothing
 *   pause                                                     freezes the virtual CPUs; "inspect" tells of it
 *   unpause                                                   lets them go on, until the clock is right
 *   load         vmstate                                      loads the device state
 *   installed                                                 waits until the working set is in place
 *   resume                                                    lets the virtual CPUs run, after "load"
 *   tell         payload                                      sends RESUMED or RESTORED; waits for PONG after RESTORED
 *   stats                                                     counters
 *   record       dir; snapshot                                ends recording, stores the working set
 *   stop         payload STOP                                 stops the function, waits for the end of the VM
 *
 * "start" and "tell" may carry "facts", an object that says at least in which "dir" the VM lives. From then on the
 * shim listens there, on VH_SHIM_SOCKET, for further clients (root alone may connect). Each connection is one request:
 *
 *   inspect                                                   answers with the facts and "paused"
 *   pause, resume                                             as "pause" and "unpause", but the clock is right a moment
 *                                                             later
 *   exec         stdin, stdout, stderr (pipes); payload EXEC  starts a process in the guest; after the answer comes
 *                                                             {"event": "exit", code, signal, text}, behind its output,
 *                                                             or an error. Meanwhile "tell" with payload EXEC_RESIZE or
 *                                                             EXEC_SIGNAL, unanswered. A client that goes kills it
 */
#ifndef VH_SHIM_SHIM_H
#define VH_SHIM_SHIM_H

#include <stddef.h>
#include <stdint.h>

#include "fd.h"
#include "json.h"
#include "vmm.h"
#include "wait.h"

/** Socket in the VM's directory for further clients. */
#define VH_SHIM_SOCKET "shim.sock"

/** Where a shim finds its socket. */
#define VH_SHIM_FD 3

/** Largest message: a function's whole environment fits. */
#define VH_SHIM_MESSAGE_MAX (160U * 1024)

/** A descriptor and its name in "fds". */
typedef struct vh__shim_fd {
    const char *name;
    int fd;
} vh__shim_fd;

/** A received message. The holder frees it by vh__shim_message_fini(), which closes what nobody took. */
typedef struct vh__shim_message {
    cJSON *json;
    int fds[VH_FDS_MAX];
    size_t nfds;
    char *payload; /* on the heap, NULL: none */
    size_t payload_len;
} vh__shim_message;

void vh__shim_message_fini(vh__shim_message *m);

/**
 * Sends |json| (takes it) with |nfds| descriptors (borrowed; those that are -1 are left out) and |payload|.
 * -EPIPE when the peer is gone, VH_ELIMIT when it is too large, -ENOMEM.
 */
VH_MUST_CHECK int vh__shim_send(int sock, cJSON *json, const vh__shim_fd *fds, size_t nfds, const void *payload,
                                size_t payload_len, vh_error *err);

/** Receives the next message. -EPIPE when the peer has closed, VH_EPROTOCOL, and as vh__wait_fd(). */
VH_MUST_CHECK int vh__shim_recv(int sock, const vh__wait *w, vh__shim_message *m, vh_error *err);

/** Takes the descriptor |name| out of |m|: the caller's from then on. -1 when there is none. */
int vh__shim_take_fd(vh__shim_message *m, const char *name);

/** {"error", "message"} of |code| and |err|; NULL when out of memory. */
VH_MUST_CHECK cJSON *vh__shim_error(int code, const vh_error *err);
/** 0 when |m| says ok, else its code with its message in |err|. */
VH_MUST_CHECK int vh__shim_result(const vh__shim_message *m, vh_error *err);

/** {"op": "spawn", ...} of |c|, whose descriptors are not in it; NULL when out of memory. */
VH_MUST_CHECK cJSON *vh__shim_spawn_encode(const vh__vmm_config *c);
/** Reads |j| into |c|, whose strings borrow from |j|. VH_EPROTOCOL for what is missing or out of range. */
VH_MUST_CHECK int vh__shim_spawn_decode(const cJSON *j, vh__vmm_config *c, vh_error *err);

/** How memory is to be served, in {"op": "bind", ...}. */
typedef struct vh__shim_bind {
    const char *snapshot; /* whom the working set belongs to; borrowed from the message once decoded */
    bool record;          /* note the pages in order of first touch */
    bool replay;          /* install what "fetch" read */
} vh__shim_bind;

/** As for "spawn". */
VH_MUST_CHECK cJSON *vh__shim_bind_encode(const vh__shim_bind *b);
VH_MUST_CHECK int vh__shim_bind_decode(const cJSON *j, vh__shim_bind *b, vh_error *err);

#endif
