/*
 * vh__metrics: counters, gauges and histograms with labels, and their Prometheus text.
 *
 * A family is declared once, by a static description; its series (one per set of label values) appear when they are
 * first used. Who updates often keeps the series; who updates now and then names the family:
 *
 *     static const vh__metric_desc faults = { "vhive_faults_total", "Pages served on demand.", VH_COUNTER,
 *                                             { "engine" } };
 *     vh__metrics_declare(m, &faults, &family, &err);
 *     vh__series_update(vh__family_series(family, (const char *[]){ "uffd" }), 1);
 *     vh__metrics_update("vhive_faults_total", (const char *[]){ "uffd" }, 1, m);
 *
 * Threads: everything may be called from all threads at once. Updates take no lock; only the first use of a series
 * does. A family has at most VH_METRIC_SERIES_MAX series: what comes beyond is counted in one whose labels are all
 * "other", so sums stay right whatever names outsiders choose. Owns all of it until vh__metrics_free().
 */
#ifndef VH_METRICS_METRICS_H
#define VH_METRICS_METRICS_H

#include <stdint.h>
#include <vhive/attr.h>
#include <vhive/error.h>

#include "buf.h"
#include "metric.h"

#define VH_METRIC_FAMILIES_MAX 64
#define VH_METRIC_SERIES_MAX   100
/** Longest label value that is kept, in bytes; the rest is cut. */
#define VH_METRIC_VALUE_MAX 96

typedef enum vh__metric_kind {
    VH_COUNTER = 0, /* an update adds; never falls */
    VH_GAUGE,       /* an update replaces */
    VH_HISTOGRAM,   /* an update is one duration in ns; exposed in seconds, buckets from 0.1 ms to 10 s */
} vh__metric_kind;

/** Description of a family; static storage. */
typedef struct vh__metric_desc {
    const char *name; /* [a-z_][a-z0-9_]*; counters end in _total, histograms in _seconds */
    const char *help;
    vh__metric_kind kind;
    const char *labels[VH_METRIC_LABELS_MAX]; /* names; NULL ends them */
} vh__metric_desc;

typedef struct vh__metrics vh__metrics;
typedef struct vh__family vh__family;
typedef struct vh__series vh__series;

/** Makes a registry. On success the caller owns |*m| (vh__metrics_free()). 0 or -ENOMEM. */
VH_MUST_CHECK int vh__metrics_new(vh__metrics **m, vh_error *err);
void vh__metrics_free(vh__metrics *m);

/**
 * Adds a family. |desc| is borrowed for the life of |m|; |*family| (may be NULL) belongs to |m|.
 * VH_EINVALID for a name or label that Prometheus would refuse, VH_EEXISTS, VH_ELIMIT, -ENOMEM.
 */
VH_MUST_CHECK int vh__metrics_declare(vh__metrics *m, const vh__metric_desc *desc, vh__family **family, vh_error *err);

/**
 * The series of |values|, one per label (borrowed; a NULL one is ""). Never NULL: when memory or room is out it is
 * the one that stands for all others. Belongs to the registry.
 */
vh__series *vh__family_series(vh__family *family, const char *const *values);

/** Counts |amount| as the kind of the family says. Takes no lock, allocates nothing. */
void vh__series_update(vh__series *series, int64_t amount);

/**
 * The metrics sink of an environment (vh_metrics_fn) that counts in the registry |arg|. An undeclared name is ignored,
 * since whoever declared none wants none.
 */
void vh__metrics_update(const char *name, const char *const *values, int64_t amount, void *arg);

/** Appends all families in Prometheus text format 0.0.4. Out of memory is sticky in |out|. */
void vh__metrics_text(vh__metrics *m, vh__buf *out);

#endif
