/*
 * vhive-shim: owns one VM. It holds the VMM as its child, serves the VM's page faults, speaks with its agent, and
 * does what it is asked on one socket (shim.h says what). Beside the pager's threads and one that notices the death of
 * the library it is single-threaded: long waits, also inside a request, are shim_pump(), which keeps console, agent and
 * output flowing and notices the VMM's death.
 *
 * Being init of its own pid namespace it takes the VMM with it however it ends.
 */
#ifndef VH_SHIM_SHIM_PRIV_H
#define VH_SHIM_SHIM_PRIV_H

#include <pthread.h>
#include <stdbool.h>

#include "agent_host.h"
#include "clients.h"
#include "output.h"
#include "reap.h"
#include "shim.h"
#include "vmm.h"

/* What is known of the guest and its function, by what the agent said. */
struct guest {
    bool hello, ready, exited, quiesced;
    unsigned pongs;
    bool mend_clock; /* by what the next PONG shows it to be off */
    vh__agent_exited exit;
    bool hook_failed; /* |error| says how: instead of QUIESCED or PONG */
    char error[512]; /* the last ERROR of the agent, printable */
};

struct shim {
    int control;
    vh_cancel *gone; /* triggered when the library has closed |control|: ends every wait */
    pthread_t watch; /* does that */
    vh__vmm *vmm; /* NULL: none */
    vh__agent_decoder *agent;
    vh__buf to_agent; /* frames on their way: whole ones are added, so that nobody's can be torn apart */
    struct guest guest;
    struct clients clients;
    bool saving; /* no exec may begin: it would be in the snapshot; nor may it be frozen or go on by anybody else */
    bool paused; /* by request, until another */
    struct output out[2];  /* stdout, stderr */
    vh__ring said;         /* the function's last words, for errors */
    int memfd;             /* memory of a VM that was booted; -1 */
    vh__ws_fetch *fetch;   /* until the pager takes it */
    vh__pager *pager;      /* NULL: page faults are the kernel's */
    vh__ws_identity ws_id; /* snapshot is on the heap */
    int memory_fd;         /* the snapshot's, while there is a pager */
    uint64_t memory_bytes; /* of the guest */
    int uffd_sock;         /* on which the VMM hands over its userfaultfd; -1 when that is done, or is not to be */
    bool connected;        /* the VMM has answered */
    int leases[2];         /* held only so that their locks live as long as the VM */
    bool exit_told;
};

/* Whether what is waited for has come. */
typedef bool (*shim_until)(const struct shim *s);

/**
 * pump.c: runs everything until |until|, the VMM's death or the bounds are over. Without |until|: until a request is
 * there, or the function has ended (VH_EGUEST), which is told once.
 */
VH_MUST_CHECK int shim_pump(struct shim *s, const vh__wait *w, shim_until until, const char *what, vh_error *err);
/** Hands on what output is left, until all is gone or the library is. */
void shim_flush_output(struct shim *s);

/** guest.c: takes one message of the agent. VH_EPROTOCOL when it does not keep to an exec's course. */
VH_MUST_CHECK int guest_message(struct shim *s, const vh__agent_msg *m, vh_error *err);
/** Says why the function is not there: its exit and last words. Returns VH_EGUEST. */
int guest_exit_error(const struct shim *s, vh_error *err);
/** Says that a hook of the image failed, and how. Returns VH_EGUEST. */
int guest_hook_error(const struct shim *s, vh_error *err);
/** Sends an encoded frame to the agent, behind what is queued; what the channel does not take now, the pump sends. */
VH_MUST_CHECK int guest_send(struct shim *s, const void *frame, size_t n, vh_error *err);
/** Encodes |m| and sends it likewise. */
VH_MUST_CHECK int guest_tell(struct shim *s, const vh__agent_msg *m, vh_error *err);
/** Queues |m|; the pump sends it. */
VH_MUST_CHECK int guest_queue(struct shim *s, const vh__agent_msg *m, vh_error *err);
/** Sends of the queue what the channel takes now. */
VH_MUST_CHECK int guest_flush(struct shim *s, vh_error *err);

/** freeze.c: the virtual CPUs stand still until shim_thaw(). 0 also if they do. VH_ESTATE: it is ending or being saved. */
VH_MUST_CHECK int shim_freeze(struct shim *s, const vh__wait *w, vh_error *err);
/** Undoes shim_freeze(), by shim_go_on(); 0 if it was not frozen. VH_ESTATE: as there. */
VH_MUST_CHECK int shim_thaw(struct shim *s, const vh__wait *w, vh_error *err);
/** Lets a VM that was frozen or saved go on. Its clock is mended once PONG has come. */
VH_MUST_CHECK int shim_go_on(struct shim *s, const vh__wait *w, vh_error *err);

/** memory.c: the VMM with its memory, and what serves it. */
VH_MUST_CHECK int memory_fetch(struct shim *s, vh__shim_message *m, vh_error *err);
VH_MUST_CHECK int memory_spawn(struct shim *s, const vh__wait *w, vh__shim_message *m, vh_error *err);
VH_MUST_CHECK int memory_connect(struct shim *s, const vh__wait *w, vh_error *err);
VH_MUST_CHECK int memory_bind(struct shim *s, const vh__wait *w, vh__shim_message *m, vh_error *err);
VH_MUST_CHECK int memory_record(struct shim *s, vh__shim_message *m, cJSON *answer, vh_error *err);
VH_MUST_CHECK int memory_installed(struct shim *s, const vh__wait *w, cJSON *answer, vh_error *err);
/** Kills the VMM and frees what served it; the shim is as at its start. */
void memory_release(struct shim *s);

/** stats.c */
VH_MUST_CHECK int memory_stats(struct shim *s, cJSON *answer, vh_error *err);

/** requests.c: carries out one request and answers it. Fails only when the socket does. */
VH_MUST_CHECK int request_serve(struct shim *s, vh__shim_message *m, vh_error *err);

#endif
