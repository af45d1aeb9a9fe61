/* Before a snapshot: lets the guest finish what it has begun. */
#ifndef VHIVE_AGENT_SETTLE_H
#define VHIVE_AGENT_SETTLE_H

/**
 * Returns when the guest is at rest, after six seconds at most. Whatever the kernel and the function still had to do
 * would be done again by every clone before its first answer: closing the connection of the readiness probe, choosing
 * the clock, reading the rest of the function's program from its disk.
 */
void settle(void);

#endif
