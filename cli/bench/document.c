/* The result as a document: docs/vhive-bench.md tells what each member means, and stays true. */
#include <inttypes.h>
#include <string.h>

#include "encode.h"
#include "output.h"
#include "result.h"

static void put_text(FILE *out, const char *key, const char *text)
{
    fprintf(out, "\"%s\": ", key);
    cli_put_json(out, text, strlen(text));
}

/* A number, or null if nothing was measured. */
static void put_number(FILE *out, const char *key, bool known, int digits, double value)
{
    if (known)
        fprintf(out, ", \"%s\": %.*f", key, digits, value);
    else
        fprintf(out, ", \"%s\": null", key);
}

static void put_host(FILE *out, const bench_host *h)
{
    fputs("{\"host\": {", out);
    put_text(out, "cpu", h->cpu);
    fprintf(out, ", \"cores\": %u, ", h->cores);
    put_text(out, "kernel", h->kernel);
    fputs(",\n  ", out);
    put_text(out, "vmm", h->vmm);
    fputs(", ", out);
    put_text(out, "vmm_version", h->vmm_version);
    fputs(", ", out);
    put_text(out, "accel", h->accel);
    fprintf(out, ", \"memory_mib\": %u, \"vcpus\": %u", h->memory_mib, h->vcpus);
    put_number(out, "disk_sequential_mb_s", h->disk_sequential_mb_s > 0, 1, h->disk_sequential_mb_s);
    put_number(out, "disk_random_4k_mb_s", h->disk_random_4k_mb_s > 0, 1, h->disk_random_4k_mb_s);
    fputs(",\n  ", out);
    put_text(out, "drop", h->drop);
    fputs(", ", out);
    put_text(out, "libvhive", VH_VERSION);
    fputs(", ", out);
    put_text(out, "date", h->date);
    fprintf(out, ", \"load\": %.2f}", h->load);
}

static void put_phases(FILE *out, const vh_phases *p)
{
    fputs("\"phases\": [", out);
    for (size_t i = 0; i < p->n; i++) {
        fputs(i ? ", {" : "{", out);
        put_text(out, "id", p->v[i].id);
        fprintf(out, ", \"start_us\": %" PRId64 ", \"us\": %" PRId64 ", \"critical\": %s}",
                (p->v[i].start_ns - p->begin_ns) / 1000, p->v[i].ns / 1000, p->v[i].critical ? "true" : "false");
    }
    fputc(']', out);
}

static void put_figure(FILE *out, const char *key, const bench_run *run, uint64_t value)
{
    if (run->figured)
        fprintf(out, "\"%s\": %" PRIu64, key, value);
    else
        fprintf(out, "\"%s\": null", key);
}

static void put_run(FILE *out, const bench_run *run)
{
    fputs("{", out);
    put_text(out, "function", run->function);
    fputs(", ", out);
    put_text(out, "engine", run->engine);
    fprintf(out, ", \"iteration\": %u, \"ok\": %s, ", run->iteration, run->ok ? "true" : "false");
    put_text(out, "error", run->error);
    fprintf(out, ", \"total_us\": %.0f,\n   ", bench_run_us(run));
    put_phases(out, &run->phases);
    fputs(",\n   ", out);
    put_figure(out, "faults", run, run->stats.faults);
    fputs(", ", out);
    put_figure(out, "residual_faults", run, run->stats.residual_faults);
    fputs(", ", out);
    put_figure(out, "ws_pages", run, run->stats.ws_pages);
    fputs(", ", out);
    put_figure(out, "bytes_read", run, run->stats.bytes_read);
    fputs(", ", out);
    put_figure(out, "vmm_pss_kib", run, run->stats.vmm_pss_kib);
    fputs("}", out);
}

static void put_summary(FILE *out, const bench_summary *s)
{
    bool known = s->n > 0;

    fputs("{", out);
    put_text(out, "function", s->function);
    fputs(", ", out);
    put_text(out, "engine", s->engine);
    fprintf(out, ", \"n\": %zu", s->n);
    put_number(out, "p50_us", known, 0, s->p50);
    put_number(out, "p50_low_us", known, 0, s->p50_interval.low);
    put_number(out, "p50_high_us", known, 0, s->p50_interval.high);
    put_number(out, "p90_us", known, 0, s->p90);
    put_number(out, "p99_us", known, 0, s->p99);
    put_number(out, "mean_us", known, 0, s->mean);
    put_number(out, "ratio_to_file", s->compared, 4, s->ratio);
    put_number(out, "ratio_low", s->compared, 4, s->ratio_interval.low);
    put_number(out, "ratio_high", s->compared, 4, s->ratio_interval.high);
    fputs("}", out);
}

typedef void summary_fn(FILE *out, const bench_summary *s, void *arg);

/* Calls |each| for every function and engine that was run. */
static int each_summary(const bench_result *r, FILE *out, summary_fn *each, void *arg, vh_error *err)
{
    for (size_t i = 0; i < r->nfunctions * r->nengines; i++) {
        bench_summary s;
        int rc = bench_summarise(r, r->functions[i / r->nengines], r->engines[i % r->nengines], &s, err);

        if (rc)
            return rc;
        each(out, &s, arg);
    }
    return 0;
}

