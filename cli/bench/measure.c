#include "measure.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vhive/invoke.h>

/* How often a run may turn out to record the working set, because the last one was too poor. */
enum { RECORDINGS_MAX = 3 };

static int64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail; the library's stamps are of this clock */
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static vh_call bounds(const bench_lab *lab)
{
    vh_call call = VH_CALL_INIT;

    call.cancel = lab->cancel;
    return call;
}

/* Calls the function; the phases go on from where they were. |*answer| (may be NULL) gets the body. */
static int invoke(const bench_lab *lab, vh_vm *vm, const bench_function *f, vh_phases *phases, char **answer,
                  vh_error *err)
{
    vh_invoke_response r = { .size = sizeof(r) };
    vh_call call = bounds(lab);
    int rc;

    call.timeout_ms = lab->answer_ms;
    rc = vh_invoke(f->request, vh_vm_address(vm), vh_vm_port(vm), &call, &r, err);
    if (rc == 0) {
        vh_phases_add(phases, "connect", vh_phases_reached_ns(phases), r.connected_ns, true);
        vh_phases_add(phases, "request", r.connected_ns, r.last_byte_ns, true);
        phases->end_ns = r.last_byte_ns;
        if (answer) {
            *answer = r.body;
            r.body = NULL;
        }
    }
    vh_invoke_response_fini(&r);
    return rc;
}

static void note_machine(const vh_vm *vm, bench_host *host)
{
    snprintf(host->vmm, sizeof(host->vmm), "%s", vh_vm_vmm(vm));
    snprintf(host->vmm_version, sizeof(host->vmm_version), "%s", vh_vm_vmm_version(vm));
    snprintf(host->accel, sizeof(host->accel), "%s", vh_vm_accel(vm));
}

/* The request that counts. */
static int call(const bench_lab *lab, const bench_engine *engine, vh_vm *vm, const bench_function *f, bench_run *run,
                char **answer, vh_error *err)
{
    int64_t begin = run->phases.begin_ns;
    int rc;

    run->phases = *vh_vm_phases(vm);
    run->phases.begin_ns = begin;
    rc = invoke(lab, vm, f, &run->phases, engine->running ? NULL : answer, err);
    if (rc == 0 && engine->running) {
        run->phases = (vh_phases){ .begin_ns = now_ns() };
        rc = invoke(lab, vm, f, &run->phases, answer, err);
    }
    return rc;
}

int bench_start(const bench_lab *lab, const bench_engine *engine, const bench_function *f, bench_run *run, vh_vm **vm,
                char **answer, vh_error *err)
{
    vh_run_options o = VH_RUN_OPTIONS_INIT;
    vh_call c = bounds(lab);
    vh_vm *started = NULL;
    int rc;

    o.image = f->image;
    o.engine = engine->how;
    run->phases = (vh_phases){ .begin_ns = now_ns() };
    rc = vh_vm_run(vh_host_vms(lab->host), &o, &c, &started, err);
    if (rc == 0 && lab->stamp)
        note_machine(started, lab->stamp);
    if (rc == 0)
        rc = call(lab, engine, started, f, run, answer, err);
    if (rc) {
        run->phases.end_ns = now_ns();
        vh_vm_free(started);
        return rc;
    }
    *vm = started;
    return 0;
}

int bench_figures(const bench_lab *lab, vh_vm *vm, bench_run *run, vh_error *err)
{
    vh_call c = bounds(lab);
    int rc;

    run->stats = (vh_vm_stats){ .size = sizeof(run->stats) };
    rc = vh_vm_stats_get(vm, &c, &run->stats, err);
    if (rc)
        return rc;
    run->figured = true;
    run->recorded = run->stats.recording;
    return vh_vm_record_end(vm, &c, err);
}

int bench_shells_fill(const bench_lab *lab, const bench_engine *engine, size_t count, vh_error *err)
{
    vh_shells_options o = VH_SHELLS_OPTIONS_INIT;
    vh_call c = bounds(lab);

    if (!engine->shell)
        return 0;
    o.count = (uint32_t)count;
    return vh_vms_shells_fill(vh_host_vms(lab->host), &o, &c, err);
}

static int measure_once(const bench_lab *lab, const bench_engine *engine, const bench_function *f, bench_run *run,
                        vh_error *err)
{
    vh_error why = { 0 };
    vh_vm *vm = NULL;
    int rc;

    run->recorded = run->figured = false; /* of the attempt before */
    rc = bench_start(lab, engine, f, run, &vm, NULL, &why);
    if (rc == 0)
        rc = bench_figures(lab, vm, run, &why);
    vh_vm_free(vm); /* killed: how the function ends is not measured */
    vh_vms_shells_end(vh_host_vms(lab->host)); /* one that this run did not take would quicken the next */
    if (vh_cancel_triggered(lab->cancel))
        return vh_error_set(err, VH_ECANCELED, "interrupted");
    run->ok = rc == 0;
    if (rc)
        memcpy(run->error, why.msg, sizeof(run->error));
    return 0;
}

int bench_measure(const bench_lab *lab, const bench_engine *engine, const bench_function *f, bench_run *run,
                  vh_error *err)
{
    int rc = 0;

    for (unsigned i = 0; i < RECORDINGS_MAX; i++) {
        rc = bench_shells_fill(lab, engine, 1, err);
        if (rc == 0 && !engine->running)
            rc = bench_drop_do(lab->drop, vh_host_snapshots(lab->host), f->snapshot, err);
        if (rc == 0)
            rc = measure_once(lab, engine, f, run, err);
        if (rc || !run->ok || !run->recorded || engine->running)
            return rc;
    }
    run->ok = false;
    snprintf(run->error, sizeof(run->error), "the working set had to be recorded anew %d times: each run touches other "
             "pages", RECORDINGS_MAX);
    return 0;
}

int bench_warm_up(const bench_lab *lab, const bench_engine *engine, bench_function *f, vh_error *err)
{
    vh_run_options o = VH_RUN_OPTIONS_INIT;
    vh_call c = bounds(lab);
    bench_run run = { .ok = false };
    int rc = 0;

    o.image = f->image;
    if (engine->how != VH_ENGINE_BOOT && !*f->snapshot)
        rc = vh_vm_snapshot_create(vh_host_vms(lab->host), &o, false, &c, f->snapshot, err);
    if (rc == 0)
        rc = bench_measure(lab, engine, f, &run, err);
    if (rc == 0 && !run.ok)
        rc = vh_error_set(err, VH_EGUEST, "%s by %s, before anything was measured: %s", f->name, engine->name,
                          run.error);
    return rc;
}
