#include "metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "metrics_priv.h"

const int64_t vh__metric_bounds[VH_METRIC_BUCKETS] = {
    100000,    250000,    500000,    1000000,   2500000,    5000000,    10000000,   25000000,
    50000000,  100000000, 250000000, 500000000, 1000000000, 2500000000, 5000000000, 10000000000,
};

int vh__metrics_new(vh__metrics **m, vh_error *err)
{
    vh__metrics *made = calloc(1, sizeof(*made));

    if (!made)
        return vh_error_set(err, -ENOMEM, "metrics");
    pthread_mutex_init(&made->lock, NULL);
    *m = made;
    return 0;
}

static void series_free(vh__series *s)
{
    for (size_t i = 0; s && i < VH_METRIC_LABELS_MAX; i++)
        free(s->values[i]);
    free(s);
}

void vh__metrics_free(vh__metrics *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n; i++) {
        for (size_t j = 0; j < m->families[i]->n; j++)
            series_free(m->families[i]->series[j]);
        free(m->families[i]);
    }
    pthread_mutex_destroy(&m->lock);
    free(m);
}

/* Letters, digits and underscores, no digit first: what Prometheus takes for a label and for a name without colons. */
static bool valid_name(const char *s)
{
    if (!*s || (*s >= '0' && *s <= '9'))
        return false;
    return s[strspn(s, "abcdefghijklmnopqrstuvwxyz_0123456789")] == '\0';
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n > m && strcmp(s + n - m, end) == 0;
}

static int check_desc(const vh__metric_desc *d, vh_error *err)
{
    if (!valid_name(d->name) || (d->kind == VH_COUNTER && !ends_with(d->name, "_total")) ||
        (d->kind == VH_HISTOGRAM && !ends_with(d->name, "_seconds")))
        return vh_error_set(err, VH_EINVALID,
                            "metric '%s': a name is lower case; counters end in _total, histograms in _seconds",
                            d->name);
    for (size_t i = 0; i < VH_METRIC_LABELS_MAX && d->labels[i]; i++)
        if (!valid_name(d->labels[i]) || strncmp(d->labels[i], "__", 2) == 0 || strcmp(d->labels[i], "le") == 0)
            return vh_error_set(err, VH_EINVALID, "metric %s: label '%s' is not a name that may be used", d->name,
                                d->labels[i]);
    return 0;
}

static vh__family *find_family(vh__metrics *m, const char *name)
{
    size_t n = atomic_load_explicit(&m->n, memory_order_acquire);

    for (size_t i = 0; i < n; i++)
        if (strcmp(m->families[i]->desc->name, name) == 0)
            return m->families[i];
    return NULL;
}

/* With the lock held: publishes |f|, which becomes the registry's. */
static int add_family(vh__metrics *m, vh__family *f, vh_error *err)
{
    size_t n = atomic_load_explicit(&m->n, memory_order_relaxed);

    if (find_family(m, f->desc->name))
        return vh_error_set(err, VH_EEXISTS, "metric %s is declared already", f->desc->name);
    if (n == VH_METRIC_FAMILIES_MAX)
        return vh_error_set(err, VH_ELIMIT, "metric %s: at most %d families", f->desc->name, VH_METRIC_FAMILIES_MAX);
    m->families[n] = f;
    atomic_store_explicit(&m->n, n + 1, memory_order_release); /* readers that see the count see the family */
    return 0;
}

int vh__metrics_declare(vh__metrics *m, const vh__metric_desc *desc, vh__family **family, vh_error *err)
{
    vh__family *f;
    int rc = check_desc(desc, err);

    if (rc)
        return rc;
    f = calloc(1, sizeof(*f));
    if (!f)
        return vh_error_set(err, -ENOMEM, "metric %s", desc->name);
    f->desc = f->other.desc = desc;
    f->lock = &m->lock;
    pthread_mutex_lock(&m->lock);
    rc = add_family(m, f, err);
    pthread_mutex_unlock(&m->lock);
    if (rc) {
        free(f);
        return rc;
    }
    if (family)
        *family = f;
    return 0;
}

static bool matches(const vh__series *s, const char *const *values)
{
    for (size_t i = 0; i < VH_METRIC_LABELS_MAX && s->desc->labels[i]; i++)
        if (strncmp(s->values[i], values[i] ? values[i] : "", VH_METRIC_VALUE_MAX) != 0)
            return false;
    return true;
}

static vh__series *find_series(vh__family *f, const char *const *values)
{
    size_t n = atomic_load_explicit(&f->n, memory_order_acquire);

    for (size_t i = 0; i < n; i++)
        if (matches(f->series[i], values))
            return f->series[i];
    return NULL;
}

/* With the lock held: makes the series of |values|; NULL when memory or room is out. */
static vh__series *add_series(vh__family *f, const char *const *values)
{
    size_t n = atomic_load_explicit(&f->n, memory_order_relaxed);
    vh__series *s = n < VH_METRIC_SERIES_MAX ? calloc(1, sizeof(*s)) : NULL;

    if (!s)
        return NULL;
    s->desc = f->desc;
    for (size_t i = 0; i < VH_METRIC_LABELS_MAX && f->desc->labels[i]; i++) {
        s->values[i] = strndup(values[i] ? values[i] : "", VH_METRIC_VALUE_MAX);
        if (!s->values[i]) {
            series_free(s);
            return NULL;
        }
    }
    f->series[n] = s;
    atomic_store_explicit(&f->n, n + 1, memory_order_release); /* as for families */
    return s;
}

vh__series *vh__family_series(vh__family *family, const char *const *values)
{
    vh__series *s = find_series(family, values);

    if (s)
        return s;
    pthread_mutex_lock(family->lock);
    s = find_series(family, values); /* another thread may have been faster */
    if (!s)
        s = add_series(family, values);
    pthread_mutex_unlock(family->lock);
    if (s)
        return s;
    atomic_store_explicit(&family->other_used, true, memory_order_relaxed);
    return &family->other;
}

void vh__series_update(vh__series *series, int64_t amount)
{
    size_t bucket = 0;

    if (series->desc->kind == VH_GAUGE) {
        atomic_store_explicit(&series->value, amount, memory_order_relaxed);
        return;
    }
    amount = VH_MAX(amount, 0);
    atomic_fetch_add_explicit(&series->value, amount, memory_order_relaxed);
    if (series->desc->kind == VH_COUNTER)
        return;
    while (bucket < VH_METRIC_BUCKETS && amount > vh__metric_bounds[bucket])
        bucket++;
    atomic_fetch_add_explicit(&series->buckets[bucket], 1, memory_order_relaxed);
}

void vh__metrics_update(const char *name, const char *const *values, int64_t amount, void *arg)
{
    vh__family *f = find_family(arg, name);

    if (f)
        vh__series_update(vh__family_series(f, values), amount);
}
