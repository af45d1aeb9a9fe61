/* Which accelerator: KVM only where it is real. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "auto.h"
#include "fd.h"
#include "log.h"
#include "path.h"
#include "vm_priv.h"

/* For the process that runs the probe guest, which judges by the guest's own time. */
#define PROBE_MS 3000

int vh__vm_shim_path(const vh_env *env, char **path, vh_error *err)
{
    vh_auto_free char *p = vh__path_join(vh_env_libexec_dir(env), "vhive-shim");

    if (!p)
        return vh_error_set(err, -ENOMEM, "path of vhive-shim");
    if (access(p, X_OK) < 0)
        return vh_error_set(err, VH_EMISSING, "%s: %s; install libvhive's programs or set libexec_dir", p,
                            strerror(errno));
    *path = vh_steal_ptr(p);
    return 0;
}

int vh__vm_kvm_probe(const vh_env *env, bool *real, bool *known, vh_error *err)
{
    vh__process p = VH_PROCESS_INIT;
    vh__wait w = vh__wait_from(NULL, PROBE_MS);
    vh_auto_free char *shim = NULL;
    int status, rc = vh__vm_shim_path(env, &shim, err);

    if (rc == 0)
        rc = vh__spawn(&(vh__spawn_options){ .argv = (const char *[]){ shim, "--probe-kvm", NULL } }, &p, err);
    if (rc)
        return rc;
    *known = vh__process_wait(&p, &w, "KVM probe", &status, NULL) == 0;
    *real = *known && status == 0;
    (void)vh__process_kill(&p); /* how a hanging probe ends does not matter */
    return 0;
}

/* Name of this boot of the machine: a new one may have other hardware below it. */
static int read_boot_id(vh__buf *id, vh_error *err)
{
    int rc = vh__file_read("/proc/sys/kernel/random/boot_id", 64, id, err);

    return rc ? rc : vh__buf_check(id, "boot id", err);
}

/* The answer is kept, for this boot, as "BOOT-ID real" or "BOOT-ID emulated". */
static int kvm_is_real(vh_vms *vms, bool *real, vh_error *err)
{
    vh_auto_free char *cache = vh__path_join(vms->cache_dir, "kvm");
    vh_auto_buf vh__buf text = { 0 }, known = { 0 };
    bool known_now;
    int rc;

    *real = false;
    if (!cache)
        return vh_error_set(err, -ENOMEM, "KVM probe");
    if (access("/dev/kvm", R_OK | W_OK) < 0)
        return 0;
    rc = read_boot_id(&text, err);
    if (rc)
        return rc;
    if (vh__file_read(cache, 256, &known, NULL) == 0 && known.len > text.len &&
        memcmp(known.data, text.data, text.len) == 0) {
        *real = strcmp(known.data + text.len, "real\n") == 0;
        return 0;
    }
    rc = vh__vm_kvm_probe(vms->o.env, real, &known_now, err);
    if (rc)
        return rc;
    vh__log(vms->o.env, VH_LOG_INFO, "vm", NULL, "KVM here is %s", *real ? "real" : "emulated or unusable: TCG is used");
    if (!known_now)
        return 0; /* it is asked again next time */
    vh__buf_puts(&text, *real ? "real\n" : "emulated\n");
    vh_ignore(vh__file_write_atomic(cache, text.data, text.len, 0644, NULL)); /* else it is asked again */
    return 0;
}

/* A guest under KVM sees the host's CPU; a snapshot of it is for that model alone. */
static int host_cpu(char cpu[128], vh_error *err)
{
    vh_auto_buf vh__buf text = { 0 };
    const char *p;
    int rc = vh__file_read("/proc/cpuinfo", 1U << 20, &text, err);

    if (rc)
        return rc;
    p = text.data ? strstr(text.data, "model name") : NULL;
    if (!p || sscanf(p, "model name : %127[^\n]", cpu) != 1)
        snprintf(cpu, 128, "unknown");
    return 0;
}

int vh__vm_accel(vh_vms *vms, const char *wanted, const vh__wait *w, char accel[8], char cpu[128], vh_error *err)
{
    bool kvm = strcmp(wanted, "kvm") == 0, real = false;
    int rc = vh__wait_check(w, "choice of the accelerator", err);

    if (rc == 0 && !kvm && strcmp(wanted, "auto") != 0 && strcmp(wanted, "tcg") != 0)
        rc = vh_error_set(err, VH_EINVALID, "accelerator '%s': unknown; there are auto, kvm and tcg", wanted);
    if (rc == 0 && strcmp(wanted, "tcg") != 0)
        rc = kvm_is_real(vms, &real, err);
    if (rc == 0 && kvm && !real)
        rc = vh_error_set(err, VH_EMISSING,
                          "KVM: /dev/kvm is not there or emulates every instruction, under which no Linux guest lives; "
                          "use --accel auto or tcg");
    if (rc)
        return rc;
    kvm = real;
    snprintf(accel, 8, "%s", kvm ? "kvm" : "tcg");
    snprintf(cpu, 128, "max");
    return kvm ? host_cpu(cpu, err) : 0;
}
