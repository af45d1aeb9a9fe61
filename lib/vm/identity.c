/*
 * From the request to what exactly is run, and to the key of its snapshot: everything that decides the guest's state
 * is in it, nothing else. Host name, addresses and whatever differs between clones is not.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "path.h"
#include "vm_priv.h"

/* With 72 MiB the kernel comes up and the function does not; 80 are enough for hello. */
#define MEMORY_MIN_MIB 96U

/* What kernel, agent and a small function need beside what is written. */
#define KERNEL_MIB 64U

void vh__spec_fini(struct spec *s)
{
    vh_image_close(s->image);
    for (char **e = s->env; e && *e; e++)
        free(*e);
    free(s->env);
    free(s->qemu);
    cJSON_Delete(s->identity);
    *s = (struct spec){ 0 };
}

static size_t list_len(const char *const *list)
{
    size_t n = 0;

    while (list && list[n])
        n++;
    return n;
}

/* Sets "K=V" in |env|, replacing an entry of the same name. */
static int env_put(char **env, size_t *n, const char *entry)
{
    size_t name = strcspn(entry, "=") + 1, at = 0;
    char *copy = strdup(entry);

    if (!copy)
        return -ENOMEM;
    while (at < *n && strncmp(env[at], entry, name) != 0)
        at++;
    if (at == *n)
        (*n)++;
    free(env[at]);
    env[at] = copy;
    return 0;
}

static int check_env(const char *const *given, vh_error *err)
{
    for (const char *const *e = given; e && *e; e++)
        if (strchr(*e, '=') == NULL || **e == '=')
            return vh_error_set(err, VH_EINVALID, "environment '%s': must be NAME=VALUE", *e);
    return 0;
}

static int merge_env(struct spec *s, const char *const *image, const char *const *given, vh_error *err)
{
    size_t n = 0;

    s->env = calloc(list_len(image) + list_len(given) + 1, sizeof(*s->env));
    if (!s->env)
        return vh_error_set(err, -ENOMEM, "environment of the function");
    for (const char *const *e = image; e && *e; e++)
        if (env_put(s->env, &n, *e))
            return vh_error_set(err, -ENOMEM, "environment of the function");
    for (const char *const *e = given; e && *e; e++)
        if (env_put(s->env, &n, *e))
            return vh_error_set(err, -ENOMEM, "environment of the function");
    return 0;
}

/* What VMM and processor cannot do is told before anything is started. */
static int check_machine(const struct spec *s, vh_error *err)
{
    if (s->memory_mib < MEMORY_MIN_MIB || s->memory_mib > (64U << 10))
        return vh_error_set(err, VH_EINVALID,
                            "memory of %u MiB: a guest needs at least %u MiB to boot, and at most 64 GiB are supported",
                            s->memory_mib, MEMORY_MIN_MIB);
    if (s->cpus < 1 || s->cpus > 32)
        return vh_error_set(err, VH_EINVALID, "%u CPUs: must be 1 to 32", s->cpus);
    return 0;
}

static bool add_strings(cJSON *to, const char *key, const char *const *list)
{
    cJSON *a = cJSON_AddArrayToObject(to, key);

    for (; a && list && *list; list++)
        if (!cJSON_AddItemToArray(a, cJSON_CreateString(*list)))
            return false;
    return a != NULL;
}

/* What is written to the function's disk takes guest memory; some has to be left. */
static int set_tmpfs(struct spec *s, uint64_t configured, vh_error *err)
{
    uint64_t most = (uint64_t)(s->memory_mib - KERNEL_MIB) << 20;

    if (configured > most)
        return vh_error_set(err, VH_EINVALID,
                            "writable layer of %llu MiB: it lives in the guest's %u MiB of memory, of which the kernel "
                            "needs %u; lower function.tmpfs or raise the memory",
                            (unsigned long long)(configured >> 20), s->memory_mib, KERNEL_MIB);
    s->tmpfs_bytes = configured ? configured : most / 2;
    return 0;
}

/* Arguments and environment that no START message holds are refused before anything is booted. */
static int check_start(const vh_vm *vm, vh_error *err)
{
    vh_auto_buf vh__buf frame = { 0 };
    int rc = vh__message_start(vm, &frame, err);

    return rc == VH_ELIMIT ? vh_error_set(err, VH_EINVALID,
                                          "arguments and environment of the function: at most about 60 KiB and 1500 "
                                          "variables; pass larger things as files of the image")
                           : rc;
}

