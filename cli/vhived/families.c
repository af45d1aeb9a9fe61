/* Every family that modules count in by its name; docs/metrics.md tells the same. */
#include "auto.h"
#include "vhived.h"

static const vh__metric_desc families[] = {
    { "vhive_build_info", "The version that runs; always 1.", VH_GAUGE, { "version" } },
    { "vhive_cold_starts_total", "Starts of instances, by how they came up and how that ended.", VH_COUNTER,
      { "engine", "outcome" } },
    { "vhive_cold_start_seconds", "Whole starts of instances that came up.", VH_HISTOGRAM, { "engine" } },
    { "vhive_cold_start_phase_seconds", "Phases of starts; some overlap others.", VH_HISTOGRAM, { "phase", "engine" } },
    { "vhive_boot_retries_total", "Boots that were begun anew because the guest hung early.", VH_COUNTER, { NULL } },
    { "vhive_faults_total", "Pages served on demand, of instances that were stopped.", VH_COUNTER, { "engine" } },
    { "vhive_residual_faults_total", "Pages served on demand after the working set was installed.", VH_COUNTER,
      { "engine" } },
    { "vhive_prefetched_pages_total", "Pages of working sets that were installed ahead.", VH_COUNTER, { "engine" } },
    { "vhive_prefetched_bytes_total", "Bytes of working sets that were installed ahead.", VH_COUNTER, { "engine" } },
    { "vhive_snapshot_saves_total", "Snapshots that were saved, by how that ended.", VH_COUNTER, { "outcome" } },
    { "vhive_snapshot_save_seconds", "Whole saves of snapshots.", VH_HISTOGRAM, { NULL } },
    { "vhive_snapshot_pause_seconds", "Standstill of an instance while it was saved.", VH_HISTOGRAM, { NULL } },
    { "vhive_snapshots_quarantined_total", "Snapshots that did not restore and were set aside.", VH_COUNTER, { NULL } },
    { "vhive_trace_spans_sent_total", "Spans that Zipkin took.", VH_COUNTER, { NULL } },
    { "vhive_trace_spans_dropped_total", "Spans that were lost: too many, or nobody took them.", VH_COUNTER, { NULL } },
    { "vhive_cri_calls_total", "CRI calls that ended, by method and gRPC status.", VH_COUNTER, { "method", "code" } },
    { "vhive_cri_call_seconds", "How long CRI calls took.", VH_HISTOGRAM, { "method" } },
    { "vhive_cri_open_calls", "CRI calls under way.", VH_GAUGE, { NULL } },
};

/* What has no labels is there from the beginning, as 0: else nobody could tell its first update from a gap. */
static int declare(vh__metrics *m, const vh__metric_desc *desc, vh_error *err)
{
    vh__family *family;
    int rc = vh__metrics_declare(m, desc, &family, err);

    if (rc == 0 && !desc->labels[0])
        (void)vh__family_series(family, NULL); /* made by being asked for */
    return rc;
}

int vhived_families_declare(vh__metrics *m, vh_error *err)
{
    int rc = 0;

    for (size_t i = 0; i < VH_ARRAY_LEN(families) && rc == 0; i++)
        rc = declare(m, &families[i], err);
    if (rc == 0)
        vh__metrics_update("vhive_build_info", (const char *const[]){ VH_VERSION }, 1, m);
    return rc;
}
