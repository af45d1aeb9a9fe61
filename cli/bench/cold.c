#include "cold.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define DROP_CACHES "/proc/sys/vm/drop_caches"

static const char *const names[] = { "none", "snapshot", "all" };

const char *bench_drop_name(bench_drop drop)
{
    return names[drop];
}

bench_drop bench_drop_of(const char *name)
{
    for (bench_drop d = BENCH_DROP_NONE; d <= BENCH_DROP_ALL; d++)
        if (strcmp(names[d], name) == 0)
            return d;
    return BENCH_DROP_NONE;
}

int bench_drop_check(bench_drop drop, vh_error *err)
{
    if (drop != BENCH_DROP_ALL || access(DROP_CACHES, W_OK) == 0)
        return 0;
    return vh_error_set(err, VH_EMISSING, "--drop all: %s: %s; it needs root outside of containers that forbid it, or "
                        "--drop snapshot", DROP_CACHES, strerror(errno));
}

static int drop_all(vh_error *err)
{
    int fd, failed = 0;

    sync(); /* dirty pages would stay */
    fd = open(DROP_CACHES, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return vh_error_set(err, -errno, "open %s", DROP_CACHES);
    if (write(fd, "3", 1) != 1)
        failed = errno;
    (void)close(fd);
    return failed ? vh_error_set(err, -failed, "write %s", DROP_CACHES) : 0;
}

int bench_drop_do(bench_drop drop, vh_snapshots *snapshots, const char *snapshot, vh_error *err)
{
    switch (drop) {
    case BENCH_DROP_ALL:
        return drop_all(err);
    case BENCH_DROP_SNAPSHOT:
        return *snapshot ? vh_snapshots_evict(snapshots, snapshot, err) : 0;
    case BENCH_DROP_NONE:
        break;
    }
    return 0;
}
