/* What VMs count, towards the environment's metrics sink. */
#include "clock.h"
#include "metric.h"
#include "vm_priv.h"

/* Figures are asked of a shim that is about to stop its VM. */
#define STATS_MS  1000
#define PAGE_SIZE 4096

static const char *outcome(int rc)
{
    switch (rc) {
    case 0:
        return "ok";
    case VH_EEXISTS: /* another process saved the same */
        return "exists";
    case VH_ETIMEDOUT:
        return "timeout";
    case VH_ECANCELED:
        return "cancelled";
    default:
        return "failed";
    }
}

void vh__vm_count_start(const vh_vm *vm, int rc)
{
    const vh_env *env = vm->vms->o.env;
    const char *engine = vh_engine_name(vm->engine);

    vh__metric(env, "vhive_cold_starts_total", 1, engine, outcome(rc));
    vh__metric(env, "vhive_boot_retries_total", vm->boot_retries);
    vh__trace_ended(env, &(vh_trace_record){ .name = "cold-start", .vm = vm->id, .image = vm->image, .engine = engine,
                                             .outcome = outcome(rc), .phases = &vm->phases });
    if (rc)
        return;
    vh__metric(env, "vhive_cold_start_seconds", vm->phases.end_ns - vm->phases.begin_ns, engine);
    for (size_t i = 0; i < vm->phases.n; i++) {
        const vh_phase *p = &vm->phases.v[i];

        vh__metric(env, "vhive_cold_start_phase_seconds", p->ns, p->id, engine);
    }
}

void vh__vm_count_quarantine(const vh_vm *vm)
{
    vh__metric(vm->vms->o.env, "vhive_snapshots_quarantined_total", 1);
}

void vh__vm_count_save(const vh_vm *vm, int64_t began_ns, uint64_t pause_us, int rc)
{
    const vh_env *env = vm->vms->o.env;

    vh__metric(env, "vhive_snapshot_saves_total", 1, outcome(rc));
    if (rc)
        return;
    vh__metric(env, "vhive_snapshot_save_seconds", vh__clock_mono_ns() - began_ns);
    vh__metric(env, "vhive_snapshot_pause_seconds", (int64_t)pause_us * 1000);
}

void vh__vm_count_pages(vh_vm *vm)
{
    const vh_env *env = vm->vms->o.env;
    const char *engine = vh_engine_name(vm->engine);
    const vh_call call = { .size = sizeof(call), .timeout_ms = STATS_MS };
    vh_vm_stats s = { .size = sizeof(s) };

    if ((vm->engine != VH_ENGINE_UFFD && vm->engine != VH_ENGINE_REAP) || !vh__metric_wanted(env) ||
        vh_vm_stats_get(vm, &call, &s, NULL)) /* of one that ended by itself there are none */
        return;
    vh__metric(env, "vhive_faults_total", (int64_t)s.faults, engine);
    vh__metric(env, "vhive_residual_faults_total", (int64_t)s.residual_faults, engine);
    vh__metric(env, "vhive_prefetched_pages_total", (int64_t)s.installed_pages, engine);
    vh__metric(env, "vhive_prefetched_bytes_total", (int64_t)s.installed_pages * PAGE_SIZE, engine);
}
