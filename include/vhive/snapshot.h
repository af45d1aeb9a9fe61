/*
 * vh_snapshots: the catalogue of snapshots on disk. A snapshot is a microVM's state right after its function became
 * ready: the guest's memory (sparse), the VMM's state, the working set once one was recorded, and a manifest that
 * says what they belong to and carries their digests.
 *
 *     vh_snapshots *snapshots;
 *     if (vh_snapshots_new(env, &snapshots, &err)) ...
 *     vh_snapshots_list(snapshots, print_row, NULL, &err);
 *     vh_snapshots_verify(snapshots, "hello", NULL, &err);
 *     vh_snapshots_free(snapshots);
 *
 * Files: <state directory>/snapshots/<id>/{manifest.json, vmstate, memory, ws, ws.idx}, readable by their owner only.
 * A snapshot appears as a whole or not at all, also when the machine loses power while it is saved.
 *
 * Names: where a function takes |ref| it is an id, a label, or the beginning of exactly one id (4 digits or more).
 *
 * Threads: a vh_snapshots may be used by all threads, and any number of processes may work on one state directory.
 */
#ifndef VHIVE_SNAPSHOT_H
#define VHIVE_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <vhive/attr.h>
#include <vhive/env.h>
#include <vhive/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vh_snapshots vh_snapshots;

/** Room for an id and its NUL: 20 hex digits, with "bad-" in front once quarantined. */
#define VH_SNAPSHOT_ID 32
/** Room for a label and its NUL: 1 to 64 of [A-Za-z0-9._-], not beginning with a dot, not looking like an id. */
#define VH_SNAPSHOT_LABEL 65
/** Most labels of one snapshot that are told; there may be more. */
#define VH_SNAPSHOT_LABELS_MAX 8

/** What is known of one snapshot. Plain data. Of a damaged one only |id|, |labels|, |problem| and file sizes count. */
typedef struct vh_snapshot_info {
    size_t size; /**< sizeof(vh_snapshot_info): set by the caller for vh_snapshots_inspect(), by the library else */
    char id[VH_SNAPSHOT_ID];
    char problem[512]; /**< what is wrong with it and what to do; "" if nothing was seen to be */
    bool quarantined;  /**< set aside after a restore of it failed: kept for a look, never restored */
    size_t label_count;
    char labels[VH_SNAPSHOT_LABELS_MAX][VH_SNAPSHOT_LABEL];
    char image[1024];           /**< image reference it was made from */
    char image_digest[72];      /**< "sha256:..." */
    int64_t created_ns;         /**< CLOCK_REALTIME */
    uint64_t memory_bytes;      /**< guest memory */
    uint64_t memory_disk_bytes; /**< what the memory file takes on disk: zero pages are holes */
    uint64_t vmstate_bytes;
    uint64_t ws_pages; /**< pages of the recorded working set; 0: none recorded yet */
    uint64_t ws_bytes; /**< bytes of its file */
    char vmm[32], vmm_version[64], accel[16];
    uint32_t memory_mib, cpus;
    uint64_t pause_us; /**< how long the guest stood still while it was saved */
    uint64_t boot_us;  /**< how long its boot to readiness took: what a restore saves */
    char identity[4096]; /**< JSON of all that decides the guest's state (command, environment, port, machine, kernel):
                              what tells two snapshots of one image apart; cut if it is longer */
} vh_snapshot_info;

#define VH_SNAPSHOT_INFO_INIT { .size = sizeof(vh_snapshot_info) }

/**
 * Opens the catalogue below the state directory of |env| (borrowed for its life), makes it if need be, and removes
 * what dead processes left half-made. On success the caller owns |*snapshots| (vh_snapshots_free()).
 * Returns 0, -ENOMEM, or -errno of making or opening the directory.
 */
VH_API VH_MUST_CHECK int vh_snapshots_new(vh_env *env, vh_snapshots **snapshots, vh_error *err);

/**
 * As vh_snapshots_new(), for those who only look and remove: makes no directory. VH_ENOTFOUND: there is no catalogue,
 * so there are no snapshots.
 */
VH_API VH_MUST_CHECK int vh_snapshots_find(vh_env *env, vh_snapshots **snapshots, vh_error *err);

/** Frees |snapshots|; NULL is fine. Opened snapshots and drafts must be closed before. */
VH_API void vh_snapshots_free(vh_snapshots *snapshots);

/** One snapshot of a listing. |info| is borrowed for the call. Returning false ends the listing. */
typedef bool (*vh_snapshot_fn)(const vh_snapshot_info *info, void *arg);

/**
 * Calls |each| for every snapshot, in order of their ids, on the caller's thread. Damaged ones are listed with their
 * problem. Returns 0, -ENOMEM, or -errno of reading the directory.
 */
VH_API VH_MUST_CHECK int vh_snapshots_list(vh_snapshots *snapshots, vh_snapshot_fn each, void *arg, vh_error *err);

/**
 * Fills |info| (its |size| set). Returns 0; VH_ENOTFOUND; VH_EINVALID: |ref| is the beginning of several ids, or
 * |size| is none; -ENOMEM; -errno.
 */
VH_API VH_MUST_CHECK int vh_snapshots_inspect(vh_snapshots *snapshots, const char *ref, vh_snapshot_info *info,
                                              vh_error *err);

/**
 * Gives the manifest of |ref| as JSON text to the caller (free()), as it is on disk: a damaged one too, so it need
 * not parse. Errors as vh_snapshots_inspect(), and VH_ECORRUPT when there is none or it is absurdly large.
 */
VH_API VH_MUST_CHECK int vh_snapshots_manifest(vh_snapshots *snapshots, const char *ref, char **json, vh_error *err);

/**
 * Reads all of |ref| and compares it with its digests: manifest, VMM state, every chunk of memory, working set.
 * Returns 0, VH_ECORRUPT naming the file and the place, VH_ENOTFOUND, VH_ETIMEDOUT, VH_ECANCELED, -ENOMEM.
 * Default deadline 300 s.
 */
VH_API VH_MUST_CHECK int vh_snapshots_verify(vh_snapshots *snapshots, const char *ref, const vh_call *call,
                                             vh_error *err);

/** Removes |ref| and its labels, damaged or not. VH_ESTATE while a VM or another call uses it; VH_ENOTFOUND. */
VH_API VH_MUST_CHECK int vh_snapshots_remove(vh_snapshots *snapshots, const char *ref, vh_error *err);

/** Gives |ref| the label |name|, taking it from the snapshot that had it. VH_EINVALID for a name that cannot be. */
VH_API VH_MUST_CHECK int vh_snapshots_label(vh_snapshots *snapshots, const char *ref, const char *name, vh_error *err);

/**
 * Drops the files of |ref| from the page cache, so that its next restore reads them from disk. Pages that a running
 * VM maps stay. VH_ENOTFOUND; VH_EINVALID; -errno.
 */
VH_API VH_MUST_CHECK int vh_snapshots_evict(vh_snapshots *snapshots, const char *ref, vh_error *err);

#ifdef __cplusplus
}
#endif
#endif
