/* Making a host cold before a run. */
#ifndef BENCH_COLD_H
#define BENCH_COLD_H

#include <vhive/snapshot.h>

typedef enum bench_drop {
    BENCH_DROP_NONE = 0,
    BENCH_DROP_SNAPSHOT, /* the files of the snapshot; the root file system stays cached */
    BENCH_DROP_ALL,      /* the whole page cache: programs and libraries are cold too */
} bench_drop;

/** For a CLI_CHOICE, in the order of bench_drop. */
#define BENCH_DROPS "none|snapshot|all"

const char *bench_drop_name(bench_drop drop);
/** The one of a name that is one of BENCH_DROPS. */
bench_drop bench_drop_of(const char *name);
/** 0 if this process may do it, else VH_EMISSING. */
VH_MUST_CHECK int bench_drop_check(bench_drop drop, vh_error *err);
/** Drops; |snapshot| is an id, "" for none. -errno. */
VH_MUST_CHECK int bench_drop_do(bench_drop drop, vh_snapshots *snapshots, const char *snapshot, vh_error *err);

#endif
