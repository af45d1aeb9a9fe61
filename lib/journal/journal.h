/*
 * vh__journal: a ledger of what outlives a process (directories, network links, cgroups), so that whoever comes next
 * can clear up after one that was killed.
 *
 * One file per entry in one directory. The file is locked for as long as any process holds its descriptor: the lock
 * belongs to the open file description (F_OFD_SETLK), so it follows a descriptor that is passed to a child or over a
 * socket, ends with the last holder however that one dies, and cannot be mistaken for another's by a recycled pid.
 * An entry that nobody holds is stale, and vh__journal_reap() undoes it:
 *
 *     vh__journal_begin(j, "vm-7", &e, &err);
 *     vh__journal_note(e, "dir", "/run/vhive/vm-7", &err);   before it is made: a crash in between is harmless
 *     mkdir("/run/vhive/vm-7") ...                           hand vh__journal_fd(e) to the shim
 *     vh__path_remove("/run/vhive/vm-7") ...
 *     vh__journal_end(e);
 *
 * It survives the death of processes, not of the machine (nothing is fsync()ed): keep it under /run, or note only
 * what a reboot clears as well.
 * Threads: a vh__journal may be used by all threads, an entry by one at a time. Any number of processes may share the
 * directory. Owns nothing but the directory's files; names beginning with '.' in it are left alone.
 */
#ifndef VH_JOURNAL_JOURNAL_H
#define VH_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <vhive/attr.h>
#include <vhive/error.h>

/** Longest name of an entry, longest kind, longest value of a note, in bytes; most bytes of one entry. */
#define VH_JOURNAL_NAME_MAX  128
#define VH_JOURNAL_KIND_MAX  32
#define VH_JOURNAL_VALUE_MAX 4096
#define VH_JOURNAL_ENTRY_MAX 65536

typedef struct vh__journal vh__journal;
typedef struct vh__journal_entry vh__journal_entry;

/**
 * Opens the ledger in |dir| (copied), making the directory (0700) and what is missing above it. A directory that
 * others than its owner may write to, or that belongs to another user, is refused with VH_ESTATE: its notes are
 * orders to delete. The caller owns |*j| (vh__journal_free()).
 */
VH_MUST_CHECK int vh__journal_open(const char *dir, vh__journal **j, vh_error *err);
/** Frees |j|; its entries must have been ended or abandoned. NULL is fine. */
void vh__journal_free(vh__journal *j);

/**
 * Creates the entry |name| (letters, digits, '-', '_', '.'; not first a '.') and locks it. The caller owns |*e|, to be
 * given up by vh__journal_end() or vh__journal_abandon(). VH_EEXISTS: there is one of that name, live or stale.
 */
VH_MUST_CHECK int vh__journal_begin(vh__journal *j, const char *name, vh__journal_entry **e, vh_error *err);
/**
 * Writes down, before it is made, a resource of |kind| (letters, digits, '-') that |value| identifies; |value| is one
 * line, not empty. VH_EINVALID otherwise, VH_ELIMIT beyond the limits above.
 */
VH_MUST_CHECK int vh__journal_note(vh__journal_entry *e, const char *kind, const char *value, vh_error *err);
/** Descriptor (close-on-exec, borrowed) that keeps the entry alive in whoever gets a copy of it. */
int vh__journal_fd(const vh__journal_entry *e);
/** All resources of |e| are gone: removes its file, whoever else still holds it, and frees |e|. NULL is fine. */
void vh__journal_end(vh__journal_entry *e);
/** Frees |e| and leaves its file to the other holders of its descriptor or, without any, to the reaper. NULL is fine. */
void vh__journal_abandon(vh__journal_entry *e);

/** How a kind of note is undone. */
typedef struct vh__journal_handler {
    const char *kind;
    /* removes the resource; one that is not there (never made, or removed already) is success. |arg| as given */
    int (*undo)(const char *value, void *arg, vh_error *err);
} vh__journal_handler;

/**
 * Undoes every entry that nobody holds: its notes in reverse order, then its file. A last line cut short by a crash
 * is ignored (what it names was never made). An entry with a note that cannot be undone, or that no handler knows, or
 * that is no note, has its other notes undone and is kept for the next time. Live entries and whatever is not a
 * regular file are passed over. Any number of reapers may run at once: each entry has one.
 * Returns 0, or the first error after having gone through all; |*reaped| (may be NULL) counts the removed entries.
 */
VH_MUST_CHECK int vh__journal_reap(vh__journal *j, const vh__journal_handler *handlers, size_t n, void *arg,
                                   size_t *reaped, vh_error *err);

/**
 * Calls |visit| for each entry, in no order, with whether somebody holds it; stops when it returns false. Takes no
 * lock, so it disturbs neither reapers nor other readers; entries made or ended meanwhile may be missed or seen.
 */
VH_MUST_CHECK int vh__journal_list(vh__journal *j, bool (*visit)(const char *name, bool live, void *arg), void *arg,
                                   vh_error *err);

#endif
