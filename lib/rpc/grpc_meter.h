/* Sizes of gRPC messages that pass by, seen from their prefixes alone. Zero-initialise. */
#ifndef VH_RPC_GRPC_METER_H
#define VH_RPC_GRPC_METER_H

#include <stddef.h>
#include <stdint.h>
#include <vhive/attr.h>
#include <vhive/error.h>

#include "grpc_frame.h"

typedef struct vh__grpc_meter {
    uint8_t prefix[VH_GRPC_PREFIX];
    uint8_t have;  /* bytes of the prefix that came */
    uint32_t left; /* bytes of the message that are to come */
} vh__grpc_meter;

/** Looks at the next |n| bytes of a stream. VH_ELIMIT once a message announces more than |max|: before its bytes. */
VH_MUST_CHECK int vh__grpc_meter_feed(vh__grpc_meter *meter, const uint8_t *bytes, size_t n, size_t max,
                                      vh_error *err);

#endif
