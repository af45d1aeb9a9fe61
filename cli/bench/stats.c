#include "stats.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

enum { SAMPLES = 2000 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

void bench_sort(double *v, size_t n)
{
    if (n)
        qsort(v, n, sizeof(*v), by_value);
}

double bench_quantile(const double *sorted, size_t n, double share)
{
    double at = n ? share * (double)(n - 1) : 0;
    size_t below = (size_t)at;

    if (n == 0)
        return 0;
    if (below + 1 >= n)
        return sorted[n - 1];
    return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

double bench_mean(const double *v, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += v[i];
    return n ? sum / (double)n : 0;
}

/* splitmix64 */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

/* Median of |n| values drawn from |v| with replacement; |room| has place for them. */
static double median_of_sample(const double *v, size_t n, double *room, uint64_t *state)
{
    for (size_t i = 0; i < n; i++)
        room[i] = v[next(state) % n];
    bench_sort(room, n);
    return bench_quantile(room, n, 0.5);
}

int bench_ratio_interval(const double *a, size_t na, const double *b, size_t nb, bench_interval *out, vh_error *err)
{
    double *ratios = calloc(SAMPLES + na + nb, sizeof(*ratios));
    uint64_t state = 1;

    if (!ratios)
        return vh_error_set(err, -ENOMEM, "statistics");
    for (size_t i = 0; i < SAMPLES; i++) {
        double above = median_of_sample(a, na, ratios + SAMPLES, &state);

        ratios[i] = above / median_of_sample(b, nb, ratios + SAMPLES + na, &state);
    }
    bench_sort(ratios, SAMPLES);
    *out = (bench_interval){ bench_quantile(ratios, SAMPLES, 0.025), bench_quantile(ratios, SAMPLES, 0.975) };
    free(ratios);
    return 0;
}
