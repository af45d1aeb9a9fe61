/*
 * QEMU's command line. Two VMs of one snapshot must agree in everything that is part of the device state: machine,
 * CPU, memory size and the order of devices; kernel, initramfs and command line are not, as they are used up at boot.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "path.h"
#include "vmm_priv.h"

/* Path of the child's descriptor QEMU_FD_MEMORY. */
#define MEMORY_PATH "/proc/self/fd/7"

/* Takes |s|, NULL when there was no memory for it, into |list|, which stays NULL-terminated. */
static void push(vh__qemu_args *a, char **list, size_t room, size_t *n, char *s)
{
    if (s && *n + 1 < room)
        list[(*n)++] = s;
    else
        a->oom = true, free(s);
}

/* Adds a word that takes no value. */
static void add_flag(vh__qemu_args *a, const char *flag)
{
    push(a, a->argv, VH_ARRAY_LEN(a->argv), &a->argc, strdup(flag));
}

/* Adds "|flag| |value|"; takes |value|. */
static void add(vh__qemu_args *a, const char *flag, char *value)
{
    add_flag(a, flag);
    push(a, a->argv, VH_ARRAY_LEN(a->argv), &a->argc, value);
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
    add(a, "-M", strdup("microvm,acpi=on,rtc=on,memory-backend=ram"));
    add(a, "-accel", strdup(c->accel));
    add(a, "-cpu", strdup(strcmp(c->accel, "kvm") == 0 ? "host" : "max"));
    add(a, "-smp", vh__strf("%u", c->cpus));
    add(a, "-m", vh__strf("%u", c->memory_mib));
    if (c->memory == VH_VMM_MEMORY_UFFD)
        add(a, "-object", vh__strf("memory-backend-ram,id=ram,size=%uM", c->memory_mib));
    else
        add(a, "-object",
            vh__strf("memory-backend-file,id=ram,size=%uM,mem-path=%s,share=%s", c->memory_mib, MEMORY_PATH,
                     c->memory == VH_VMM_MEMORY_SHARED ? "on" : "off"));
}

/* The disk is a node "root" above one that has the bytes; a VMM that gets its disk later has none, of a size to go by. */
static void add_disk(vh__qemu_args *a, const vh__vmm_config *c)
{
    vh_auto_free char *rootfs = c->rootfs ? escaped(c->rootfs) : NULL;

    if (rootfs)
        add(a, "-blockdev",
            vh__strf("driver=file,node-name=disk,read-only=on,locking=off,filename=%s", rootfs));
    else
        add(a, "-blockdev", strdup("driver=null-co,node-name=disk,read-only=on,size=1048576"));
    a->oom |= c->rootfs && !rootfs;
    add(a, "-blockdev", strdup("driver=raw,node-name=root,read-only=on,file=disk"));
    add(a, "-device", strdup("virtio-blk-device,drive=root"));
}

static void add_devices(vh__qemu_args *a, const vh__vmm_config *c)
{
    add(a, "-chardev", vh__strf("socket,id=qmp,fd=%d", QEMU_FD_QMP));
    add(a, "-mon", strdup("chardev=qmp,mode=control"));
    add(a, "-chardev", vh__strf("socket,id=console,fd=%d", QEMU_FD_CONSOLE));
    add(a, "-serial", strdup("chardev:console"));
    add(a, "-chardev", vh__strf("socket,id=agent,fd=%d", QEMU_FD_AGENT));
    add(a, "-device", strdup("virtio-serial-device,max_ports=2"));
    add(a, "-device", strdup("virtserialport,chardev=agent,name=vhive.agent"));
    add_disk(a, c);
    /* nobody has to learn where a clone's address went: its neighbours' entries are permanent */
    add(a, "-netdev", vh__strf("tap,id=net,fd=%d,vhost=off", QEMU_FD_TAP));
    add(a, "-device", vh__strf("virtio-net-device,netdev=net,guest_announce=off,mac=%s", c->guest_mac));
}

/*
 * elevateprivileges stays allowed because -runas needs setuid(2) once; afterwards the process has no capability and
 * no_new_privs (the filter itself demands it), so the call is worth nothing to it.
 */
static void add_confinement(vh__qemu_args *a, const vh__vmm_config *c)
{
    add(a, "-sandbox", strdup("on,obsolete=deny,spawn=deny,resourcecontrol=deny,elevateprivileges=allow"));
    add(a, "-runas", vh__strf("%u:%u", c->uid, c->uid));
}

static void add_boot(vh__qemu_args *a, const vh__vmm_config *c)
{
    if (!c->kernel) {
        add(a, "-incoming", strdup("defer"));
        return;
    }
    add(a, "-kernel", strdup(c->kernel));
    add(a, "-initrd", strdup(c->initramfs));
    add(a, "-append", strdup(c->cmdline));
}

static void add_env(vh__qemu_args *a, char *entry)
{
    push(a, a->envp, VH_ARRAY_LEN(a->envp), &a->envc, entry);
}

int vh__qemu_args_make(vh__qemu_args *a, const vh__vmm_config *c, vh_error *err)
{
    add_flag(a, c->binary);
    add_flag(a, "-nodefaults");
    add_flag(a, "-no-user-config");
    add_flag(a, "-no-reboot");
    add(a, "-display", strdup("none"));
    add_machine(a, c);
    add_devices(a, c);
    add_confinement(a, c);
    add_boot(a, c);
    add_env(a, strdup("PATH=/usr/bin:/bin"));
    if (c->memory != VH_VMM_MEMORY_SHARED)
        add_env(a, vh__strf("LD_PRELOAD=%s", c->preload));
    if (c->memory == VH_VMM_MEMORY_PRIVATE)
        add_env(a, strdup("VHIVE_READONLY_PATH=" MEMORY_PATH));
    if (c->memory == VH_VMM_MEMORY_UFFD) {
        add_env(a, vh__strf("VHIVE_UFFD_SIZE=%llu", (unsigned long long)c->memory_mib << 20));
        add_env(a, vh__strf("VHIVE_UFFD_SOCK_FD=%d", QEMU_FD_UFFD_SOCK));
        add_env(a, vh__strf("VHIVE_UFFD_DEV_FD=%d", QEMU_FD_UFFD_DEV));
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
