/*
 * QMP over a socket: one command at a time, blocking with bounds. Events that arrive meanwhile are dropped: the driver
 * asks for states instead of believing events.
 */
#ifndef VH_VMM_QMP_CLIENT_H
#define VH_VMM_QMP_CLIENT_H

#include "qmp.h"
#include "wait.h"

typedef struct vh__qmp_client {
    int fd; /* connected Unix socket; owned */
    uint64_t last_id;
    vh__qmp_decoder decoder;
} vh__qmp_client;

#define VH_QMP_CLIENT_INIT { .fd = -1 }

void vh__qmp_client_fini(vh__qmp_client *c);

/** Waits for the greeting and leaves negotiation mode. |version| (size >= 32) gets QEMU's "major.minor.micro". */
VH_MUST_CHECK int vh__qmp_handshake(vh__qmp_client *c, const vh__wait *w, char version[32], vh_error *err);

/**
 * Runs the command |name| with |args| (takes it; NULL: none), handing over descriptor |fd| (borrowed; -1: none).
 * |*result| (may be NULL) is the caller's on success. VH_EVMM with QEMU's own words when it refuses, -EPIPE when it
 * has closed the connection.
 */
VH_MUST_CHECK int vh__qmp_call(vh__qmp_client *c, const vh__wait *w, const char *name, cJSON *args, int fd,
                               cJSON **result, vh_error *err);

#endif
