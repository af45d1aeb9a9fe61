/*
 * Snapshots as the vm module makes and restores them: identity, draft, open snapshot.
 *
 *     vh__snapshot_open(s, key, &snap, err)            there is one: restore from its descriptors, then close it
 *       VH_ENOTFOUND:
 *     vh__snapshot_draft_begin(s, identity, false, w, &d, err)
 *       VH_EEXISTS: another run was first; open again
 *     ... the VMM writes its state to vh__snapshot_draft_vmstate_fd(d), the guest stands still ...
 *     vh__snapshot_draft_save_memory(d, memfd, size, w, err)
 *     ... the guest goes on ...
 *     vh__snapshot_draft_publish(d, &facts, label, id, err)
 *     vh__snapshot_draft_abort(d)                       always, also after publishing
 *
 * What a snapshot may be restored for is decided by its identity: a JSON object of everything that decides the
 * guest's state. Its digest is the key; the first digits of the key are the id, which names the directory. A
 * changed image, environment, machine or VMM is another identity and so never meets an old snapshot.
 *
 * Locks are flock(2)s on the directories themselves, so they end with their holder and leave no files: shared on an
 * open snapshot (the pin; whoever inherits its directory descriptor holds it too), exclusive on a draft's directory.
 *
 * Threads: a vh_snapshots by all threads; one draft or open snapshot by one thread at a time.
 */
#ifndef VH_SNAPSHOT_SNAPSHOT_H
#define VH_SNAPSHOT_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>
#include <cjson/cJSON.h>
#include <vhive/snapshot.h>

#include "digest.h"
#include "wait.h"

/** Version of the files' format. It belongs into every identity. */
#define VH_SNAPSHOT_FORMAT 1
/** Most guest memory a snapshot may have. */
#define VH_SNAPSHOT_MEMORY_MAX (64ULL << 30)

/**
 * Key of |identity|: digest of its canonical text (members sorted at every level, no spaces), so the order in which
 * the caller added them does not matter. Numbers must be whole, up to 2^53. VH_EINVALID if it is not an object with
 * members; -ENOMEM.
 */
VH_MUST_CHECK int vh__snapshot_key(const cJSON *identity, char key[VH_DIGEST_TEXT], vh_error *err);

typedef struct vh__snapshot_draft vh__snapshot_draft;

/**
 * Begins to make the snapshot of |identity| (borrowed for the call). Waits within |w| while another thread or process
 * makes the same one. One that is there already is replaced if it is to be made |again|, in the moment of publishing and
 * labels included, so that until then, and whatever fails, it stays. On success the caller owns |*draft|
 * (vh__snapshot_draft_abort()).
 * VH_EEXISTS: it is there, perhaps since this call; VH_ESTATE: (|again|) that one is in use; VH_ETIMEDOUT, VH_ECANCELED; -ENOMEM, -ENOSPC and the like.
 */
VH_MUST_CHECK int vh__snapshot_draft_begin(vh_snapshots *s, const cJSON *identity, bool again, const vh__wait *w,
                                           vh__snapshot_draft **draft, vh_error *err);

/** Descriptor of the empty state file, open for reading and writing; borrowed, valid until publish or abort. */
int vh__snapshot_draft_vmstate_fd(const vh__snapshot_draft *draft);

/**
 * Explains why a VMM did not write its state: |rc| and |err| are what it said. Where there is no room for one, that and
 * the remedy are put in front, and the code is -ENOSPC, which a VMM cannot tell. Returns the code.
 */
VH_MUST_CHECK int vh__snapshot_draft_explain(const vh__snapshot_draft *draft, int rc, vh_error *err);

/**
 * Copies guest memory, the first |size| bytes of |memfd| (borrowed; nobody may write it meanwhile), into the memory
 * file: data extents only, pages of zeros left out; holes in |memfd| stay holes. Digests are made on the way.
 * Writing to disk is begun but not waited for. |size| is a multiple of 4096, at most VH_SNAPSHOT_MEMORY_MAX.
 * VH_EINVALID, VH_ETIMEDOUT, VH_ECANCELED, -ENOSPC with the remedy, -errno.
 */
VH_MUST_CHECK int vh__snapshot_draft_save_memory(vh__snapshot_draft *draft, int memfd, uint64_t size, const vh__wait *w,
                                                 vh_error *err);

