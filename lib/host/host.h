/*
 * host: the composition root. The public face is <vhive/host.h>; this is how parts of a host are made from a
 * configuration, for those who want some of them without the rest (doctor).
 */
#ifndef VH_HOST_HOST_H
#define VH_HOST_HOST_H

#include <vhive/host.h>

#include "guest.h"
#include "net.h"

/** Fills |o| with |given| (NULL: none) and, where that names no directory, with those of |config|. All borrowed. */
void vh__host_env_options(const vh_config *config, const vh_env_options *given, vh_env_options *o);
/** Make objects of |config| in |env| (borrowed for their life), which the caller owns. Touch nothing of the machine. */
VH_MUST_CHECK int vh__host_guest(const vh_config *config, vh_env *env, vh__guest **guest, vh_error *err);
VH_MUST_CHECK int vh__host_net(const vh_config *config, vh_env *env, vh__net **net, vh_error *err);

#endif
