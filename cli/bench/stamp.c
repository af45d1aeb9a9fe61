#include "stamp.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "encode.h"

/* The first "model name" of /proc/cpuinfo; stays "" where there is none. */
static void read_cpu(char *cpu, size_t room)
{
    FILE *f = fopen("/proc/cpuinfo", "re");
    char line[256];

    while (f && fgets(line, sizeof(line), f)) {
        const char *value = strchr(line, ':');

        if (strncmp(line, "model name", 10) != 0 || !value)
            continue;
        value += 1 + strspn(value + 1, " \t");
        snprintf(cpu, room, "%.*s", (int)strcspn(value, "\n"), value);
        break;
    }
    if (f)
        (void)fclose(f);
}

void bench_stamp(bench_host *host, const vh_config *config)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct timespec now;
    struct utsname u;

    read_cpu(host->cpu, sizeof(host->cpu));
    host->cores = cores > 0 ? (unsigned)cores : 0;
    if (uname(&u) == 0)
        snprintf(host->kernel, sizeof(host->kernel), "%s %s", u.sysname, u.release);
    host->memory_mib = (unsigned)(vh_config_u64(config, "function.memory") >> 20);
    host->vcpus = (unsigned)vh_config_u64(config, "function.cpus");
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
    cli_time_text((int64_t)now.tv_sec * 1000000000, 0, host->date);
    if (getloadavg(&host->load, 1) != 1)
        host->load = 0;
}
