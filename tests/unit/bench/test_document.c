/* What a result amounts to, and the forms in which it is written. */
#include "testenv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failalloc.h"
#include "result.h"

static const char *const functions[] = { "hello" }, *const engines[] = { "file", "reap" };

static bench_result empty(void)
{
    return (bench_result){ .host = { .cpu = "a \"cpu\"", .cores = 2, .kernel = "Linux 6.1", .vmm = "qemu",
                                     .vmm_version = "7.2", .accel = "tcg", .memory_mib = 256, .vcpus = 1,
                                     .disk_sequential_mb_s = 1190.04, .drop = "snapshot",
                                     .date = "2026-01-02T03:04:05Z", .load = 0.25 },
                           .functions = functions, .nfunctions = 1, .engines = engines, .nengines = 2 };
}

/* A run of |ms|, half of it a phase "boot", which began 1 ms after the request. */
static bench_run *add(bench_result *r, const char *engine, unsigned iteration, int64_t ms)
{
    bench_run *run = bench_result_next(r);

    assert_non_null(run);
    run->function = "hello";
    run->engine = engine;
    run->iteration = iteration;
    run->phases.begin_ns = 5000000000;
    run->phases.end_ns = 5000000000 + ms * 1000000;
    vh_phases_add(&run->phases, "boot", 5001000000, 5001000000 + ms * 500000, true);
    run->ok = run->figured = true;
    run->stats = (vh_vm_stats){ .faults = 7, .residual_faults = 2, .ws_pages = 100, .bytes_read = 4096, .vmm_pss_kib = 9 };
    r->nruns++;
    return run;
}

static void fail_with(bench_run *run, const char *error)
{
    run->ok = run->figured = false;
    snprintf(run->error, sizeof(run->error), "%s", error);
}

static char *written(const bench_result *r, bench_format format)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    vh_error err = { 0 };

    assert_non_null(f);
    assert_ok(bench_result_write(r, f, format, &err), err);
    assert_int_equal(fclose(f), 0);
    return text;
}

static void the_document_is_as_documented(void **state)
{
    static const char want[] =
        "{\"host\": {\"cpu\": \"a \\\"cpu\\\"\", \"cores\": 2, \"kernel\": \"Linux 6.1\",\n"
        "  \"vmm\": \"qemu\", \"vmm_version\": \"7.2\", \"accel\": \"tcg\", \"memory_mib\": 256, \"vcpus\": 1, "
        "\"disk_sequential_mb_s\": 1190.0, \"disk_random_4k_mb_s\": null,\n"
        "  \"drop\": \"snapshot\", \"libvhive\": \"" VH_VERSION "\", \"date\": \"2026-01-02T03:04:05Z\", \"load\": 0.25},\n"
        " \"runs\": [\n"
        "  {\"function\": \"hello\", \"engine\": \"file\", \"iteration\": 1, \"ok\": true, \"error\": \"\", "
        "\"total_us\": 200000,\n"
        "   \"phases\": [{\"id\": \"boot\", \"start_us\": 1000, \"us\": 100000, \"critical\": true}],\n"
        "   \"faults\": 7, \"residual_faults\": 2, \"ws_pages\": 100, \"bytes_read\": 4096, \"vmm_pss_kib\": 9},\n"
        "  {\"function\": \"hello\", \"engine\": \"reap\", \"iteration\": 1, \"ok\": false, \"error\": \"say \\\"no\\\"\", "
        "\"total_us\": 80000,\n"
        "   \"phases\": [{\"id\": \"boot\", \"start_us\": 1000, \"us\": 40000, \"critical\": true}],\n"
        "   \"faults\": null, \"residual_faults\": null, \"ws_pages\": null, \"bytes_read\": null, "
        "\"vmm_pss_kib\": null}],\n"
        " \"summary\": [\n"
        "  {\"function\": \"hello\", \"engine\": \"file\", \"n\": 1, \"p50_us\": 200000, \"p50_low_us\": 200000, "
        "\"p50_high_us\": 200000, \"p90_us\": 200000, \"p99_us\": 200000, \"mean_us\": 200000, "
        "\"ratio_to_file\": 1.0000, \"ratio_low\": 1.0000, \"ratio_high\": 1.0000},\n"
        "  {\"function\": \"hello\", \"engine\": \"reap\", \"n\": 0, \"p50_us\": null, \"p50_low_us\": null, "
        "\"p50_high_us\": null, \"p90_us\": null, \"p99_us\": null, \"mean_us\": null, "
        "\"ratio_to_file\": null, \"ratio_low\": null, \"ratio_high\": null}]}\n";
    bench_result r = empty();
    char *text;

    (void)state;
    add(&r, "file", 1, 200);
    fail_with(add(&r, "reap", 1, 80), "say \"no\"");
    text = written(&r, BENCH_JSON);
    assert_string_equal(text, want);
    free(text);
    bench_result_fini(&r);
}

