#include <vhive/micro.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "auto.h"
#include "micro_priv.h"
#include "path.h"

enum { DEADLINE_MS = 30000, UID_DEFAULT = 900000 };

static const struct measurement {
    vh_micro_row row;
    vh__micro_fn *run;
} table[] = {
    { { "uffd-copy", "ns/page", "pages installed by userfaultfd, 1024 in one call" }, vh__micro_uffd_copy },
    { { "uffd-copy-page", "ns/page", "the same, each by a call of its own" }, vh__micro_uffd_copy_page },
    { { "uffd-zero", "ns/page", "zero pages installed, 1024 in one call" }, vh__micro_uffd_zero },
    { { "fault", "ns/page", "a fault served by the pager's thread, memory file in the page cache" }, vh__micro_fault },
    { { "ws-fetch", "MB/s", "a working set read from disk past the page cache and checked" }, vh__micro_ws_fetch },
    { { "ws-install", "ns/page", "its pages installed, in runs of 1 to 8" }, vh__micro_ws_install },
    { { "disk-sequential", "MB/s", "64 MiB read with O_DIRECT, 1 MiB at a time" }, vh__micro_disk_sequential },
    { { "disk-random", "MB/s", "4 KiB blocks read with O_DIRECT, one at a time" }, vh__micro_disk_random },
    { { "shim-spawn", "us", "vhive-shim started until it answers" }, vh__micro_shim_spawn },
    { { "vmm-spawn", "us", "QEMU started to load a snapshot until it answers" }, vh__micro_vmm_spawn },
    { { "vmm-load", "us", "device state loaded into it" }, vh__micro_vmm_load },
    { { "net-acquire", "us", "network namespace, tap, veth pair and rules made" }, vh__micro_net_acquire },
    { { "net-release", "us", "the same removed" }, vh__micro_net_release },
};

const vh_micro_row *vh_micro_at(size_t i)
{
    return i < VH_ARRAY_LEN(table) ? &table[i].row : NULL;
}

/* The lock is on the directory itself, so it ends with its holder and leaves no file. */
static int open_dir(vh_micro *m, vh_error *err)
{
    int rc = vh__path_mkdirs(vh_env_state_dir(m->env), 0711, err); /* as a host makes it: VMMs pass through */

    if (rc)
        return rc;
    if (mkdir(m->dir, 0700) < 0 && errno != EEXIST)
        return vh_error_set(err, -errno, "make directory %s", m->dir);
    m->dir_fd = open(m->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (m->dir_fd < 0)
        return vh_error_set(err, -errno, "open %s", m->dir);
    if (flock(m->dir_fd, LOCK_EX | LOCK_NB) < 0)
        return vh_error_set(err, VH_ESTATE, "%s: another process measures there; wait for its end, or use another "
                            "state directory", m->dir);
    (void)unlinkat(m->dir_fd, VH_WS_INDEX_FILE, 0); /* of a killed process: it says that the working set is whole */
    return 0;
}

static int set_options(vh_micro *m, const vh_micro_options *opts, vh_error *err)
{
    vh_micro_options o = VH_MICRO_OPTIONS_INIT;

    if (opts)
        memcpy(&o, opts, VH_MIN(opts->size, sizeof(o)));
    if (o.accel && strcmp(o.accel, "tcg") != 0 && strcmp(o.accel, "kvm") != 0)
        return vh_error_set(err, VH_EINVALID, "accelerator '%.40s': there are tcg and kvm", o.accel);
    strcpy(m->accel, o.accel ? o.accel : "tcg");
    m->uid = o.uid ? o.uid : UID_DEFAULT;
    m->qemu = strdup(o.qemu ? o.qemu : "qemu-system-x86_64");
    m->net_pool = o.net_pool ? strdup(o.net_pool) : NULL;
    m->dir = vh__path_join(vh_env_state_dir(m->env), "micro");
    return m->qemu && m->dir && (m->net_pool || !o.net_pool) ? 0 : vh_error_set(err, -ENOMEM, "measurements");
}

int vh_micro_new(vh_env *env, const vh_micro_options *opts, vh_micro **micro, vh_error *err)
{
    vh_micro *m = calloc(1, sizeof(*m));
    int rc;

    if (!m)
        return vh_error_set(err, -ENOMEM, "measurements");
    m->env = env;
    m->dir_fd = m->data_fd = m->state_fd = m->memory_fd = -1;
    rc = set_options(m, opts, err);
    if (rc == 0)
        rc = open_dir(m, err);
    if (rc) {
        vh__fd_close(&m->dir_fd); /* another's directory stays */
        vh_micro_free(m);
        return rc;
    }
    *micro = m;
    return 0;
}

void vh_micro_free(vh_micro *micro)
{
    if (!micro)
        return;
    vh__net_free(micro->net);
    vh__fd_close(&micro->data_fd);
    vh__fd_close(&micro->state_fd);
    vh__fd_close(&micro->memory_fd);
    if (micro->dir_fd >= 0)
        vh_ignore(vh__path_remove(micro->dir, NULL)); /* what stays is overwritten by the next one */
    vh__fd_close(&micro->dir_fd);
    free(micro->dir);
    free(micro->net_pool);
    free(micro->qemu);
    free(micro);
}

int vh_micro_run(vh_micro *micro, const char *name, const vh_call *call, double *value, vh_error *err)
{
    vh__wait w = vh__wait_from(call, DEADLINE_MS);

    for (size_t i = 0; i < VH_ARRAY_LEN(table); i++)
        if (strcmp(table[i].row.name, name) == 0) {
            double measured = 0;
            int rc = vh__wait_check(&w, "measurement", err);

            if (rc == 0)
                rc = table[i].run(micro, &w, &measured, err);
            if (rc)
                return vh_error_wrap(err, rc, "%s", name);
            *value = measured;
            return 0;
        }
    return vh_error_set(err, VH_EINVALID, "measurement '%.40s': there is none of that name", name);
}

void vh__micro_noise(uint32_t *to, size_t n, uint32_t *seed)
{
    for (size_t i = 0; i < n; i++)
        to[i] = *seed = *seed * 1664525U + 1013904223U;
}
