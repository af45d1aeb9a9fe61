/* Figures of the process itself, named as all of Prometheus' clients name them. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "auto.h"
#include "clock.h"
#include "vhived.h"

static void put(vh__buf *out, const char *name, const char *kind, const char *help, double value)
{
    vh__buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, kind, name, value);
}

static double cpu_seconds(void)
{
    struct timespec t = { 0 };

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* every kernel of ours has it */
    return (double)t.tv_sec + (double)t.tv_nsec / VH_NS_PER_S;
}

static unsigned open_fds(void)
{
    vh_auto_dir DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    while (dir && readdir(dir))
        n++;
    return n > 3 ? n - 3 : 0; /* ".", "..", and the folder itself */
}

static double max_fds(void)
{
    struct rlimit limit = { 0 };

    (void)getrlimit(RLIMIT_NOFILE, &limit); /* cannot fail */
    return (double)limit.rlim_cur;
}

static void put_memory(vh__buf *out)
{
    vh_auto_file FILE *f = fopen("/proc/self/statm", "re");
    uint64_t whole = 0, resident = 0;
    double page = (double)sysconf(_SC_PAGESIZE);

    if (!f || fscanf(f, "%" SCNu64 " %" SCNu64, &whole, &resident) != 2)
        return;
    put(out, "process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", (double)whole * page);
    put(out, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", (double)resident * page);
}

void vhived_process_text(const vhived *d, vh__buf *out)
{
    put(out, "process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.", cpu_seconds());
    put(out, "process_open_fds", "gauge", "Number of open file descriptors.", open_fds());
    put(out, "process_max_fds", "gauge", "Maximum number of open file descriptors.", max_fds());
    put(out, "process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.",
        (double)d->started_ns / VH_NS_PER_S);
    put_memory(out);
}
