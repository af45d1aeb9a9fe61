/*
 * QEMU's command line. Two VMs of one snapshot must agree in everything that is part of the device state: machine,
 * CPU, memory size and the order of devices; kernel, initramfs and command line are not, as they are used up at boot.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>

#include "auto.h"
#include "path.h"
#include "vmm_priv.h"

/* Path of the child's descriptor QEMU_FD_MEMORY. */
#define MEMORY_PATH "/proc/self/fd/7"

static void add(vh__qemu_args *a, const char *fmt, ...) VH_PRINTF(2, 3);

static void add(vh__qemu_args *a, const char *fmt, ...)
{
    va_list ap;
    char *s;

    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0)
        s = NULL;
    va_end(ap);
    if (s && a->argc + 1 < VH_ARRAY_LEN(a->argv))
        a->argv[a->argc++] = s;
    else
        a->oom = true, free(s);
}

/* QEMU's own option syntax separates by commas; a comma inside a value is doubled. */
static char *escaped(const char *value)
{
    char *out = malloc(strlen(value) * 2 + 1), *p = out;

    for (; out && *value; value++) {
        *p++ = *value;
        if (*value == ',')
            *p++ = ',';
    }
    if (out)
        *p = '\0';
    return out;
}

static void add_machine(vh__qemu_args *a, const vh__vmm_config *c)
{
    add(a, "-M");
    add(a, "microvm,acpi=on,rtc=on,memory-backend=ram");
    add(a, "-accel");
    add(a, "%s", c->accel);
    add(a, "-cpu");
    add(a, "%s", strcmp(c->accel, "kvm") == 0 ? "host" : "max");
    add(a, "-smp");
    add(a, "%u", c->cpus);
    add(a, "-m");
    add(a, "%u", c->memory_mib);
    add(a, "-object");
    if (c->memory == VH_VMM_MEMORY_UFFD)
        add(a, "memory-backend-ram,id=ram,size=%uM", c->memory_mib);
    else
        add(a, "memory-backend-file,id=ram,size=%uM,mem-path=%s,share=%s", c->memory_mib, MEMORY_PATH,
            c->memory == VH_VMM_MEMORY_SHARED ? "on" : "off");
}

static void add_devices(vh__qemu_args *a, const vh__vmm_config *c)
{
    vh_auto_free char *rootfs = escaped(c->rootfs);

    if (!rootfs) {
        a->oom = true;
        return;
    }
    add(a, "-chardev");
    add(a, "socket,id=qmp,fd=%d", QEMU_FD_QMP);
    add(a, "-mon");
    add(a, "chardev=qmp,mode=control");
    add(a, "-chardev");
    add(a, "socket,id=console,fd=%d", QEMU_FD_CONSOLE);
    add(a, "-serial");
    add(a, "chardev:console");
    add(a, "-chardev");
    add(a, "socket,id=agent,fd=%d", QEMU_FD_AGENT);
    add(a, "-device");
    add(a, "virtio-serial-device,max_ports=2");
    add(a, "-device");
    add(a, "virtserialport,chardev=agent,name=vhive.agent");
    add(a, "-drive");
    add(a, "id=root,if=none,format=raw,readonly=on,file.driver=file,file.locking=off,file.filename=%s", rootfs);
    add(a, "-device");
    add(a, "virtio-blk-device,drive=root");
    add(a, "-netdev");
    add(a, "tap,id=net,fd=%d,vhost=off", QEMU_FD_TAP);
    add(a, "-device");
    add(a, "virtio-net-device,netdev=net,mac=%s", c->guest_mac);
}

/*
 * elevateprivileges stays allowed because -runas needs setuid(2) once; afterwards the process has no capability and
 * no_new_privs (the filter itself demands it), so the call is worth nothing to it.
 */
static void add_confinement(vh__qemu_args *a, const vh__vmm_config *c)
{
    add(a, "-sandbox");
    add(a, "on,obsolete=deny,spawn=deny,resourcecontrol=deny,elevateprivileges=allow");
    add(a, "-runas");
    add(a, "%u:%u", c->uid, c->uid);
}

static void add_boot(vh__qemu_args *a, const vh__vmm_config *c)
{
    if (!c->kernel) {
        add(a, "-incoming");
        add(a, "defer");
        return;
    }
    add(a, "-kernel");
    add(a, "%s", c->kernel);
    add(a, "-initrd");
    add(a, "%s", c->initramfs);
    add(a, "-append");
    add(a, "%s", c->cmdline);
}

static void add_env(vh__qemu_args *a, const char *name, const char *value)
{
    char *s = vh__strf("%s=%s", name, value);

    if (s && a->envc + 1 < VH_ARRAY_LEN(a->envp))
        a->envp[a->envc++] = s;
    else
        a->oom = true, free(s);
}

static void add_env_number(vh__qemu_args *a, const char *name, unsigned long long value)
{
    char text[24];

    snprintf(text, sizeof(text), "%llu", value);
    add_env(a, name, text);
}

int vh__qemu_args_make(vh__qemu_args *a, const vh__vmm_config *c, vh_error *err)
{
    add(a, "%s", c->binary);
    add(a, "-nodefaults");
    add(a, "-no-user-config");
    add(a, "-no-reboot");
    add(a, "-display");
    add(a, "none");
    add_machine(a, c);
    add_devices(a, c);
    add_confinement(a, c);
    add_boot(a, c);
    add_env(a, "PATH", "/usr/bin:/bin");
    if (c->memory != VH_VMM_MEMORY_SHARED)
        add_env(a, "LD_PRELOAD", c->preload);
    if (c->memory == VH_VMM_MEMORY_PRIVATE)
        add_env(a, "VHIVE_READONLY_PATH", MEMORY_PATH);
    if (c->memory == VH_VMM_MEMORY_UFFD) {
        add_env_number(a, "VHIVE_UFFD_SIZE", (unsigned long long)c->memory_mib << 20);
        add_env_number(a, "VHIVE_UFFD_SOCK_FD", QEMU_FD_UFFD_SOCK);
        add_env_number(a, "VHIVE_UFFD_DEV_FD", QEMU_FD_UFFD_DEV);
    }
    return a->oom ? vh_error_set(err, -ENOMEM, "QEMU's command line") : 0;
}

void vh__qemu_args_fini(vh__qemu_args *a)
{
    for (size_t i = 0; i < a->argc; i++)
        free(a->argv[i]);
    for (size_t i = 0; i < a->envc; i++)
        free(a->envp[i]);
    *a = (vh__qemu_args){ 0 };
}