static int make_identity(struct spec *s, vh_error *err)
{
    const vh_image_config *c = vh_image_config_get(s->image);
    cJSON *j = s->identity = cJSON_CreateObject();
    bool ok = cJSON_AddNumberToObject(j, "format", VH_SNAPSHOT_FORMAT) &&
              cJSON_AddNumberToObject(j, "machine_version", MACHINE_VERSION) &&
              cJSON_AddNumberToObject(j, "agent_version", VH_AGENT_VERSION) &&
              cJSON_AddStringToObject(j, "image", vh_image_digest(s->image)) &&
              cJSON_AddStringToObject(j, "rootfs", vh_image_rootfs_digest(s->image)) &&
              add_strings(j, "argv", c->argv) && add_strings(j, "env", (const char *const *)s->env) &&
              cJSON_AddStringToObject(j, "cwd", c->cwd) && cJSON_AddStringToObject(j, "user", c->user) &&
              cJSON_AddNumberToObject(j, "port", s->port) && cJSON_AddNumberToObject(j, "memory_mib", s->memory_mib) &&
              cJSON_AddNumberToObject(j, "cpus", s->cpus) &&
              cJSON_AddNumberToObject(j, "tmpfs_bytes", (double)s->tmpfs_bytes) &&
              cJSON_AddStringToObject(j, "vmm", "qemu") && cJSON_AddStringToObject(j, "vmm_version", s->vmm_version) &&
              cJSON_AddStringToObject(j, "accel", s->accel) && cJSON_AddStringToObject(j, "cpu", s->cpu) &&
              cJSON_AddStringToObject(j, "kernel", s->files.kernel_digest) &&
              cJSON_AddStringToObject(j, "initramfs", s->files.initramfs_digest) &&
              cJSON_AddStringToObject(j, "network", "clone");

    return ok ? vh__snapshot_key(j, s->key, err) : vh_error_set(err, -ENOMEM, "identity of the snapshot");
}

int vh__spec_machine(vh_vm *vm, const vh__wait *w, vh_error *err)
{
    const vh__vms_options *d = &vm->vms->o;
    struct spec *s = &vm->spec;
    int rc;

    if (s->qemu)
        return 0; /* known from an earlier flow of this run */
    s->memory_mib = vm->o.memory_mib ? vm->o.memory_mib : d->memory_mib;
    s->cpus = vm->o.cpus ? vm->o.cpus : d->cpus;
    rc = check_machine(s, err);
    if (rc)
        return rc;
    s->qemu = vh__path_find_program(vm->vms->o.qemu);
    if (!s->qemu)
        return vh_error_set(err, VH_EMISSING,
                            "%s: not found in PATH; install it (apt-get install qemu-system-x86) or set vmm.qemu",
                            vm->vms->o.qemu);
    rc = vh__vm_accel(vm->vms, vm->o.accel ? vm->o.accel : vm->vms->o.accel, w, s->accel, s->cpu, err);
    return rc ? rc : vh__vmm_version(s->qemu, vm->vms->cache_dir, w, s->vmm_version, err);
}

static int open_image(vh_vm *vm, const vh__wait *w, vh_error *err)
{
    struct spec *s = &vm->spec;
    vh_call call = vh__wait_call(w);
    int rc = vh_image_open(vm->vms->o.images, vm->o.image_digest ? vm->o.image_digest : vm->image, &call, &s->image,
                           err);

    if (rc == 0)
        rc = vh_image_check_runnable(s->image, err);
    if (rc)
        return rc;
    s->port = vm->o.port ? vm->o.port : vh_image_config_get(s->image)->port;
    return s->port ? 0
                   : vh_error_set(err, VH_EINVALID,
                                  "the image exposes no TCP port, so readiness cannot be seen; name it by --port");
}

int vh__spec_resolve(vh_vm *vm, const vh__wait *w, vh_error *err)
{
    const vh__vms_options *d = &vm->vms->o;
    struct spec *s = &vm->spec;
    int rc = open_image(vm, w, err);

    if (rc == 0)
        rc = vh__spec_machine(vm, w, err);
    if (rc == 0)
        rc = check_env(vm->o.env, err);
    if (rc == 0)
        rc = check_env(vm->o.restore_env, err);
    if (rc == 0)
        rc = merge_env(s, vh_image_config_get(s->image)->env, vm->o.env, err);
    if (rc == 0)
        rc = vh__guest_prepare(d->guest, w, &s->files, err);
    if (rc == 0)
        rc = set_tmpfs(s, d->tmpfs_bytes, err);
    if (rc == 0)
        rc = check_start(vm, err);
    return rc ? rc : make_identity(s, err);
}
