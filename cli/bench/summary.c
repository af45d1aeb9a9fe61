#include "result.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void bench_result_fini(bench_result *r)
{
    free(r->runs);
    r->runs = NULL;
    r->nruns = r->room = 0;
}

bench_run *bench_result_next(bench_result *r)
{
    if (r->nruns == r->room) {
        size_t room = r->room ? 2 * r->room : 64;
        bench_run *grown = realloc(r->runs, room * sizeof(*grown));

        if (!grown)
            return NULL;
        r->runs = grown;
        r->room = room;
    }
    memset(&r->runs[r->nruns], 0, sizeof(r->runs[0]));
    return &r->runs[r->nruns];
}

double bench_run_us(const bench_run *run)
{
    return (double)(run->phases.end_ns - run->phases.begin_ns) / 1e3;
}

static double faults(const bench_run *run)
{
    return (double)run->stats.faults;
}

static double residual(const bench_run *run)
{
    return (double)run->stats.residual_faults;
}

static double bytes_read(const bench_run *run)
{
    return (double)run->stats.bytes_read;
}

static double pss(const bench_run *run)
{
    return (double)run->stats.vmm_pss_kib;
}

/* The values of one function and engine, sorted, into |v|, which has room for all runs. */
static size_t collect(const bench_result *r, const char *function, const char *engine,
                      double (*value)(const bench_run *run), double *v)
{
    size_t n = 0;

    for (size_t i = 0; i < r->nruns; i++) {
        const bench_run *run = &r->runs[i];

        if (run->ok && strcmp(run->function, function) == 0 && strcmp(run->engine, engine) == 0)
            v[n++] = value(run);
    }
    bench_sort(v, n);
    return n;
}

static double median(const bench_result *r, const bench_summary *s, double (*value)(const bench_run *run), double *v)
{
    size_t n = collect(r, s->function, s->engine, value, v);

    return bench_quantile(v, n, 0.5);
}

/* |v| has the run's times, |other| room for as many runs as there are. */
static int compare(const bench_result *r, bench_summary *s, const double *v, double *other, vh_error *err)
{
    static const double one = 1;
    size_t n = collect(r, s->function, "file", bench_run_us, other);
    int rc = bench_ratio_interval(v, s->n, &one, 1, &s->p50_interval, err);

    if (rc || n == 0)
        return rc;
    s->compared = true;
    if (strcmp(s->engine, "file") == 0) {
        s->ratio = s->ratio_interval.low = s->ratio_interval.high = 1; /* of the same runs, not of their likes */
        return 0;
    }
    s->ratio = s->p50 / bench_quantile(other, n, 0.5);
    return bench_ratio_interval(v, s->n, other, n, &s->ratio_interval, err);
}

int bench_summarise(const bench_result *r, const char *function, const char *engine, bench_summary *out, vh_error *err)
{
    bench_summary s = { .function = function, .engine = engine };
    double *v = calloc(2 * r->nruns + 1, sizeof(*v));
    int rc = 0;

    if (!v)
        return vh_error_set(err, -ENOMEM, "statistics");
    s.faults = median(r, &s, faults, v);
    s.residual_faults = median(r, &s, residual, v);
    s.bytes_read = median(r, &s, bytes_read, v);
    s.vmm_pss_kib = median(r, &s, pss, v);
    s.n = collect(r, function, engine, bench_run_us, v);
    s.p50 = bench_quantile(v, s.n, 0.5);
    s.p90 = bench_quantile(v, s.n, 0.9);
    s.p99 = bench_quantile(v, s.n, 0.99);
    s.mean = bench_mean(v, s.n);
    if (s.n)
        rc = compare(r, &s, v, v + r->nruns, err);
    free(v);
    if (rc == 0)
        *out = s;
    return rc;
}
