/*
 * The runtime endpoint of kubelet, crictl and anything else that speaks CRI: a listening socket whose calls are decided
 * one by one. In stock mode, which is the only one yet, each of them goes to containerd as it is, whatever its service and
 * method, and containerd's answer comes back as it is (rpc_proxy.h).
 *
 *     vh__cri_options o = { .env = env, .listen_fd = fd };
 *     vh__cri *cri;
 *     if (vh__cri_new(&o, &cri, &err)) ...
 *     ...
 *     vh__cri_free(cri);
 *
 * Threads: it has one of its own for its loop; vh__cri_new() and vh__cri_free() may come from any.
 * Owns the listening socket; its file is its maker's to remove.
 */
#ifndef VH_CRI_CRI_H
#define VH_CRI_CRI_H

#include <stddef.h>
#include <stdint.h>
#include <vhive/attr.h>
#include <vhive/env.h>
#include <vhive/error.h>

#define VH_CRI_CONTAINERD  "/run/containerd/containerd.sock"
#define VH_CRI_MESSAGE_MAX (16u << 20)

/*
 * It counts in the environment's sink: vhive_cri_calls_total (method, code), vhive_cri_call_seconds (method),
 * vhive_cri_open_calls.
 */

/** Other members than the first two may be zero: the default. Strings are copied; |env| is borrowed for its life. */
typedef struct vh__cri_options {
    const vh_env *env;      /* where it logs and counts */
    int listen_fd;          /* a listening stream socket, taken in any case */
    const char *containerd; /* default VH_CRI_CONTAINERD */
    size_t max_message;     /* bytes of one message, either way; default VH_CRI_MESSAGE_MAX */
    uint32_t grace_ms;      /* vh__cri_free(): time for calls under way; default 5000 */
    vh_cancel *end;         /* triggered when it serves no longer, told to or not; borrowed; default none */
} vh__cri_options;

typedef struct vh__cri vh__cri;

/**
 * Serves from then on. containerd need not be there: it is asked for when a call comes. On success the caller owns
 * |*cri|. VH_EINVALID (containerd's path is too long for a socket), -errno, -ENOMEM.
 */
VH_MUST_CHECK int vh__cri_new(const vh__cri_options *opts, vh__cri **cri, vh_error *err);

/**
 * Ends it: no new calls, those under way may finish within grace_ms, then they are cut; waits for that. NULL is fine.
 */
void vh__cri_free(vh__cri *cri);

#endif