static void next_summary(FILE *out, const bench_summary *s, void *arg)
{
    bool *more = arg;

    fputs(*more ? ",\n  " : "\n  ", out);
    put_summary(out, s);
    *more = true;
}

static int write_json(const bench_result *r, FILE *out, vh_error *err)
{
    bool more = false;
    int rc;

    put_host(out, &r->host);
    fputs(",\n \"runs\": [", out);
    for (size_t i = 0; i < r->nruns; i++) {
        fputs(i ? ",\n  " : "\n  ", out);
        put_run(out, &r->runs[i]);
    }
    fputs("],\n \"summary\": [", out);
    rc = each_summary(r, out, next_summary, &more, err);
    fputs("]}\n", out);
    return rc;
}

/* A text as a field of CSV (RFC 4180). */
static void put_field(FILE *out, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text; text++)
        fputs(*text == '"' ? "\"\"" : (char[]){ *text, '\0' }, out);
    fputc('"', out);
}

static void put_line(FILE *out, const bench_run *run)
{
    const vh_vm_stats *s = &run->stats;

    put_field(out, run->function);
    fprintf(out, ",%s,%u,%s,", run->engine, run->iteration, run->ok ? "true" : "false");
    put_field(out, run->error);
    fprintf(out, ",%.0f", bench_run_us(run));
    if (run->figured)
        fprintf(out, ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n", s->faults, s->residual_faults,
                s->ws_pages, s->bytes_read, s->vmm_pss_kib);
    else
        fputs(",,,,,\n", out);
}

static int write_csv(const bench_result *r, FILE *out)
{
    fputs("function,engine,iteration,ok,error,total_us,faults,residual_faults,ws_pages,bytes_read,vmm_pss_kib\n", out);
    for (size_t i = 0; i < r->nruns; i++)
        put_line(out, &r->runs[i]);
    return 0;
}

static void add_range(cli_rows *rows, bool known, int digits, bench_interval i)
{
    char text[64] = "";

    if (known)
        snprintf(text, sizeof(text), "%.*f-%.*f", digits, i.low, digits, i.high);
    cli_rows_text(rows, text);
}

static void add_ratio(cli_rows *rows, const bench_summary *s)
{
    char text[32] = "";

    if (s->compared)
        snprintf(text, sizeof(text), "%.2f", s->ratio);
    cli_rows_text(rows, text);
    add_range(rows, s->compared, 2, s->ratio_interval);
}

static void add_row(FILE *out, const bench_summary *s, void *arg)
{
    cli_rows *rows = arg;

    (void)out;
    cli_rows_text(rows, s->function);
    cli_rows_text(rows, s->engine);
    cli_rows_number(rows, (int64_t)s->n);
    cli_rows_number(rows, (int64_t)s->p50);
    add_range(rows, s->n > 0, 1, (bench_interval){ s->p50_interval.low / 1e3, s->p50_interval.high / 1e3 });
    cli_rows_number(rows, (int64_t)s->p90);
    cli_rows_number(rows, (int64_t)s->p99);
    cli_rows_number(rows, (int64_t)s->mean);
    add_ratio(rows, s);
    cli_rows_number(rows, (int64_t)s->faults);
    cli_rows_number(rows, (int64_t)s->residual_faults);
    cli_rows_number(rows, (int64_t)s->bytes_read);
    cli_rows_number(rows, (int64_t)s->vmm_pss_kib * 1024);
}

static int write_table(const bench_result *r, FILE *out, vh_error *err)
{
    static const cli_column columns[] = {
        { "FUNCTION", "", CLI_COLUMN_TEXT },   { "ENGINE", "", CLI_COLUMN_TEXT },     { "N", "", CLI_COLUMN_NUMBER },
        { "P50", "", CLI_COLUMN_MICROS },      { "95 %", "", CLI_COLUMN_TEXT },       { "P90", "", CLI_COLUMN_MICROS },
        { "P99", "", CLI_COLUMN_MICROS },      { "MEAN", "", CLI_COLUMN_MICROS },     { "/FILE", "", CLI_COLUMN_TEXT },
        { "95 %", "", CLI_COLUMN_TEXT },       { "FAULTS", "", CLI_COLUMN_NUMBER },
        { "RESIDUAL", "", CLI_COLUMN_NUMBER }, { "READ", "", CLI_COLUMN_BYTES },      { "PSS", "", CLI_COLUMN_BYTES },
    };
    cli_rows rows = { .columns = columns, .ncolumns = sizeof(columns) / sizeof(columns[0]) };
    int rc = each_summary(r, out, add_row, &rows, err);

    if (rc == 0)
        rc = cli_rows_print(&rows, out, CLI_TABLE, err);
    cli_rows_fini(&rows);
    return rc;
}

int bench_result_write(const bench_result *r, FILE *out, bench_format format, vh_error *err)
{
    switch (format) {
    case BENCH_JSON:
        return write_json(r, out, err);
    case BENCH_CSV:
        return write_csv(r, out);
    case BENCH_TABLE:
        break;
    }
    return write_table(r, out, err);
}
