/*
 * Further clients of a VM: whoever may connect to the socket in its directory, root alone. One connection is one
 * request: to look at the VM, to freeze it or let it go on, or to run a process in it ("exec"), whose streams are pipes
 * that the client passes. What is under way is bounded by the agent's windows; a client that is slow, silent or gone
 * holds up nobody but itself, and its process dies with its connection.
 */
#ifndef VH_SHIM_CLIENTS_H
#define VH_SHIM_CLIENTS_H

#include <poll.h>
#include <stdbool.h>

#include "agent_host.h"
#include "output.h"
#include "shim.h"

/* Connections at once; more than execs, so that looking at a VM is always possible. */
#define CLIENTS_MAX  24
/* Each has its socket and three pipes; and there is the listener. */
#define CLIENTS_POLL (1 + 4 * CLIENTS_MAX)

/* The process of a client. */
struct client_exec {
    uint16_t id; /* 0: none, or it is over */
    int in_fd;   /* -1: its end was told, or it has ended */
    uint32_t in_room;     /* what the guest still takes */
    struct output out[2]; /* to the client */
    uint32_t out_room[2]; /* what the guest may still send */
    bool exited;
    vh__agent_exec_exited how; /* text is not kept here */
    char text[320];
};

struct client {
    int sock; /* -1: nobody; its exec may still be there to be killed */
    struct client_exec exec;
};

struct clients {
    int listener; /* -1: not yet */
    cJSON *facts; /* what "inspect" answers */
    struct client list[CLIENTS_MAX];
    uint16_t last_id;
};

struct shim;

void clients_init(struct clients *c);
void clients_fini(struct clients *c);

/** Begins to listen as "facts" of |request| says. Failure is no error of the VM's start: it serves without the socket. */
void clients_listen(struct clients *c, cJSON *request);

/** How many processes of theirs run in the VM. */
unsigned clients_execs(const struct clients *c);

/** What to wait for. */
void clients_poll_set(const struct shim *s, struct pollfd p[CLIENTS_POLL]);
/** Deals with what is ready. */
void clients_dispatch(struct shim *s, const struct pollfd p[CLIENTS_POLL]);

/** Takes an exec message of the guest. VH_EPROTOCOL when it sent what it must not. */
VH_MUST_CHECK int clients_take(struct shim *s, const vh__agent_msg *m, vh_error *err);

/** The VM is over: whoever has an exec in it is told. */
void clients_vm_over(struct shim *s);

#endif
