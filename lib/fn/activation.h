/* Inside of fn: connections to functions' addresses, between the activator and the plan. */
#ifndef VH_FN_ACTIVATION_H
#define VH_FN_ACTIVATION_H

#include "fn_priv.h"

/** Starts the activator. Without the lock. */
VH_MUST_CHECK int vh__activation_start(vh_functions *f, vh_error *err);
/** Ends it, with all connections. Without the lock. NULL activator is fine. */
void vh__activation_stop(vh_functions *f);

/**
 * Listens for |fn| where |record| says: at the address it had, else at what was asked for. On success |*listener| is
 * the caller's, and |record->listen| tells where. Without the lock.
 */
VH_MUST_CHECK int vh__activation_listen(vh_functions *f, struct record *record, struct function *fn,
                                        struct vh__listener **listener, vh_error *err);

#endif
