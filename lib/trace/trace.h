/*
 * Trace: contexts that travel in headers, spans made from phases, and their Zipkin JSON. No I/O but getrandom(2):
 * who has headers parses them here, who ships spans takes the bytes from vh__zipkin_encode().
 *
 *     vh__trace_context caller, mine;
 *     if (!vh__trace_parse_w3c(header, strlen(header), &caller)) ... start one with vh__trace_start() ...
 *     vh__trace_child(&caller, &mine, &err);
 *     vh__trace_phases(&mine, "cold-start", phases, real_minus_mono_ns, sink, sink_arg, &err);
 *
 * Threads: no state; everything may be called from all threads. Spans are plain data, owned by who holds them.
 */
#ifndef VH_TRACE_TRACE_H
#define VH_TRACE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vhive/attr.h>
#include <vhive/error.h>
#include <vhive/phases.h>

#include "buf.h"

/** What the caller decided about recording; B3 can leave it open. */
typedef enum vh__sampling { VH_SAMPLE_DEFER = 0, VH_SAMPLE_NO, VH_SAMPLE_YES, VH_SAMPLE_DEBUG } vh__sampling;

/** Place of a span in its trace. |trace_hi| is 0 for the 64-bit ids of older B3 senders; |span| 0: only a decision. */
typedef struct vh__trace_context {
    uint64_t trace_hi, trace_lo, span, parent; /* parent 0: none known */
    vh__sampling sampling;
} vh__trace_context;

/** Room for "00-<32>-<16>-<2>" and "<32>-<16>-<1>-<16>", their ends included. */
#define VH_TRACE_W3C_TEXT 56
#define VH_TRACE_B3_TEXT  69

/** Starts a new trace that is sampled. 0 or -errno of getrandom(2). */
VH_MUST_CHECK int vh__trace_start(vh__trace_context *c, vh_error *err);
/** Makes |child| a new span below |parent|, or a new trace with its decision when |parent| holds only that. */
VH_MUST_CHECK int vh__trace_child(const vh__trace_context *parent, vh__trace_context *child, vh_error *err);

/**
 * Parses a W3C "traceparent" value of |n| bytes: version 00, and later versions as far as they are the same. False
 * for anything else (ids of zeros included); |*c| is then untouched.
 */
bool vh__trace_parse_w3c(const char *text, size_t n, vh__trace_context *c);
/** Writes |c| as "traceparent" and returns |text|. An open decision becomes "not sampled": W3C knows no other. */
const char *vh__trace_format_w3c(const vh__trace_context *c, char text[VH_TRACE_W3C_TEXT]);

/** Parses a B3 single header ("b3"): ids with or without decision and parent, or a decision alone. As above. */
bool vh__trace_parse_b3(const char *text, size_t n, vh__trace_context *c);
/** Writes |c| as a B3 single header and returns |text|. */
const char *vh__trace_format_b3(const vh__trace_context *c, char text[VH_TRACE_B3_TEXT]);

/** The B3 headers of the form with one header each; NULL: not there. NUL-terminated. */
typedef struct vh__trace_b3_headers {
    const char *trace_id, *span_id, *parent_span_id, *sampled, *flags;
} vh__trace_b3_headers;

/** Parses X-B3-TraceId and its siblings. False when they make no context; |*c| is then untouched. */
bool vh__trace_parse_b3_headers(const vh__trace_b3_headers *h, vh__trace_context *c);

#define VH_SPAN_NAME 64
#define VH_SPAN_TAGS 4

/** One finished span. Names and tags are text for people: what is no printable ASCII is shown as '?'. */
typedef struct vh__span {
    vh__trace_context context;
    char name[VH_SPAN_NAME];
    int64_t start_ns, ns; /* CLOCK_REALTIME, duration */
    struct {
        char key[24], value[VH_SPAN_NAME];
    } tags[VH_SPAN_TAGS]; /* an empty key ends them */
} vh__span;

/** Takes one finished span (borrowed for the call). Called on the thread that ends it, possibly from several. */
typedef void (*vh__span_fn)(const vh__span *span, void *arg);

/**
 * Hands the span |c| called |name| to |sink|, and one child per phase, tagged critical=true or false. Phases are in
 * CLOCK_MONOTONIC; |real_minus_mono_ns| takes them to CLOCK_REALTIME. An unfinished flow ends with its last phase.
 * Nothing is made when |c| is not to be sampled. 0 or -errno of getrandom(2).
 */
VH_MUST_CHECK int vh__trace_phases(const vh__trace_context *c, const char *name, const vh_phases *phases,
                                   int64_t real_minus_mono_ns, vh__span_fn sink, void *sink_arg, vh_error *err);

/** Appends |n| spans of |service| as a Zipkin v2 JSON array. 0 or -ENOMEM. */
VH_MUST_CHECK int vh__zipkin_encode(const char *service, const vh__span *spans, size_t n, vh__buf *out, vh_error *err);

#endif
