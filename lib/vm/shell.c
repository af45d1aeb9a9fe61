/*
 * Shells: VMMs that were spawned ahead, each with its network and shim, and wait to be bound to a snapshot. A shell is a
 * vh_vm that has come as far as vmm-spawn without an image.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "log.h"
#include "vm_priv.h"

/* What shells are told apart by. The VMM may have been upgraded since one was made. */
static bool same_machine(const struct spec *a, const struct spec *b)
{
    return a->memory_mib == b->memory_mib && a->cpus == b->cpus && strcmp(a->accel, b->accel) == 0 &&
           strcmp(a->qemu, b->qemu) == 0 && strcmp(a->vmm_version, b->vmm_version) == 0;
}

/* Nothing is expected of a shell: what its socket has to say is that it ended. */
static bool alive(const vh_vm *shell)
{
    struct pollfd p = { .fd = shell->client.sock, .events = POLLIN };

    return poll(&p, 1, 0) == 0;
}

/* Takes the first shell for |spec| out of the list; NULL: there is none. */
static vh_vm *pick(vh_vms *vms, const struct spec *spec)
{
    vh_vm **at, *found;

    pthread_mutex_lock(&vms->mutex);
    for (at = &vms->shells; *at && !same_machine(&(*at)->spec, spec);)
        at = &(*at)->next;
    found = *at;
    if (found)
        *at = found->next;
    pthread_mutex_unlock(&vms->mutex);
    return found;
}

static void put(vh_vm *shell)
{
    pthread_mutex_lock(&shell->vms->mutex);
    shell->next = shell->vms->shells;
    shell->vms->shells = shell;
    pthread_mutex_unlock(&shell->vms->mutex);
}

/* What is the shell's becomes |vm|'s, its name included, for the journal knows it by that. */
static void become(vh_vm *vm, vh_vm *shell)
{
    memcpy(vm->id, shell->id, sizeof(vm->id));
    memcpy(vm->address, shell->address, sizeof(vm->address));
    vm->entry = vh_steal_ptr(shell->entry);
    vm->dir = vh_steal_ptr(shell->dir);
    vm->lease = vh_steal_ptr(shell->lease);
    vm->client.process = shell->client.process;
    shell->client.process = (vh__process)VH_PROCESS_INIT;
    vm->client.sock = vh_steal_fd(&shell->client.sock);
    vm->client.last_id = shell->client.last_id;
    vm->shell = true;
}

void vh__shell_take(vh_vm *vm)
{
    vh_vm *shell;

    while (!vm->shell && (shell = pick(vm->vms, &vm->spec)) != NULL) {
        if (alive(shell))
            become(vm, shell);
        else
            vh__log(vm->vms->o.env, VH_LOG_WARN, "vm", shell->id, "a waiting VMM has ended; another is used");
        vh_vm_free(shell);
    }
}

static int step_machine(void *ctx, const vh__wait *w, vh_error *err)
{
    return vh__spec_machine(ctx, w, err);
}

static int step_spawn(void *ctx, const vh__wait *w, vh_error *err)
{
    return vh__vm_spawn(ctx, w, VH_VMM_MEMORY_UFFD, err);
}

static int step_connect(void *ctx, const vh__wait *w, vh_error *err)
{
    vh_vm *vm = ctx;

    return vh__client_call(&vm->client, w, vh__client_request("connect"), NULL, 0, NULL, NULL, err);
}

static const vh__step shell_steps[] = {
    { .id = "net-lease", .run = vh__step_net, .undo = vh__undo_net, .background = true },
    { .id = "shim-spawn", .run = vh__step_shim, .undo = vh__undo_shim, .background = true },
    { .id = "machine", .run = step_machine },
    { .id = "vmm-spawn", .run = step_spawn, .after = { "net-lease", "shim-spawn" } },
    { .id = "vmm-connect", .run = step_connect },
};

static int make_shell(vh_vms *vms, const vh_run_options *o, const vh__wait *w, vh_error *err)
{
    vh_vm *shell;
    int rc = vh__vm_new(vms, o, &shell, err);

    if (rc)
        return rc;
    rc = vh__flow_run(shell_steps, VH_ARRAY_LEN(shell_steps), shell, w, &shell->phases, err);
    if (rc)
        vh_vm_free(shell);
    else
        put(shell);
    return rc;
}

static void free_all(vh_vm *shell)
{
    while (shell) {
        vh_vm *next = shell->next;

        vh_vm_free(shell);
        shell = next;
    }
}

/* Frees the shells that have ended, which would keep their addresses. */
static void drop_dead(vh_vms *vms)
{
    vh_vm **at = &vms->shells, *dead = NULL;

    pthread_mutex_lock(&vms->mutex);
    while (*at) {
        vh_vm *shell = *at;

        if (alive(shell)) {
            at = &shell->next;
            continue;
        }
        *at = shell->next;
        shell->next = dead;
        dead = shell;
    }
    pthread_mutex_unlock(&vms->mutex);
    free_all(dead); /* not under the mutex: it takes a moment */
}

static uint32_t count(vh_vms *vms, const struct spec *spec)
{
    uint32_t n = 0;

    drop_dead(vms);
    pthread_mutex_lock(&vms->mutex);
    for (const vh_vm *s = vms->shells; s; s = s->next)
        n += same_machine(&s->spec, spec);
    pthread_mutex_unlock(&vms->mutex);
    return n;
}

int vh_vms_shells_fill(vh_vms *vms, const vh_shells_options *opts, const vh_call *call, vh_error *err)
{
    vh__wait w = vh__wait_from(call, vms->o.restore_ms);
    vh_shells_options so = VH_SHELLS_OPTIONS_INIT;
    vh_run_options o = VH_RUN_OPTIONS_INIT;
    vh_vm *probe; /* what machine that is */
    int rc;

    memcpy(&so, opts, VH_MIN(opts->size, sizeof(so)));
    o.image = "";
    o.memory_mib = so.memory_mib;
    o.cpus = so.cpus;
    o.accel = so.accel;
    rc = vh__vm_new(vms, &o, &probe, err);
    if (rc)
        return rc;
    rc = vh__spec_machine(probe, &w, err);
    while (rc == 0 && count(vms, &probe->spec) < so.count)
        rc = make_shell(vms, &o, &w, err);
    vh_vm_free(probe);
    return rc;
}

void vh_vms_shells_end(vh_vms *vms)
{
    vh_vm *shell;

    pthread_mutex_lock(&vms->mutex);
    shell = vh_steal_ptr(vms->shells);
    pthread_mutex_unlock(&vms->mutex);
    free_all(shell);
}
