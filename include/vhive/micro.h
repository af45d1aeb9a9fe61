/*
 * vh_micro: what single mechanisms take on this machine, each by itself: page faults, disk, spawning, networks. They
 * tell a slow machine from a slow program, and what a start by snapshot can cost at best.
 *
 *     vh_micro *m;
 *     double value;
 *     if (vh_micro_new(env, NULL, &m, &err)) ...
 *     for (size_t i = 0; (row = vh_micro_at(i)) != NULL; i++)
 *         if (vh_micro_run(m, row->name, NULL, &value, &err) == 0)
 *             printf("%s %.0f %s\n", row->name, value, row->unit);
 *     vh_micro_free(m);
 *
 * What they need on disk lies in <state directory>/micro, on the disk that is measured, and goes with the object; what
 * a killed process left there goes with the next one.
 *
 * Threads: one at a time.
 */
#ifndef VHIVE_MICRO_H
#define VHIVE_MICRO_H

#include <stddef.h>
#include <stdint.h>
#include <vhive/attr.h>
#include <vhive/env.h>
#include <vhive/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vh_micro vh_micro;

typedef struct vh_micro_options {
    size_t size;          /**< sizeof(vh_micro_options) */
    const char *qemu;     /**< name or path; NULL: qemu-system-x86_64 */
    const char *accel;    /**< "kvm" or "tcg", of the VMMs that are spawned; NULL: tcg */
    uint32_t uid;         /**< user and group they run as; 0: 900000 */
    const char *net_pool; /**< IPv4 network of the leases, as the setting net.pool; NULL: its default */
} vh_micro_options;

#define VH_MICRO_OPTIONS_INIT { .size = sizeof(vh_micro_options) }

/** One measurement. Static storage. */
typedef struct vh_micro_row {
    const char *name; /**< "uffd-copy" */
    const char *unit; /**< of its values: "ns/page", "us", "MB/s" (10^6 bytes) */
    const char *help; /**< one line, no full stop */
} vh_micro_row;

/** Row |i| of the table, NULL beyond its end. */
VH_API const vh_micro_row *vh_micro_at(size_t i);

/**
 * Makes |*micro| from |env| (borrowed for its life) and |opts| (copied; NULL: defaults), and its directory. The caller
 * owns it (vh_micro_free()). VH_ESTATE: another process measures in this state directory; -ENOMEM; -errno.
 */
VH_API VH_MUST_CHECK int vh_micro_new(vh_env *env, const vh_micro_options *opts, vh_micro **micro, vh_error *err);

/**
 * Does the measurement |name| once; |*value| is in its unit. The first one of some makes files that later ones use.
 * VH_EINVALID: there is none of that name; VH_EMISSING: a program, device or privilege is; VH_ETIMEDOUT, VH_ECANCELED;
 * what the mechanism itself failed by. Default deadline 30 s.
 */
VH_API VH_MUST_CHECK int vh_micro_run(vh_micro *micro, const char *name, const vh_call *call, double *value,
                                      vh_error *err);

/** Frees |micro| and removes its directory. NULL is fine. */
VH_API void vh_micro_free(vh_micro *micro);

#ifdef __cplusplus
}
#endif
#endif
