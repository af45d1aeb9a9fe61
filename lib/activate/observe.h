/*
 * What the head of a connection's first request says about its trace: HTTP/1.x, or HTTP/2 without TLS (h2c, as gRPC
 * has it). No I/O and no state: whoever can look at the first bytes without taking them calls it.
 */
#ifndef VH_ACTIVATE_OBSERVE_H
#define VH_ACTIVATE_OBSERVE_H

#include <stdbool.h>
#include <stddef.h>

#include "trace.h"

/** More bytes than this are not looked at. */
#define VH_OBSERVE_MAX 8192

/**
 * Looks for traceparent, b3 or x-b3-* (the first of these that is well-formed counts) in the |n| bytes of |head| and
 * writes |*context| if there is one. False, and |*context| untouched, for everything else: other protocols, a head
 * that is malformed, cut off before they came, or larger than VH_OBSERVE_MAX.
 */
bool vh__observe(const void *head, size_t n, vh__trace_context *context);

#endif
