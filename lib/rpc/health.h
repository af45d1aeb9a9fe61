/*
 * gRPC's health service (grpc.health.v1.Health): what a server tells of itself and of each of its services, to probes
 * that ask once (Check) or stay (Watch).
 *
 *     vh__rpc_health_new(&health, &err);
 *     vh__rpc_health_methods(health, methods + n);     two more methods of the server
 *     vh__rpc_health_set(health, "", true, &err);      "": the server as a whole
 *
 * Threads: any, until vh__rpc_health_free(), which comes after the server's end.
 */
#ifndef VH_RPC_HEALTH_H
#define VH_RPC_HEALTH_H

#include "rpc.h"

#define VH_RPC_HEALTH_METHODS 2

typedef struct vh__rpc_health vh__rpc_health;

/** Makes a health service that knows of no service yet. -ENOMEM. */
VH_MUST_CHECK int vh__rpc_health_new(vh__rpc_health **health, vh_error *err);
/** NULL is fine. */
void vh__rpc_health_free(vh__rpc_health *health);
/** Makes |service| known as serving or not; whoever watches it is told. Its name is copied. -ENOMEM. */
VH_MUST_CHECK int vh__rpc_health_set(vh__rpc_health *health, const char *service, bool serving, vh_error *err);
/** Fills in the methods, which borrow |health|. */
void vh__rpc_health_methods(vh__rpc_health *health, vh__rpc_method methods[VH_RPC_HEALTH_METHODS]);

#endif