/** What the maker knows. Strings and |machine| are borrowed; all but |machine| are required. */
typedef struct vh__snapshot_facts {
    const char *image, *image_digest;
    const char *vmm, *vmm_version, *accel;
    uint32_t memory_mib, cpus;
    uint64_t pause_us, boot_us;
    const cJSON *machine; /* object: whatever the VMM needs to load it; NULL: none */
} vh__snapshot_facts;

/**
 * Makes the draft the snapshot of its identity: syncs the files, writes the manifest last, renames the directory into
 * place and syncs that. |label| may be NULL. |id| gets its id. Afterwards the draft can only be aborted.
 * VH_ESTATE: no memory was saved, or no VMM state was written, or what it replaces is in use; VH_EINVALID: facts or |label| that cannot be;
 * -ENOSPC and the like.
 */
VH_MUST_CHECK int vh__snapshot_draft_publish(vh__snapshot_draft *draft, const vh__snapshot_facts *facts,
                                             const char *label, char id[VH_SNAPSHOT_ID], vh_error *err);

/** Frees |draft|, with its files unless it was published. NULL is fine. */
void vh__snapshot_draft_abort(vh__snapshot_draft *draft);

typedef struct vh__snapshot vh__snapshot;

/**
 * Opens and pins the snapshot of |key|. Checked: the manifest with its own digest, that it is of |key|, the sizes of
 * the files, the digest of the VMM state (not of the memory: vh_snapshots_verify()).
 * On success the caller owns |*snap| (vh__snapshot_close()).
 * VH_ENOTFOUND: there is none; VH_ECORRUPT with file, cause and remedy; VH_EUNSUPPORTED: made by another version of
 * the format; -ENOMEM.
 */
VH_MUST_CHECK int vh__snapshot_open(vh_snapshots *s, const char *key, vh__snapshot **snap, vh_error *err);

/** Unpins and frees |snap|. NULL is fine. */
void vh__snapshot_close(vh__snapshot *snap);

/** All borrowed, valid until it is closed. Descriptors are read-only, close-on-exec. */
const char *vh__snapshot_id(const vh__snapshot *snap);
const char *vh__snapshot_key_text(const vh__snapshot *snap);
int vh__snapshot_dir_fd(const vh__snapshot *snap);
int vh__snapshot_memory_fd(const vh__snapshot *snap);
int vh__snapshot_vmstate_fd(const vh__snapshot *snap);
uint64_t vh__snapshot_memory_bytes(const vh__snapshot *snap);
/** Absolute path of the memory file, for VMMs that open it themselves; valid while the pin is held. */
const char *vh__snapshot_memory_path(const vh__snapshot *snap);
/** The maker's |machine| object, NULL if it gave none. */
const cJSON *vh__snapshot_machine(const vh__snapshot *snap);

/** Whether a working set of it is recorded (now, not when it was opened). It is checked when it is loaded. */
bool vh__snapshot_has_ws(const vh__snapshot *snap);

/**
 * What a working set of it belongs to (64 hex digits): other than the id it names this very saving, so a working set
 * of the same function's older snapshot does not pass for its own. Borrowed, valid until it is closed.
 */
const char *vh__snapshot_ws_owner(const vh__snapshot *snap);

/**
 * Makes this the only recorder of the snapshot's working set, among all processes, until |snap| is closed or
 * vh__snapshot_ws_unlock(). VH_ESTATE: another one records it.
 */
VH_MUST_CHECK int vh__snapshot_ws_lock(vh__snapshot *snap, vh_error *err);
void vh__snapshot_ws_unlock(vh__snapshot *snap);

/** Forgets the working set: the next restore records one. Restores that have begun to read it go on. 0 or -errno. */
VH_MUST_CHECK int vh__snapshot_ws_drop(const vh__snapshot *snap, vh_error *err);

/**
 * Sets the snapshot |id| aside as "bad-<id>", replacing an older such one: no run restores it again, the next one
 * makes it anew. VMs that use it go on. Its labels go. Logged with |why|. A missing one is fine.
 */
VH_MUST_CHECK int vh__snapshot_quarantine(vh_snapshots *s, const char *id, const char *why, vh_error *err);

#endif
