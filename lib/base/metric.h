/*
 * Metrics and ended flows towards the environment's sinks. Metrics go by name; who declares and shows them is above
 * (docs/metrics.md).
 */
#ifndef VH_BASE_METRIC_H
#define VH_BASE_METRIC_H

#include <vhive/env.h>

/** Most labels of a metric. */
#define VH_METRIC_LABELS_MAX 4

/** Whether there is a sink: for what costs something to find out. */
bool vh__metric_wanted(const vh_env *env);
/** Hands one update to the sink, if there is one; |values| has one per label. Any thread. */
void vh__metric_update(const vh_env *env, const char *name, const char *const *values, int64_t amount);

/** vh__metric(env, "vhive_cold_starts_total", 1, engine, outcome) */
#define vh__metric(env, name, amount, ...)                                                                             \
    vh__metric_update(env, name, (const char *const[VH_METRIC_LABELS_MAX]){ __VA_ARGS__ }, amount)

/** Hands an ended flow to the trace sink, if there is one. Any thread. */
void vh__trace_ended(const vh_env *env, const vh_trace_record *record);

#endif
