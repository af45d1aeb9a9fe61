/* One process of a client: pipes on one side, exec messages on the other, windows between. */
#ifndef VH_SHIM_CLIENT_EXEC_H
#define VH_SHIM_CLIENT_EXEC_H

#include "clients.h"

void client_exec_init(struct client_exec *x);
/** Closes and frees everything; as after client_exec_init(). */
void client_exec_fini(struct client_exec *x);

/** Asks the guest for the process that payload and descriptors of |m| describe, by number |id|. */
VH_MUST_CHECK int client_exec_begin(struct shim *s, struct client_exec *x, uint16_t id, vh__shim_message *m,
                                    vh_error *err);
/** Hands on a resize or signal, the payload of |m|. */
VH_MUST_CHECK int client_exec_tell(struct shim *s, struct client_exec *x, const vh__shim_message *m, vh_error *err);
/** Takes a message of the guest about it. */
VH_MUST_CHECK int client_exec_take(struct shim *s, struct client_exec *x, const vh__agent_msg *m, vh_error *err);

/** Its pipes: stdin, stdout, stderr. */
void client_exec_poll_set(const struct shim *s, const struct client_exec *x, struct pollfd p[3]);
void client_exec_dispatch(struct shim *s, struct client_exec *x, const struct pollfd p[3]);

/** Nobody wants it any more: the guest kills it. */
void client_exec_abandon(struct shim *s, struct client_exec *x);
/** Whether it has ended and all its output was handed on. */
bool client_exec_is_over(const struct client_exec *x);

#endif
