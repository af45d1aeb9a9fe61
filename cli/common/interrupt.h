/*
 * SIGINT and SIGTERM end a command in order: the first one triggers the cancel token, so that the blocking call
 * returns and everything is released; a second one ends the process at once (its VMs die with it).
 */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <vhive/env.h>

/** Installs the handlers; |cancel| is borrowed until the end of the process. SIGPIPE becomes an error of write(2). */
void cli_interrupt_install(vh_cancel *cancel);
/** Calls |last| (async-signal-safe; NULL: nothing) before a signal ends the process at once. */
void cli_interrupt_before_exit(void (*last)(void));
/** Number of the signal that came, 0 if none did. */
int cli_interrupt_received(void);

#endif
