/*
 * QMP, QEMU's control protocol, sans-I/O: bytes in, messages out, and commands to bytes. JSON objects, one per line.
 * The decoder trusts nothing: a line is at most VH_QMP_LINE_MAX bytes and must be one of the four kinds below.
 */
#ifndef VH_VMM_QMP_H
#define VH_VMM_QMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vhive/error.h>

#include "buf.h"
#include "json.h"

/** Longest line that is accepted; QEMU's longest answer to what we ask is below 4 KiB. */
#define VH_QMP_LINE_MAX (1U << 20)

typedef enum vh__qmp_kind {
    VH_QMP_GREETING,
    VH_QMP_RETURN, /* body: what was returned */
    VH_QMP_ERROR,  /* body: {"class", "desc"} */
    VH_QMP_EVENT,  /* body: the whole message; name: the event */
} vh__qmp_kind;

/** One message. |body| and |name| are borrowed from |json|, which the holder frees (vh__qmp_message_fini). */
typedef struct vh__qmp_message {
    vh__qmp_kind kind;
    uint64_t id; /* of the command it answers; 0: none */
    const char *name;
    const cJSON *body;
    cJSON *json;
} vh__qmp_message;

void vh__qmp_message_fini(vh__qmp_message *m);

/** Decoder state; zero-initialise, vh__qmp_decoder_fini() at the end. */
typedef struct vh__qmp_decoder {
    vh__buf in;
    size_t searched; /* bytes of |in| known to hold no end of line */
} vh__qmp_decoder;

void vh__qmp_decoder_fini(vh__qmp_decoder *d);
/** Takes |n| received bytes. -ENOMEM. */
VH_MUST_CHECK int vh__qmp_feed(vh__qmp_decoder *d, const void *bytes, size_t n, vh_error *err);
/**
 * Gives the next whole message: 1 and |*m|, 0 when there is none yet, VH_EPROTOCOL for a line that is none, VH_ELIMIT
 * for one beyond the limit.
 */
VH_MUST_CHECK int vh__qmp_next(vh__qmp_decoder *d, vh__qmp_message *m, vh_error *err);

/** Appends the command |name| with |args| (borrowed, NULL: none) and |id| (not 0) to |out|. */
void vh__qmp_command(vh__buf *out, uint64_t id, const char *name, const cJSON *args);

#endif
