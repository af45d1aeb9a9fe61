/*
 * The control API (proto/vhive/control/v1) and gRPC's health service, as methods for an rpc server: calls come in as
 * messages, are looked at as what strangers say, and become calls of fn, image, snapshot and vm.
 *
 *     vh__control_options o = { .env = env, .config = config, .functions = functions, ... };
 *     if (vh__control_new(&o, &control, &err) == 0) {
 *         server.methods = vh__control_methods(control, &server.nmethods);
 *         ... vh__rpc_server_new(&server, ...), vh__rpc_server_run(), vh__rpc_server_free() ...
 *         vh__control_free(control);
 *     }
 *
 * Threads: every call runs on a thread of its own, which the server gives it; nothing here is shared between them.
 */
#ifndef VH_CONTROL_CONTROL_H
#define VH_CONTROL_CONTROL_H

#include <vhive/config.h>
#include <vhive/env.h>
#include <vhive/fn.h>
#include <vhive/image.h>
#include <vhive/snapshot.h>
#include <vhive/vm.h>

#include "rpc.h"

typedef struct vh__control vh__control;

/** What the API is made of. All borrowed for the life of the vh__control. */
typedef struct vh__control_options {
    vh_env *env;
    const vh_config *config;
    vh_functions *functions;
    vh_images *images;
    vh_snapshots *snapshots;
    vh_vms *vms;
} vh__control_options;

/** On success the caller owns |*control| (vh__control_free()). -ENOMEM. */
VH_MUST_CHECK int vh__control_new(const vh__control_options *o, vh__control **control, vh_error *err);
/** After the server that has its methods. NULL is fine. */
void vh__control_free(vh__control *control);
/** |*n| methods for vh__rpc_server_options, borrowed for the life of |control|. */
const vh__rpc_method *vh__control_methods(const vh__control *control, size_t *n);

#endif