static void a_document_without_runs_is_whole(void **state)
{
    bench_result r = empty();
    char *text = written(&r, BENCH_JSON);

    (void)state;
    assert_non_null(strstr(text, "\"runs\": [],\n"));
    assert_string_equal(text + strlen(text) - 4, "}]}\n");
    free(text);
}

static void a_line_of_csv_holds_any_error(void **state)
{
    bench_result r = empty();
    char *text;

    (void)state;
    add(&r, "file", 1, 200);
    fail_with(add(&r, "reap", 2, 80), "no \"x\",\nreally");
    text = written(&r, BENCH_CSV);
    assert_string_equal(text,
                        "function,engine,iteration,ok,error,total_us,faults,residual_faults,ws_pages,bytes_read,"
                        "vmm_pss_kib\n"
                        "hello,file,1,true,,200000,7,2,100,4096,9\n"
                        "hello,reap,2,false,\"no \"\"x\"\",\nreally\",80000,,,,,\n");
    free(text);
    bench_result_fini(&r);
}

static void a_table_has_a_row_per_function_and_engine(void **state)
{
    bench_result r = empty();
    char *text;

    (void)state;
    add(&r, "file", 1, 200);
    add(&r, "reap", 1, 100);
    text = written(&r, BENCH_TABLE);
    assert_non_null(strstr(text, "hello     reap    1  100.000 ms  100.0-100.0  100.000 ms  100.000 ms  100.000 ms  0.50"));
    free(text);
    bench_result_fini(&r);
}

static void failed_runs_do_not_count(void **state)
{
    bench_result r = empty();
    bench_summary s;
    vh_error err = { 0 };

    (void)state;
    add(&r, "file", 1, 100);
    add(&r, "file", 2, 300);
    add(&r, "reap", 1, 50);
    fail_with(add(&r, "reap", 2, 9000), "no");
    assert_ok(bench_summarise(&r, "hello", "reap", &s, &err), err);
    assert_int_equal(s.n, 1);
    assert_true(s.p50 == 50000 && s.ratio == 0.25 && s.compared);
    assert_ok(bench_summarise(&r, "hello", "file", &s, &err), err);
    assert_int_equal(s.n, 2);
    assert_true(s.p50 == 200000 && s.mean == 200000 && s.p90 == 280000);
    assert_true(s.ratio == 1 && s.ratio_interval.low == 1 && s.ratio_interval.high == 1);
    bench_result_fini(&r);
}

static void without_the_engine_file_there_is_no_ratio(void **state)
{
    bench_result r = empty();
    bench_summary s;
    vh_error err = { 0 };

    (void)state;
    add(&r, "reap", 1, 50);
    assert_ok(bench_summarise(&r, "hello", "reap", &s, &err), err);
    assert_false(s.compared);
    bench_result_fini(&r);
}

static int summarise(void *arg)
{
    bench_summary s;

    return bench_summarise(arg, "hello", "reap", &s, NULL);
}

static void a_summary_survives_any_failing_allocation(void **state)
{
    bench_result r = empty();

    (void)state;
    add(&r, "file", 1, 100);
    add(&r, "reap", 1, 50);
    failalloc_sweep(summarise, &r);
    bench_result_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_document_is_as_documented),
        cmocka_unit_test(a_document_without_runs_is_whole),
        cmocka_unit_test(a_line_of_csv_holds_any_error),
        cmocka_unit_test(a_table_has_a_row_per_function_and_engine),
        cmocka_unit_test(failed_runs_do_not_count),
        cmocka_unit_test(without_the_engine_file_there_is_no_ratio),
        cmocka_unit_test(a_summary_survives_any_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
