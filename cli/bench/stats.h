/*
 * Statistics of a few measured values. Pure: equal input gives equal output, on any machine.
 *
 * Quantiles are interpolated linearly between neighbours (type 7 of Hyndman and Fan, numpy's default): the median of
 * an even number of values is the mean of the middle two. Intervals are bootstrapped: 2000 samples drawn with
 * replacement by a generator with a fixed seed, and the 2.5 % and 97.5 % quantiles of what they give.
 */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stddef.h>
#include <vhive/error.h>

/** Sorts |n| values, the smallest first. */
void bench_sort(double *v, size_t n);
/** The value that |share| (0 to 1) of |n| sorted values do not exceed; 0 of none. */
double bench_quantile(const double *sorted, size_t n, double share);
/** Mean of |n| values; 0 of none. */
double bench_mean(const double *v, size_t n);

typedef struct bench_interval {
    double low, high;
} bench_interval;

/**
 * 95 % interval of the median of |a| divided by the median of |b|, of |na| and |nb| values, none of them 0; with one
 * 1.0 as |b| it is that of the median. 0 or -ENOMEM.
 */
VH_MUST_CHECK int bench_ratio_interval(const double *a, size_t na, const double *b, size_t nb, bench_interval *out,
                                       vh_error *err);

#endif
