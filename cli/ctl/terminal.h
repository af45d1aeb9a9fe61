/* The user's terminal while a process in a VM has it: raw, and as it was before on every way out. */
#ifndef CTL_TERMINAL_H
#define CTL_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>
#include <vhive/error.h>

/** Size of the terminal on standard input. False when there is none. */
bool ctl_terminal_size(uint16_t *rows, uint16_t *cols);

/**
 * Makes the terminal on standard input raw, so that ^C and the like are the process's. It is put back by
 * ctl_terminal_restore(), and before the process ends by a signal that can be caught. 0 or -errno.
 */
VH_MUST_CHECK int ctl_terminal_raw(vh_error *err);
/** Puts it back; fine without ctl_terminal_raw(). */
void ctl_terminal_restore(void);

/** Is told of the terminal's size. */
typedef void ctl_terminal_size_fn(uint16_t rows, uint16_t cols, void *arg);
/** A thread that tells |tell| of each change of the size. To be called before any other thread is started. */
VH_MUST_CHECK int ctl_terminal_follow(ctl_terminal_size_fn *tell, void *arg, vh_error *err);
/** Ends that thread; fine without it. */
void ctl_terminal_unfollow(void);

#endif
