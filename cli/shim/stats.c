/* Counters of the fault engine and of the VMM's process. */
#include "shim_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "path.h"

/* Value of "KEY: N" in the text of a /proc file, 0 if it is not there. */
static uint64_t proc_value(const char *text, const char *key)
{
    const char *p = text ? strstr(text, key) : NULL;

    return p ? strtoull(p + strlen(key), NULL, 10) : 0;
}

/* A value of a process; 0 means this one, whose pid in /proc is not the one it sees itself. */
static uint64_t read_proc(pid_t pid, const char *file, const char *key)
{
    vh_auto_free char *path = pid ? vh__strf("/proc/%d/%s", (int)pid, file) : vh__strf("/proc/self/%s", file);
    vh_auto_buf vh__buf text = { 0 };

    return path && vh__file_read(path, 65536, &text, NULL) == 0 ? proc_value(text.data, key) : 0;
}

/* The VMM's pid in the namespace that /proc is mounted for, which is not ours; its pidfd knows it. */
static pid_t host_pid(const vh__vmm *v)
{
    vh_auto_free char *path = vh__strf("/proc/self/fdinfo/%d", v->process.pidfd);
    vh_auto_buf vh__buf text = { 0 };

    return path && vh__file_read(path, 4096, &text, NULL) == 0 ? (pid_t)proc_value(text.data, "Pid:") : 0;
}

int memory_stats(struct shim *s, cJSON *answer, vh_error *err)
{
    vh__pager_stats st = { 0 };
    pid_t pid;
    bool ok;

    if (!s->vmm)
        return vh_error_set(err, VH_ESTATE, "the VM has ended");
    if (s->pager)
        vh__pager_stats_get(s->pager, &st);
    pid = host_pid(s->vmm);
    ok = cJSON_AddNumberToObject(answer, "faults", (double)st.faults) &&
         cJSON_AddNumberToObject(answer, "residual_faults", (double)st.residual) &&
         cJSON_AddNumberToObject(answer, "ws_pages", (double)st.ws_pages) &&
         cJSON_AddNumberToObject(answer, "installed_pages", (double)(st.installed_pages + st.installed_zeros)) &&
         cJSON_AddNumberToObject(answer, "bytes_read",
                                 (double)(read_proc(pid, "io", "read_bytes: ") +
                                          read_proc(0, "io", "read_bytes: "))) &&
         cJSON_AddNumberToObject(answer, "vmm_pss_kib", (double)read_proc(pid, "smaps_rollup", "Pss:"));
    return ok ? 0 : vh_error_set(err, -ENOMEM, "answer");
}
