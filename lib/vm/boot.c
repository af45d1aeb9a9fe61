/* Booting a VM, and saving it once its function is ready. */
#include <errno.h>

#include "auto.h"
#include "clock.h"
#include "log.h"
#include "vm_priv.h"

static int step_spawn(void *ctx, const vh__wait *w, vh_error *err)
{
    return vh__vm_spawn(ctx, w, VH_VMM_MEMORY_SHARED, err);
}

static int await_hello(vh_vm *vm, const vh__wait *w, vh_error *err)
{
    vh__wait soon = vh__wait_within(w, vm->vms->o.hello_ms);

    return vh__client_call(&vm->client, &soon, vh__client_request("hello"), NULL, 0, NULL, NULL, err);
}

/* Rarely a guest hangs in early boot (timer calibration under TCG): it gets one more chance. */
static int step_hello(void *ctx, const vh__wait *w, vh_error *err)
{
    vh_vm *vm = ctx;
    vh_error first = { 0 };
    int rc;

    vh__progress(vm->vms->o.env, "guest-boot", vm->o.image, 0, 0);
    rc = await_hello(vm, w, &first);

    if (rc == VH_ETIMEDOUT && vh__wait_left_ms(w) > 0 && vm->client.sock >= 0) {
        vh__log(vm->vms->o.env, VH_LOG_WARN, "vm", vm->id, "booting again: %s", first.msg);
        vm->boot_retries++;
        rc = step_spawn(vm, w, err);
        if (rc == 0)
            rc = await_hello(vm, w, err);
    } else if (err) {
        *err = first;
    }
    if (rc == VH_ETIMEDOUT && vh__wait_left_ms(w) > 0)
        return vh_error_wrap(err, rc, "%u ms (timeout.hello)", vm->vms->o.hello_ms);
    return rc;
}

static int step_function(void *ctx, const vh__wait *w, vh_error *err)
{
    vh_vm *vm = ctx;
    vh__wait soon = vh__wait_within(w, vm->vms->o.ready_ms);
    vh_auto_buf vh__buf frame = { 0 };
    int rc = vh__message_start(vm, &frame, err);

    vh__progress(vm->vms->o.env, "function-start", vm->o.image, 0, 0);
    if (rc == 0)
        rc = vh__client_call(&vm->client, &soon, vh__vm_with_facts(vm, vh__client_request("start")), NULL, 0, &frame,
                             NULL, err);
    if (rc == VH_ETIMEDOUT && vh__wait_left_ms(w) > 0)
        return vh_error_wrap(err, rc, "port %u, %u ms (timeout.ready)", vm->spec.port, vm->vms->o.ready_ms);
    return rc;
}

/* A restore that found no snapshot has resolved already. */
static bool is_resolved(const void *ctx)
{
    const vh_vm *vm = ctx;

    return vm->spec.identity != NULL;
}

static const vh__step boot_steps[] = {
    { .id = "net-lease", .run = vh__step_net, .undo = vh__undo_net, .background = true },
    { .id = "shim-spawn", .run = vh__step_shim, .undo = vh__undo_shim, .background = true },
    { .id = "resolve", .run = vh__step_resolve, .skip = is_resolved },
    { .id = "vmm-spawn", .run = step_spawn, .after = { "net-lease", "shim-spawn" } },
    { .id = "guest-boot", .run = step_hello },
    { .id = "function-start", .run = step_function },
};

int vh__vm_boot(vh_vm *vm, const vh__wait *w, vh_error *err)
{
    vm->engine = VH_ENGINE_BOOT;
    return vh__flow_run(boot_steps, VH_ARRAY_LEN(boot_steps), vm, w, &vm->phases, err);
}

/* Saving: what the steps hand to one another. */
struct save {
    vh_vm *vm;
    vh__snapshot_draft *draft;
    int memfd;
    int64_t paused_ns;
};

static int save_state(void *ctx, const vh__wait *w, vh_error *err)
{
    struct save *s = ctx;
    vh__shim_message answer = { 0 };
    vh__shim_fd fd = { "vmstate", vh__snapshot_draft_vmstate_fd(s->draft) };
    int rc;

    vh__progress(s->vm->vms->o.env, "snapshot", s->vm->o.image, 0, 0);
    s->paused_ns = vh__clock_mono_ns();
    rc = vh__client_call(&s->vm->client, w, vh__client_request("save"), &fd, 1, NULL, &answer, err);
    if (rc)
        return vh__snapshot_draft_explain(s->draft, rc, err);
    s->memfd = vh__shim_take_fd(&answer, "memory");
    vh__shim_message_fini(&answer);
    return s->memfd >= 0 ? 0 : vh_error_set(err, VH_EPROTOCOL, "the shim gave no memory");
}

static int save_memory(void *ctx, const vh__wait *w, vh_error *err)
{
    struct save *s = ctx;
    int rc = vh__snapshot_draft_save_memory(s->draft, s->memfd, (uint64_t)s->vm->spec.memory_mib << 20, w, err);

    s->vm->pause_us = (uint64_t)(vh__clock_mono_ns() - s->paused_ns) / 1000;
    return rc;
}

/* The VM has served: it would be a twin of its own clone. */
static int end_original(void *ctx, const vh__wait *w, vh_error *err)
{
    struct save *s = ctx;

    (void)w;
    (void)err;
    vh__vm_release(s->vm);
    return 0;
}

static int publish(void *ctx, const vh__wait *w, vh_error *err)
{
    struct save *s = ctx;
    const struct spec *p = &s->vm->spec;
    vh__snapshot_facts f = { .image = s->vm->o.image,
                             .image_digest = vh_image_digest(p->image),
                             .vmm = "qemu",
                             .vmm_version = p->vmm_version,
                             .accel = p->accel,
                             .memory_mib = p->memory_mib,
                             .cpus = p->cpus,
                             .pause_us = s->vm->pause_us,
                             .boot_us = (uint64_t)(s->paused_ns - s->vm->phases.begin_ns) / 1000 };

    (void)w;
    return vh__snapshot_draft_publish(s->draft, &f, s->vm->o.label, s->vm->snapshot_id, err);
}

static const vh__step save_steps[] = {
    { .id = "snapshot-state", .run = save_state },
    { .id = "snapshot-memory", .run = save_memory },
    { .id = "vm-end", .run = end_original },
    { .id = "snapshot-publish", .run = publish },
};

int vh__vm_save(vh_vm *vm, const vh__wait *w, vh_error *err)
{
    struct save s = { .vm = vm, .memfd = -1 };
    int rc = vh__snapshot_draft_begin(vm->vms->o.snapshots, vm->spec.identity, w, &s.draft, err);

    if (rc)
        return rc;
    rc = vh__flow_run(save_steps, VH_ARRAY_LEN(save_steps), &s, w, &vm->phases, err);
    vh__fd_close(&s.memfd);
    vh__snapshot_draft_abort(s.draft);
    return rc;
}
