/* The guest's network, set by ioctl(2) alone, and the files that go with it. */
#ifndef VHIVE_AGENT_NET_H
#define VHIVE_AGENT_NET_H

#include "agent.h"
#include "util.h"

/** Loopback, host name, eth0's address, route and neighbour as |s| says. Needs /proc. 0 or -1 with |f|. */
int net_configure(const vh__agent_start *s, struct fault *f);

/** /etc/resolv.conf and /etc/hosts, in the function's root. 0 or -1 with |f|. */
int net_write_files(const vh__agent_start *s, struct fault *f);

#endif
