/* Counters, gauges, histograms and their text. */
#include "testenv.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "failalloc.h"
#include "metrics.h"

static const vh__metric_desc faults = { "vhive_faults_total",
                                        "Pages served \"on demand\".\n", VH_COUNTER,
                                        { "engine" } };
static const vh__metric_desc running = { "vhive_vms", "Running VMs.", VH_GAUGE, { NULL } };
static const vh__metric_desc phase = { "vhive_phase_seconds", "Phases.", VH_HISTOGRAM, { "id", "engine" } };

static const char *const *label(const char *a)
{
    static const char *one[1];

    one[0] = a;
    return one;
}

static vh__metrics *fresh(const vh__metric_desc *desc, vh__family **family)
{
    vh__metrics *m = NULL;
    vh_error err = { 0 };

    assert_ok(vh__metrics_new(&m, &err), err);
    assert_ok(vh__metrics_declare(m, desc, family, &err), err);
    return m;
}

static void the_text_is_what_prometheus_reads(void **state)
{
    vh_auto_buf vh__buf text = { 0 };
    vh__family *family;
    vh__metrics *m = fresh(&faults, &family);
    vh_error err = { 0 };

    (void)state;
    assert_ok(vh__metrics_declare(m, &running, NULL, &err), err);
    vh__series_update(vh__family_series(family, label("uffd")), 2);
    vh__series_update(vh__family_series(family, label("uffd")), 3);
    vh__series_update(vh__family_series(family, label("a\"\\\n\xff")), 1);
    vh__metrics_update("vhive_vms", NULL, 4, m);
    vh__metrics_update("vhive_vms", NULL, -1, m);
    vh__metrics_update("vhive_unknown", NULL, 1, m);
    vh__metrics_text(m, &text);
    assert_string_equal(text.data, "# HELP vhive_faults_total Pages served \"on demand\".\\n\n"
                                   "# TYPE vhive_faults_total counter\n"
                                   "vhive_faults_total{engine=\"uffd\"} 5\n"
                                   "vhive_faults_total{engine=\"a\\\"\\\\\\n?\"} 1\n"
                                   "# HELP vhive_vms Running VMs.\n"
                                   "# TYPE vhive_vms gauge\n"
                                   "vhive_vms -1\n");
    vh__metrics_free(m);
}

static void a_duration_falls_into_its_bucket_and_those_above(void **state)
{
    static const char *const values[] = { "boot", "tcg" };
    vh_auto_buf vh__buf text = { 0 };
    vh__family *family;
    vh__metrics *m = fresh(&phase, &family);
    vh__series *s = vh__family_series(family, values);

    (void)state;
    vh__series_update(s, 100000);          /* 0.1 ms: the bound belongs to its bucket */
    vh__series_update(s, 100001);
    vh__series_update(s, 20000000000);     /* 20 s: above all bounds */
    vh__metrics_text(m, &text);
    assert_non_null(strstr(text.data, "vhive_phase_seconds_bucket{id=\"boot\",engine=\"tcg\",le=\"0.0001\"} 1\n"));
    assert_non_null(strstr(text.data, "vhive_phase_seconds_bucket{id=\"boot\",engine=\"tcg\",le=\"0.00025\"} 2\n"));
    assert_non_null(strstr(text.data, "vhive_phase_seconds_bucket{id=\"boot\",engine=\"tcg\",le=\"10\"} 2\n"));
    assert_non_null(strstr(text.data, "vhive_phase_seconds_bucket{id=\"boot\",engine=\"tcg\",le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(text.data, "vhive_phase_seconds_sum{id=\"boot\",engine=\"tcg\"} 20.000200001\n"));
    assert_non_null(strstr(text.data, "vhive_phase_seconds_count{id=\"boot\",engine=\"tcg\"} 3\n"));
    vh__metrics_free(m);
}

static void labels_beyond_the_limit_are_counted_together(void **state)
{
    vh_auto_buf vh__buf text = { 0 };
    vh__family *family;
    vh__metrics *m = fresh(&faults, &family);
    char name[16];

    (void)state;
    for (int i = 0; i < VH_METRIC_SERIES_MAX + 7; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        vh__series_update(vh__family_series(family, label(name)), 1);
    }
    vh__metrics_text(m, &text);
    assert_non_null(strstr(text.data, "{engine=\"f99\"} 1\n"));
    assert_null(strstr(text.data, "{engine=\"f100\"}"));
    assert_non_null(strstr(text.data, "{engine=\"other\"} 7\n"));
    vh__metrics_free(m);
}

static void names_that_prometheus_refuses_are_refused(void **state)
{
    static const vh__metric_desc bad[] = {
        { "vhive_faults", "counter without _total", VH_COUNTER, { NULL } },
        { "9_total", "digit first", VH_COUNTER, { NULL } },
        { "vhive phase_seconds", "blank", VH_HISTOGRAM, { NULL } },
        { "x_seconds", "reserved label", VH_HISTOGRAM, { "le" } },
        { "x_total", "reserved label", VH_COUNTER, { "__name" } },
    };
    vh__metrics *m = fresh(&faults, NULL);
    vh_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(bad); i++)
        assert_int_equal(vh__metrics_declare(m, &bad[i], NULL, &err), VH_EINVALID);
    assert_int_equal(vh__metrics_declare(m, &faults, NULL, &err), VH_EEXISTS);
    vh__metrics_free(m);
}

static void *count_much(void *arg)
{
    static const char *const names[] = { "a", "b", "c", "d" };

    for (int i = 0; i < 40000; i++)
        vh__metrics_update("vhive_faults_total", &names[i % 4], 1, arg);
    return NULL;
}

static void concurrent_updates_are_all_counted(void **state)
{
    vh_auto_buf vh__buf text = { 0 };
    vh__metrics *m = fresh(&faults, NULL);
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_much, m), 0);
    for (size_t i = 0; i < VH_ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    vh__metrics_text(m, &text);
    for (const char *name = "abcd"; *name; name++) {
        char line[64];

        snprintf(line, sizeof(line), "{engine=\"%c\"} 40000\n", *name);
        assert_non_null(strstr(text.data, line));
    }
    vh__metrics_free(m);
}

static int build_and_free(void *arg)
{
    vh__metrics *m = NULL;
    int rc;

    (void)arg;
    rc = vh__metrics_new(&m, NULL);
    if (rc == 0)
        rc = vh__metrics_declare(m, &faults, NULL, NULL);
    vh__metrics_free(m);
    return rc;
}

static void running_out_of_memory_is_an_error_in_constructors(void **state)
{
    (void)state;
    failalloc_sweep(build_and_free, NULL);
}

static void running_out_of_memory_counts_with_the_others(void **state)
{
    vh_auto_buf vh__buf text = { 0 };
    vh__family *family;
    vh__metrics *m = fresh(&faults, &family);

    (void)state;
    failalloc_at(1);
    vh__series_update(vh__family_series(family, label("uffd")), 9);
    failalloc_at(0);
    vh__metrics_text(m, &text);
    assert_non_null(strstr(text.data, "{engine=\"other\"} 9\n"));
    vh__metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_is_what_prometheus_reads),
        cmocka_unit_test(a_duration_falls_into_its_bucket_and_those_above),
        cmocka_unit_test(labels_beyond_the_limit_are_counted_together),
        cmocka_unit_test(names_that_prometheus_refuses_are_refused),
        cmocka_unit_test(concurrent_updates_are_all_counted),
        cmocka_unit_test(running_out_of_memory_is_an_error_in_constructors),
        cmocka_unit_test(running_out_of_memory_counts_with_the_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
