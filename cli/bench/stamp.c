#include "stamp.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "encode.h"
#include "machine.h"

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

/* 0 stays where it cannot be measured, as on a file system without O_DIRECT. */
static void measure_disk(cli *c, vh_env *env, bench_host *host)
{
    vh_call call = cli_call(c);
    vh_micro *micro;

    if (bench_micro_new(c, env, &micro, NULL))
        return;
    cli_progress(c, "disk", NULL);
    if (vh_micro_run(micro, "disk-sequential", &call, &host->disk_sequential_mb_s, NULL) == 0 &&
        vh_micro_run(micro, "disk-random", &call, &host->disk_random_4k_mb_s, NULL) == 0)
        cli_progress(c, "disk", "measured");
    vh_micro_free(micro);
}

int bench_stamp(cli *c, vh_env *env, bench_host *host, vh_error *err)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct timespec now;
    struct utsname u;

    if (getloadavg(&host->load, 1) != 1)
        host->load = 0;
    read_cpu(host->cpu, sizeof(host->cpu));
    host->cores = cores > 0 ? (unsigned)cores : 0;
    if (uname(&u) == 0)
        snprintf(host->kernel, sizeof(host->kernel), "%s %s", u.sysname, u.release);
    host->memory_mib = (unsigned)(vh_config_u64(c->config, "function.memory") >> 20);
    host->vcpus = (unsigned)vh_config_u64(c->config, "function.cpus");
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
    cli_time_text((int64_t)now.tv_sec * 1000000000, 0, host->date);
    measure_disk(c, env, host);
    return vh_cancel_triggered(c->cancel) ? vh_error_set(err, VH_ECANCELED, "interrupted") : 0;
}
