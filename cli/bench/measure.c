#include "measure.h"

#include <string.h>
#include <time.h>
#include <vhive/invoke.h>

int64_t bench_now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static vh_call bounds(vh_cancel *cancel)
{
    vh_call call = VH_CALL_INIT;

    call.cancel = cancel;
    return call;
}

/* Calls the function; the phases go on from where they were. */
static int invoke(vh_vm *vm, const bench_function *f, vh_cancel *cancel, vh_phases *phases, vh_error *err)
{
    vh_invoke_response answer = { .size = sizeof(answer) };
    vh_call call = bounds(cancel);
    int rc = vh_invoke(f->request, vh_vm_address(vm), vh_vm_port(vm), &call, &answer, err);

    if (rc == 0) {
        vh_phases_add(phases, "connect", vh_phases_reached_ns(phases), answer.connected_ns, true);
        vh_phases_add(phases, "request", answer.connected_ns, answer.last_byte_ns, true);
        phases->end_ns = answer.last_byte_ns;
    }
    vh_invoke_response_fini(&answer);
    return rc;
}

static void note_host(const vh_vm *vm, bench_host *host)
{
    snprintf(host->vmm, sizeof(host->vmm), "%s", vh_vm_vmm(vm));
    snprintf(host->vmm_version, sizeof(host->vmm_version), "%s", vh_vm_vmm_version(vm));
    snprintf(host->accel, sizeof(host->accel), "%s", vh_vm_accel(vm));
}

/* The request that counts, and the figures after it. */
static int call(vh_vm *vm, const bench_engine *engine, const bench_function *f, vh_cancel *cancel, bench_run *run,
                vh_error *err)
{
    int64_t begin = run->phases.begin_ns;
    vh_call c = bounds(cancel);
    int rc;

    run->phases = *vh_vm_phases(vm);
    run->phases.begin_ns = begin;
    rc = invoke(vm, f, cancel, &run->phases, err);
    if (rc == 0 && engine->running) {
        run->phases = (vh_phases){ .begin_ns = bench_now_ns() };
        rc = invoke(vm, f, cancel, &run->phases, err);
    }
    if (rc)
        return rc;
    run->stats = (vh_vm_stats){ .size = sizeof(run->stats) };
    rc = vh_vm_stats_get(vm, &c, &run->stats, err);
    run->figured = rc == 0;
    run->recorded = run->stats.recording;
    return rc ? rc : vh_vm_record_end(vm, &c, err);
}

int bench_measure(vh_vms *vms, const bench_engine *engine, const bench_function *f, vh_cancel *cancel, bench_run *run,
                  bench_host *host, vh_error *err)
{
    vh_run_options o = VH_RUN_OPTIONS_INIT;
    vh_call c = bounds(cancel);
    vh_error why = { 0 };
    vh_vm *vm = NULL;
    int rc;

    o.image = f->image;
    o.engine = engine->how;
    run->phases = (vh_phases){ .begin_ns = bench_now_ns() };
    rc = vh_vm_run(vms, &o, &c, &vm, &why);
    if (rc == 0 && host)
        note_host(vm, host);
    if (rc == 0)
        rc = call(vm, engine, f, cancel, run, &why);
    if (rc && !run->phases.end_ns)
        run->phases.end_ns = bench_now_ns();
    vh_vm_free(vm); /* killed: how the function ends is not measured */
    if (vh_cancel_triggered(cancel))
        return vh_error_set(err, VH_ECANCELED, "interrupted");
    run->ok = rc == 0;
    memcpy(run->error, why.msg, sizeof(run->error));
    return 0;
}
