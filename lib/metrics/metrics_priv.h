/* Inside of metrics: families and series only ever grow, so readers need no lock, just the count they loaded. */
#ifndef VH_METRICS_PRIV_H
#define VH_METRICS_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "metrics.h"

/** Upper bounds of the buckets in ns; the one for everything above follows them. */
#define VH_METRIC_BUCKETS 16
extern const int64_t vh__metric_bounds[VH_METRIC_BUCKETS];

struct vh__series {
    const vh__metric_desc *desc;
    char *values[VH_METRIC_LABELS_MAX];
    _Atomic int64_t value; /* counter, gauge, or sum of a histogram in ns */
    _Atomic uint64_t buckets[VH_METRIC_BUCKETS + 1];
};

struct vh__family {
    const vh__metric_desc *desc;
    pthread_mutex_t *lock; /* the registry's */
    _Atomic size_t n;
    vh__series *series[VH_METRIC_SERIES_MAX];
    vh__series other; /* all that has no place above; shown once it was used */
    atomic_bool other_used;
};

struct vh__metrics {
    pthread_mutex_t lock; /* taken to add a family or a series */
    _Atomic size_t n;
    vh__family *families[VH_METRIC_FAMILIES_MAX];
};

#endif
