/* What a start and a call of a function cost, for people and as JSON. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stdio.h>
#include <vhive/error.h>
#include <vhive/phases.h>
#include <vhive/vm.h>

/** A start, and the call if there was one. Texts are borrowed. */
typedef struct cli_report {
    const char *vm, *address, *engine, *snapshot;
    uint16_t port;
    vh_phases phases; /* end_ns set: to readiness, or to the last byte of the answer */
    const vh_vm_stats *stats; /* NULL: not known */
    bool deployed;            /* of a function of the daemon: |cold| counts, and nothing but |vm| of the first two lines */
    bool cold;                /* an instance was started for the call */
    bool called;              /* what follows counts */
    bool ok, grpc;
    int status;
    const char *content_type, *body;
    size_t body_len;
} cli_report;

/** Writes one row per phase (start and duration in ms, critical or overlapped), then their sum against the total. */
VH_MUST_CHECK int cli_report_phases(FILE *out, const vh_phases *phases, vh_error *err);
/** Writes the figures of the VM as one line. */
void cli_report_stats(FILE *out, const vh_vm_stats *stats);
/** Writes all of |r| as one JSON object. A body that is not UTF-8 is "body_base64" instead of "body". */
void cli_report_json(FILE *out, const cli_report *r);

/** Writes the answer's body, ended by a newline. */
void cli_report_body(FILE *out, const cli_report *r);

/** Share of the whole flow that its critical phases explain, in percent. */
double cli_report_explained(const vh_phases *phases);

#endif
