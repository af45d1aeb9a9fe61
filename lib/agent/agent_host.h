/*
 * The host's end of the agent protocol in terms of base: vh__buf, vh_error, deadlines. The agent itself is built
 * without this.
 */
#ifndef VH_AGENT_AGENT_HOST_H
#define VH_AGENT_AGENT_HOST_H

#include "agent.h"
#include "buf.h"
#include "wait.h"

/** The list of the NULL-terminated |v|, borrowed; NULL is an empty one. */
vh__agent_list vh__agent_list_of(const char *const *v);

/** Appends |m| as one frame to |out|. VH_ELIMIT when it does not fit (names the message), -ENOMEM. */
VH_MUST_CHECK int vh__agent_append(vh__buf *out, const vh__agent_msg *m, vh_error *err);

/**
 * Reads once from the non-blocking |fd| into |d|. Returns 0 (also when there was nothing to read), -EPIPE when the
 * other end is closed, -errno of read(2). For loops that wait for the descriptor themselves.
 */
VH_MUST_CHECK int vh__agent_read(vh__agent_decoder *d, int fd, vh_error *err);

/**
 * Next message that is whole in |d|. |*got| tells whether there was one. VH_EPROTOCOL, with the reason, when the
 * guest sent what it must not; for ever then.
 */
VH_MUST_CHECK int vh__agent_next(vh__agent_decoder *d, vh__agent_msg *m, bool *got, vh_error *err);

/** Blocks for the next message from |fd| (non-blocking or not). As the two above, and VH_ETIMEDOUT, VH_ECANCELED. */
VH_MUST_CHECK int vh__agent_receive(vh__agent_decoder *d, int fd, const vh__wait *w, vh__agent_msg *m, vh_error *err);

/** Writes one message to |fd|, waiting for room within |w|. */
VH_MUST_CHECK int vh__agent_send(int fd, const vh__agent_msg *m, const vh__wait *w, vh_error *err);

/** What a START or RESTORED needs of the host as it is sent: fresh random bytes and the time. -errno of getrandom(2). */
VH_MUST_CHECK int vh__agent_fresh(uint8_t seed[VH_AGENT_SEED], int64_t *realtime_ns, vh_error *err);

/** |text| of a guest made printable: control characters and bytes above 126 become '?', cut to |n|. Returns |buf|. */
const char *vh__agent_printable(const char *text, char *buf, size_t n);

#endif
