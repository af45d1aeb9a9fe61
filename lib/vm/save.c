/*
 * Saving a booted VM. Of one that was booted for nothing else the VM is ended, since it would be a twin of its own
 * clones; any other goes on serving. It stands still from the moment its processors are frozen, which is after the guest
 * has come to rest, until its memory is copied: the pause.
 */
#include <errno.h>
#include <stdio.h>

#include "auto.h"
#include "clock.h"
#include "log.h"
#include "vm_priv.h"

/* A guest that does not answer for so long after a save that failed is not waited for. */
#define GO_ON_MS 10000

/* What the steps hand to one another. */
struct save {
    vh_vm *vm;
    bool goes_on;
    bool again; /* an older snapshot is replaced, in the end */
    vh__snapshot_draft *draft;
    int memfd;
    int64_t ready_ns, paused_ns;
    uint64_t pause_us;
    char *id;
};

static bool goes_on(const void *ctx)
{
    return ((const struct save *)ctx)->goes_on;
}

static bool ends(const void *ctx)
{
    return !goes_on(ctx);
}

static cJSON *save_request(const struct save *s)
{
    cJSON *j = vh__client_request("save");

    if (!s->goes_on || cJSON_AddTrueToObject(j, "goes_on"))
        return j;
    cJSON_Delete(j);
    return NULL;
}

static int save_state(void *ctx, const vh__wait *w, vh_error *err)
{
    struct save *s = ctx;
    vh__shim_message answer = { 0 };
    vh__shim_fd fd = { "vmstate", vh__snapshot_draft_vmstate_fd(s->draft) };
    int rc;

    vh__progress(s->vm->vms->o.env, w, "snapshot", s->vm->image, 0, 0);
    rc = vh__client_call(&s->vm->client, w, save_request(s), &fd, 1, NULL, &answer, err);
    if (rc)
        return vh__snapshot_draft_explain(s->draft, rc, err);
    s->paused_ns = (int64_t)vh__json_u64_or(answer.json, "paused_ns", 0);
    s->memfd = vh__shim_take_fd(&answer, "memory");
    vh__shim_message_fini(&answer);
    return s->memfd >= 0 ? 0 : vh_error_set(err, VH_EPROTOCOL, "the shim gave no memory");
}

static int save_memory(void *ctx, const vh__wait *w, vh_error *err)
{
    struct save *s = ctx;
    int rc = vh__snapshot_draft_save_memory(s->draft, s->memfd, (uint64_t)s->vm->spec.memory_mib << 20, w, err);

    s->pause_us = (uint64_t)(vh__clock_mono_ns() - s->paused_ns) / 1000;
    return rc;
}

static int end_original(void *ctx, const vh__wait *w, vh_error *err)
{
    struct save *s = ctx;

    (void)w;
    (void)err;
    vh__vm_release(s->vm);
    return 0;
}

/* A no-op where no save is under way. */
static int go_on(vh_vm *vm, const vh__wait *w, vh_error *err)
{
    return vh__client_call(&vm->client, w, vh__client_request("continue"), NULL, 0, NULL, NULL, err);
}

static int resume_original(void *ctx, const vh__wait *w, vh_error *err)
{
    struct save *s = ctx;

    return go_on(s->vm, w, err);
}

static int publish(void *ctx, const vh__wait *w, vh_error *err)
{
    struct save *s = ctx;
    const struct spec *p = &s->vm->spec;
    vh__snapshot_facts f = { .image = s->vm->image,
                             .image_digest = vh_image_digest(p->image),
                             .vmm = "qemu",
                             .vmm_version = p->vmm_version,
                             .accel = p->accel,
                             .memory_mib = p->memory_mib,
                             .cpus = p->cpus,
                             .pause_us = s->pause_us,
                             .boot_us = (uint64_t)(s->ready_ns - s->vm->phases.begin_ns) / 1000 };

    (void)w;
    return vh__snapshot_draft_publish(s->draft, &f, s->vm->label, s->id, err);
}

static const vh__step save_steps[] = {
    { .id = "snapshot-state", .run = save_state },
    { .id = "snapshot-memory", .run = save_memory },
    { .id = "vm-end", .run = end_original, .skip = goes_on },
    { .id = "vm-resume", .run = resume_original, .skip = ends },
    { .id = "snapshot-publish", .run = publish },
};

static int try_to_go_on(struct save *s, vh_error *why)
{
    vh__wait w = vh__wait_from(NULL, GO_ON_MS);

    return go_on(s->vm, &w, why);
}

/*
 * After a save that failed half-way: whatever the caller's bounds were, the function is not left frozen. It is ended
 * rather, which whoever waits for it learns. One that goes on and only is late with its answer has nothing to do the
 * second time. A VM that has ended needs no more words.
 */
static void rouse(struct save *s)
{
    vh_error why = { 0 };

    if (try_to_go_on(s, &why) != VH_ETIMEDOUT || try_to_go_on(s, &why) != VH_ETIMEDOUT)
        return;
    vh__log(s->vm->vms->o.env, VH_LOG_ERROR, "vm", s->vm->id, "it could not be saved, does not go on, and is ended: %s",
            why.msg);
    vh_vm_kill(s->vm);
}

static int save(struct save *s, const vh__wait *w, vh_phases *phases, vh_error *err)
{
    int64_t began_ns = vh__clock_mono_ns();
    int rc = vh__snapshot_draft_begin(s->vm->vms->o.snapshots, s->vm->spec.identity, s->again, w, &s->draft, err);

    if (rc)
        return rc;
    rc = vh__flow_run(save_steps, VH_ARRAY_LEN(save_steps), s, w, phases, err);
    if (rc && s->goes_on)
        rouse(s);
    vh__fd_close(&s->memfd);
    vh__snapshot_draft_abort(s->draft);
    vh__vm_count_save(s->vm, began_ns, s->pause_us, rc);
    return rc;
}

int vh__vm_save(vh_vm *vm, bool again, const vh__wait *w, char id[VH_SNAPSHOT_ID], vh_error *err)
{
    struct save s = { .vm = vm, .again = again, .memfd = -1, .ready_ns = vh__clock_mono_ns(), .id = id };

    return save(&s, w, &vm->phases, err);
}

int vh__vm_save_running(vh_vm *vm, bool again, const vh__wait *w, char id[VH_SNAPSHOT_ID], vh_error *err)
{
    struct save s = { .vm = vm, .goes_on = true, .again = again, .memfd = -1, .ready_ns = vm->phases.end_ns, .id = id };
    int rc = save(&s, w, NULL, err);

    if (rc == 0)
        vh__log(vm->vms->o.env, VH_LOG_INFO, "vm", vm->id, "saved as snapshot %s; %s stood still for %llu ms", id,
                vm->image, (unsigned long long)s.pause_us / 1000);
    return rc;
}
