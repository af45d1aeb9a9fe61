/*
 * vh_host: the composition root. Makes every object of the library from one configuration, in order, and frees them
 * in reverse; what most programs start from.
 *
 *     vh_host *host;
 *     if (vh_host_new(config, &env_options, &host, &err)) ...
 *     vh_vm_run(vh_host_vms(host), ...);
 *     vh_host_free(host);
 *
 * Threads: the objects it hands out may be used by all threads; it must outlive them.
 */
#ifndef VHIVE_HOST_H
#define VHIVE_HOST_H

#include <vhive/attr.h>
#include <vhive/config.h>
#include <vhive/env.h>
#include <vhive/fn.h>
#include <vhive/image.h>
#include <vhive/snapshot.h>
#include <vhive/vm.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vh_host vh_host;

/**
 * Makes a host. |config| is borrowed for the host's life; NULL: all defaults. Of |opts| (NULL: none) the sinks are
 * taken and the directories override the configuration's. Creates directories it may need, and reaps what dead
 * processes left behind (journalled resources whose owner is gone). On success the caller owns |*host|.
 */
VH_API VH_MUST_CHECK int vh_host_new(const vh_config *config, const vh_env_options *opts, vh_host **host,
                                     vh_error *err);
/** Frees |host| and its objects. All VMs must be freed before. NULL is fine. */
VH_API void vh_host_free(vh_host *host);

/** Fills |opts| with what |config| says of images; it borrows from |config|. For programs that run nothing. */
VH_API void vh_host_images_options(const vh_config *config, vh_images_options *opts);

/** The host's objects; borrowed, valid for its life. */
VH_API vh_env *vh_host_env(vh_host *host);
VH_API vh_images *vh_host_images(vh_host *host);
VH_API vh_snapshots *vh_host_snapshots(vh_host *host);
VH_API vh_vms *vh_host_vms(vh_host *host);

/**
 * The host's functions (<vhive/fn.h>), made by the first call: from then on those that are deployed are served, and freeing
 * the host ends their instances. One process at a time may have them for a state directory: VH_ESTATE names the other.
 * |*functions| is borrowed, valid for the host's life. Any thread. -ENOMEM, -errno.
 */
VH_API VH_MUST_CHECK int vh_host_functions(vh_host *host, vh_functions **functions, vh_error *err);

#ifdef __cplusplus
}
#endif
#endif
