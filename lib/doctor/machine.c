/* What the machine itself gives: privileges, memory, clocks. */
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "auto.h"
#include "clock.h"
#include "doctor_priv.h"
#include "fd.h"

/* What QEMU and shim take beside the guest's memory. */
#define VMM_BYTES (96ULL << 20)
/* Of 2024: a clock before it was never set, and every certificate is from its future. */
#define SANE_S 1704067200

/* Number behind "NAME:" in a file of lines like those of /proc/meminfo; false: not there. */
static bool read_field(const char *path, const char *name, int base, uint64_t *value)
{
    vh_auto_buf vh__buf text = { 0 };
    const char *at;

    if (vh__file_read(path, 1 << 20, &text, NULL) || !text.data)
        return false;
    at = strstr(text.data, name);
    return at && sscanf(at + strlen(name), base == 16 ? "%" SCNx64 : "%" SCNu64, value) == 1;
}

void vh__check_root(vh__exam *x)
{
    static const struct {
        int number;
        const char *name;
    } needed[] = { { CAP_SYS_ADMIN, "CAP_SYS_ADMIN" }, { CAP_NET_ADMIN, "CAP_NET_ADMIN" }, { CAP_SETUID, "CAP_SETUID" },
                   { CAP_SETGID, "CAP_SETGID" },       { CAP_SYS_PTRACE, "CAP_SYS_PTRACE" } };
    uint64_t caps = 0;

    if (geteuid() != 0) {
        vh__found_fail(x, "start it with sudo", "user id %u is not root, which namespaces, taps and userfaultfd need",
                       geteuid());
        return;
    }
    vh__found_ok(x, "root with its capabilities");
    if (!read_field("/proc/self/status", "CapEff:", 16, &caps))
        return;
    for (size_t i = 0; i < VH_ARRAY_LEN(needed); i++)
        if (!(caps >> needed[i].number & 1))
            vh__found_fail(x, "give it that capability; a container: --privileged", "root without %s", needed[i].name);
}

/* Where a version of control groups tells what it knows of memory. */
struct group_files {
    const char *controller, *root, *limit, *used, *idle;
};

/* What a group's limit leaves: file pages that nobody has used of late do not count, they go when they must. */
static bool group_free(const struct group_files *files, const char *group, uint64_t *free)
{
    char path[VH_EXAM_TEXT + 64];
    uint64_t limit, used = 0, unused = 0;

    snprintf(path, sizeof(path), "%s/%s", group, files->limit);
    if (!read_field(path, "", 10, &limit)) /* "max", or no such group */
        return false;
    snprintf(path, sizeof(path), "%s/%s", group, files->used);
    (void)read_field(path, "", 10, &used); /* what is not known counts for nothing */
    snprintf(path, sizeof(path), "%s/memory.stat", group);
    (void)read_field(path, files->idle, 10, &unused);
    used -= VH_MIN(used, unused);
    *free = limit - VH_MIN(limit, used);
    return true;
}

/* What is left to the control group that we are in, UINT64_MAX without a limit: version 2, else version 1. */
static uint64_t group_free_bytes(void)
{
    static const struct group_files versions[] = {
        { "\n0::", "", "memory.max", "memory.current", "\ninactive_file " },
        { ":memory:", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "\ntotal_inactive_file " },
    };
    vh_auto_buf vh__buf groups = { 0 };
    uint64_t free;

    vh__buf_puts(&groups, "\n");
    if (vh__file_read("/proc/self/cgroup", 65536, &groups, NULL))
        return UINT64_MAX;
    for (size_t i = 0; i < VH_ARRAY_LEN(versions); i++) {
        const char *at = strstr(groups.data, versions[i].controller);
        char group[VH_EXAM_TEXT];

        if (!at)
            continue;
        at += strlen(versions[i].controller);
        snprintf(group, sizeof(group), "/sys/fs/cgroup/%s%.*s", versions[i].root, (int)VH_MIN(strcspn(at, "\n"), 256),
                 at);
        if (group_free(&versions[i], group, &free))
            return free;
    }
    return UINT64_MAX;
}

void vh__check_memory(vh__exam *x)
{
    uint64_t need = vh_config_u64(x->config, "function.memory") + VMM_BYTES, kib = 0, free;
    char have[24], want[24];

    if (!read_field("/proc/meminfo", "MemAvailable:", 10, &kib)) {
        vh__found_fail(x, "mount /proc", "/proc/meminfo cannot be read");
        return;
    }
    free = VH_MIN(kib << 10, group_free_bytes());
    vh__found_size(free, have);
    vh__found_size(need, want);
    if (free < need)
        vh__found_fail(x, "free some, or lower function.memory", "%s free, and a VM of function.memory takes %s", have,
                       want);
    else if (free < 2 * need)
        vh__found_warn(x, "free some, or lower function.memory, to run more", "%s free: enough for one VM (%s)", have,
                       want);
    else
        vh__found_ok(x, "%s free; a VM of function.memory takes up to %s", have, want);
}

void vh__check_clock(vh__exam *x)
{
    uint32_t khz = vh__guest_tsc_khz(x->guest);

    if (vh__clock_real_ns() / VH_NS_PER_S < SANE_S)
        vh__found_fail(x, "set the clock, or start a time service", "the clock is before 2024: no certificate is valid yet");
    else if (khz == 0)
        vh__found_warn(x, "nothing to be done but another machine; boots that hang are tried again",
                       "this machine has no time-stamp counter that guests could be told of");
    else
        vh__found_ok(x, "set; time-stamp counter at %.3f GHz", khz / 1e6);
}
