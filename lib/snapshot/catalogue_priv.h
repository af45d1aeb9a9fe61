/*
 * The catalogue's directory: names in it, locks on what is in it, files in those.
 *
 * Names: "<id>" a snapshot, "bad-<id>" a quarantined one, "labels/", and with a leading dot what is being made
 * (".new-<id>") or removed (".gone-..."): such a directory without a lock on it belonged to a dead process.
 */
#ifndef VH_SNAPSHOT_CATALOGUE_PRIV_H
#define VH_SNAPSHOT_CATALOGUE_PRIV_H

#include <stdbool.h>
#include <sys/stat.h>

#include "auto.h"
#include "buf.h"
#include "manifest_priv.h"

/** Hex digits of the key that make the id: 80 bits. */
#define VH_SNAPSHOT_ID_DIGITS 20

struct vh_snapshots {
    const vh_env *env;
    char *path;    /* <state directory>/snapshots */
    int dir_fd;    /* that */
    int labels_fd; /* labels/ in it */
};

/** Whether |name| is an id, quarantined or not. Nothing else becomes part of a path. */
bool vh__snapshot_name_valid(const char *name);
bool vh__snapshot_label_valid(const char *name);
/** Format of the error about a label that is not valid. */
#define VH_SNAPSHOT_LABEL_RULE                                                                                         \
    "label \"%.80s\": must be 1 to 64 of letters, digits, dot, dash and underscore, not begin with a dot, and not "    \
    "look like an id"
/** Id of a valid key. */
void vh__snapshot_id_of(const char *key, char id[VH_SNAPSHOT_ID]);

/**
 * Opens the directory |name| and takes |lock| (LOCK_SH, LOCK_EX) on it without waiting, making sure it still is the
 * one of that name. Returns the descriptor, -ENOENT, -EWOULDBLOCK, or another -errno.
 */
int vh__snapshot_dir_lock(const vh_snapshots *s, const char *name, int lock);
/** Opens the directory |name| without a lock. Returns the descriptor or -errno. */
int vh__snapshot_dir_open(const vh_snapshots *s, const char *name);
/** A stream of the names in the directory |fd| (borrowed), NULL with errno: for readdir(). */
DIR *vh__snapshot_dir_list(int fd);
/** Whether there is something called |name|. */
bool vh__snapshot_dir_exists(const vh_snapshots *s, const char *name);
/** Takes the directory |name| out of the catalogue in one step, then removes it with its files. */
VH_MUST_CHECK int vh__snapshot_dir_discard(const vh_snapshots *s, const char *name, vh_error *err);

/**
 * Opens the regular file |name| in |dir| for reading, following no link, and fills |st|. Anything else is VH_ECORRUPT.
 * Messages begin with |name|.
 */
VH_MUST_CHECK int vh__snapshot_file_open(int dir, const char *name, int *fd, struct stat *st, vh_error *err);
/** Reads all of such a file. More than |max| bytes is VH_ECORRUPT. */
VH_MUST_CHECK int vh__snapshot_file_read(int dir, const char *name, size_t max, vh__buf *out, vh_error *err);

/**
 * Reads the manifest in |dir|, a directory called |name|, and compares it with that name and with the sizes of the
 * files, which it adds to |m->info|. On error |m| is as it was. VH_ECORRUPT, VH_EUNSUPPORTED; see
 * vh__snapshot_blame().
 */
VH_MUST_CHECK int vh__snapshot_load(int dir, const char *name, vh__manifest *m, vh_error *err);
/** Compares the VMM state behind |fd| with its digest. VH_ECORRUPT. */
VH_MUST_CHECK int vh__snapshot_check_vmstate(int fd, const vh__manifest *m, vh_error *err);

/** Fills the working set's figures of |info|, if there is one of the very saving that |m| tells of. */
void vh__snapshot_look_at_ws(int dir, const vh__manifest *m, vh_snapshot_info *info);
/** Reads the working set, if there is one. VH_ECORRUPT: damaged, or of another saving. */
VH_MUST_CHECK int vh__snapshot_check_ws(int dir, const vh__manifest *m, const vh__wait *w, vh_error *err);

/** Completes the message of |err|, whose code is |rc|: "snapshot |name|: " before, the remedy behind. Returns |rc|. */
int vh__snapshot_blame(const char *name, int rc, vh_error *err);

/** Finds what |ref| means (snapshot.h). |name| gets the directory's name. */
VH_MUST_CHECK int vh__snapshot_resolve(vh_snapshots *s, const char *ref, char name[VH_SNAPSHOT_ID], vh_error *err);
/** The same, and opens its directory, without a lock: |*dir| is the caller's. */
VH_MUST_CHECK int vh__snapshot_resolve_dir(vh_snapshots *s, const char *ref, char name[VH_SNAPSHOT_ID], int *dir,
                                           vh_error *err);

/** Names of all snapshots, sorted. Zero-initialise; vh__names_fini(). */
typedef struct vh__names {
    char (*v)[VH_SNAPSHOT_ID];
    size_t n;
} vh__names;

VH_MUST_CHECK int vh__names_read(const vh_snapshots *s, vh__names *names, vh_error *err);
void vh__names_fini(vh__names *names);
#define vh_auto_names __attribute__((cleanup(vh__names_fini)))

/** Points label |name| (valid) to |id|, from wherever it pointed. */
VH_MUST_CHECK int vh__label_set(const vh_snapshots *s, const char *name, const char *id, vh_error *err);
/** Id that label |name| points to; -ENOENT when there is no such label or it points nowhere sensible. */
int vh__label_get(const vh_snapshots *s, const char *name, char id[VH_SNAPSHOT_ID]);
/** Fills the labels of |info| by its id, in order. */
VH_MUST_CHECK int vh__label_list(const vh_snapshots *s, vh_snapshot_info *info, vh_error *err);
/** Removes the labels of |id|. Best effort: a label that points nowhere is as good as none. */
void vh__label_drop(const vh_snapshots *s, const char *id);
/** Removes what a dead process left half-made. */
void vh__label_sweep(const vh_snapshots *s);

#endif
