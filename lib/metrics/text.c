/* Prometheus text format 0.0.4. */
#include "metrics_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const kind_names[] = { "counter", "gauge", "histogram" };

/*
 * Text with |escaped| characters behind a backslash. Bytes outside ASCII become '?': half a character would make the
 * whole page invalid.
 */
static void put_escaped(vh__buf *out, const char *s, const char *escaped)
{
    for (; *s; s++) {
        if (*s == '\n')
            vh__buf_puts(out, "\\n");
        else if (strchr(escaped, *s))
            vh__buf_printf(out, "\\%c", *s);
        else
            vh__buf_append(out, *s >= ' ' && *s < 0x7f ? s : "?", 1);
    }
}

/* "{engine="uffd",le="0.1"}", or nothing; |le| may be NULL. */
static void put_labels(vh__buf *out, const vh__series *s, const char *le)
{
    const char *separator = "{";

    for (size_t i = 0; i < VH_METRIC_LABELS_MAX && s->desc->labels[i]; i++) {
        vh__buf_printf(out, "%s%s=\"", separator, s->desc->labels[i]);
        put_escaped(out, s->values[i] ? s->values[i] : "other", "\\\""); /* only the series of all others has none */
        vh__buf_puts(out, "\"");
        separator = ",";
    }
    if (le) {
        vh__buf_printf(out, "%sle=\"%s\"", separator, le);
        separator = ",";
    }
    if (*separator == ',')
        vh__buf_puts(out, "}");
}

static void put_line(vh__buf *out, const vh__series *s, const char *suffix, const char *le, uint64_t value)
{
    vh__buf_printf(out, "%s%s", s->desc->name, suffix);
    put_labels(out, s, le);
    vh__buf_printf(out, " %" PRIu64 "\n", value);
}

/* The count is the sum of the buckets that were read, so that it never contradicts them under concurrent updates. */
static void put_histogram(vh__buf *out, vh__series *s)
{
    uint64_t count = 0;
    int64_t sum = atomic_load_explicit(&s->value, memory_order_relaxed);

    for (size_t i = 0; i < VH_METRIC_BUCKETS; i++) {
        char le[24];

        count += atomic_load_explicit(&s->buckets[i], memory_order_relaxed);
        snprintf(le, sizeof(le), "%g", (double)vh__metric_bounds[i] / 1e9);
        put_line(out, s, "_bucket", le, count);
    }
    count += atomic_load_explicit(&s->buckets[VH_METRIC_BUCKETS], memory_order_relaxed);
    put_line(out, s, "_bucket", "+Inf", count);
    vh__buf_printf(out, "%s_sum", s->desc->name);
    put_labels(out, s, NULL);
    vh__buf_printf(out, " %" PRId64 ".%09" PRId64 "\n", sum / 1000000000, sum % 1000000000);
    put_line(out, s, "_count", NULL, count);
}

static void put_series(vh__buf *out, vh__series *s)
{
    if (s->desc->kind == VH_HISTOGRAM) {
        put_histogram(out, s);
        return;
    }
    vh__buf_puts(out, s->desc->name);
    put_labels(out, s, NULL);
    vh__buf_printf(out, " %" PRId64 "\n", atomic_load_explicit(&s->value, memory_order_relaxed));
}

void vh__metrics_text(vh__metrics *m, vh__buf *out)
{
    size_t families = atomic_load_explicit(&m->n, memory_order_acquire);

    for (size_t i = 0; i < families; i++) {
        vh__family *f = m->families[i];
        size_t n = atomic_load_explicit(&f->n, memory_order_acquire);

        vh__buf_printf(out, "# HELP %s ", f->desc->name);
        put_escaped(out, f->desc->help, "\\");
        vh__buf_printf(out, "\n# TYPE %s %s\n", f->desc->name, kind_names[f->desc->kind]);
        for (size_t j = 0; j < n; j++)
            put_series(out, f->series[j]);
        if (atomic_load_explicit(&f->other_used, memory_order_relaxed))
            put_series(out, &f->other);
    }
}
