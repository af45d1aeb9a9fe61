#include "settle.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

#define AHEAD_NS (3 * NS_PER_S)
#define CLOCK_MS 2000 /* the kernel measures the TSC for a second, beginning half a second after its start */
#define REST_MS  1000
#define STEP_MS  20

/* Context switches in a step that count as rest: our own sleep takes two, a tick of the kernel's threads some more. */
#define SWITCHES_AT_REST 6

/* Most that is read ahead of one program or library; more is data of its own, which few requests need. */
#define AHEAD_MAX  (16L << 20)
#define AHEAD_STEP (128L << 10) /* the kernel cuts what one call asks for to the disk's own measure */

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ .tv_nsec = ms * NS_PER_MS }, NULL);
}

/* Whether the kernel still uses its provisional clock; replacing it stops the whole machine for a moment. */
static bool clock_is_early(void)
{
    char name[32];

    return file_get("/sys/devices/system/clocksource/clocksource0/current_clocksource", name, sizeof(name)) > 0 &&
           strcmp(name, "tsc-early\n") == 0;
}

/* Context switches since boot; 0 if that cannot be read. */
static unsigned long long switches(void)
{
    static char stat[16384];
    const char *line = file_get("/proc/stat", stat, sizeof(stat)) > 0 ? strstr(stat, "\nctxt ") : NULL;

    return line ? strtoull(line + 6, NULL, 10) : 0;
}

/* Reads the file that "START-END PERMS ..." of |maps| maps, as /proc/PID/map_files/START-END. */
static void read_ahead(const char *pid, const char *range, size_t n)
{
    char path[96];
    struct stat st;
    int fd;

    snprintf(path, sizeof(path), "/proc/%s/map_files/%.*s", pid, (int)n, range);
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return; /* it has just gone */
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        for (off_t at = 0; at < st.st_size && at < AHEAD_MAX; at += AHEAD_STEP)
            (void)readahead(fd, at, AHEAD_STEP); /* what cannot be read now is read when it is asked for */
    (void)close(fd); /* was only read */
}

/*
 * Programs and libraries of the process |pid|: what it maps executable, from its first instruction to its last; until
 * |end_ns|, for there may be any number of them.
 */
static void read_programs(const char *pid, int64_t end_ns)
{
    char path[64], line[512];
    FILE *maps;

    snprintf(path, sizeof(path), "/proc/%s/maps", pid);
    maps = fopen(path, "re");
    while (maps && now_ns() < end_ns && fgets(line, sizeof(line), maps)) {
        size_t n = strcspn(line, " ");

        if (line[n] && line[n + 3] == 'x' && strchr(line, '/'))
            read_ahead(pid, line, n);
    }
    if (maps)
        (void)fclose(maps); /* was only read */
}

static void read_all_programs(void)
{
    int64_t end_ns = now_ns() + AHEAD_NS;
    DIR *proc = opendir("/proc");
    struct dirent *e;

    while (proc && (e = readdir(proc)))
        if (isdigit((unsigned char)e->d_name[0]) && strcmp(e->d_name, "1") != 0)
            read_programs(e->d_name, end_ns);
    if (proc)
        (void)closedir(proc); /* was only read */
}

void settle(void)
{
    unsigned long long before, now;

    read_all_programs();
    for (int ms = 0; ms < CLOCK_MS && clock_is_early(); ms += STEP_MS)
        sleep_ms(STEP_MS);
    now = switches();
    for (int ms = 0; ms < REST_MS; ms += STEP_MS) {
        before = now;
        sleep_ms(STEP_MS);
        now = switches();
        if (now - before <= SWITCHES_AT_REST)
            return;
    }
}
