/*
 * The daemon, for commands that need it and for those that can do without: a verb talks to it if its socket answers,
 * else it works on the state directory itself; --local forces the latter.
 */
#ifndef CTL_DAEMON_H
#define CTL_DAEMON_H

#include <vhive/client.h>

#include "cli.h"

/** Makes a client of the daemon that is configured (run_dir, daemon.control_sock); the caller owns |*client|. */
VH_MUST_CHECK int ctl_client(cli *c, vh_client **client, vh_error *err);
/**
 * The daemon of the state directory in force, if there is one that answers and --local was not given; else |*client|
 * becomes NULL, which is no error. The caller owns it.
 */
VH_MUST_CHECK int ctl_daemon_find(cli *c, vh_client **client, vh_error *err);

/** Bounds of a call of the daemon, whose progress is shown as that of a call of the library. */
vh_call ctl_call(cli *c);

/** Lets |use| work with a client, and frees it. */
VH_MUST_CHECK int ctl_with_client(cli *c, int (*use)(cli *c, vh_client *client, void *arg, vh_error *err), void *arg,
                                  vh_error *err);

/** Completes names of functions; nothing without a daemon. */
int ctl_complete_function(cli *c, cli_candidates *to, vh_error *err);

#endif
