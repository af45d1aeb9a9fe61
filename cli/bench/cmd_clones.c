/* vhive-bench clones: several instances of one snapshot at once. */
#include "bench.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"

enum { COUNT = 8, COUNT_MAX = 256, ANSWER_SHOWN = 60 };

static const cli_option options[] = {
    BENCH_FUNCTION_OPTIONS,
    { "engine", 0, CLI_CHOICE, "ENGINE", .choices = "boot|file|uffd|reap|uffd-shell|reap-shell",
      .help = "how they come up (default reap)" },
    { "count", 'n', CLI_UINT, "N", .max = COUNT_MAX, .help = "how many (default 8)" },
    { "differ", 0, CLI_FLAG, .help = "fail unless all answers are different" },
    { "drop", 0, CLI_CHOICE, "WHAT", .choices = BENCH_DROPS, .help = "made cold before the start (default snapshot)" },
    { "format", 0, CLI_CHOICE, "FORMAT", .choices = "table|json", .help = "form of the result (default table)" },
    { .name = NULL },
};

/* Where the clones meet once each has been called, so that all of them run when their memory is looked at. */
struct meeting {
    pthread_mutex_t mutex;
    pthread_cond_t all_there;
    size_t expected, there;
};

struct clones;

struct clone {
    struct clones *all;
    pthread_t thread;
    bench_run run;
    char address[16];
    char *answer;
};

struct clones {
    cli *c;
    bench_lab lab;
    bench_engines engine; /* one */
    bench_functions functions;
    struct meeting meeting;
    struct clone *v;
    size_t n;
};

static void meet(struct meeting *m)
{
    pthread_mutex_lock(&m->mutex);
    m->there++;
    pthread_cond_broadcast(&m->all_there);
    while (m->there < m->expected)
        pthread_cond_wait(&m->all_there, &m->mutex); /* each comes: starts and calls have deadlines */
    pthread_mutex_unlock(&m->mutex);
}

/* Only |n| will come. */
static void expect(struct meeting *m, size_t n)
{
    pthread_mutex_lock(&m->mutex);
    m->expected = n;
    pthread_cond_broadcast(&m->all_there);
    pthread_mutex_unlock(&m->mutex);
}

static void *live(void *arg)
{
    struct clone *clone = arg;
    struct clones *all = clone->all;
    vh_error err = { 0 };
    vh_vm *vm = NULL;
    int rc = bench_start(&all->lab, all->engine.v[0], &all->functions.v[0], &clone->run, &vm, &clone->answer, &err);

    if (rc == 0)
        snprintf(clone->address, sizeof(clone->address), "%s", vh_vm_address(vm));
    meet(&all->meeting);
    if (rc == 0)
        rc = bench_figures(&all->lab, vm, &clone->run, &err);
    vh_vm_free(vm);
    clone->run.ok = rc == 0;
    if (rc)
        memcpy(clone->run.error, err.msg, sizeof(clone->run.error));
    return NULL;
}

static int start_all(struct clones *a, vh_error *err)
{
    size_t started = 0;
    int failed = 0;

    expect(&a->meeting, a->n);
    while (started < a->n && !failed) {
        a->v[started].all = a;
        failed = pthread_create(&a->v[started].thread, NULL, live, &a->v[started]);
        started += failed == 0;
    }
    if (failed)
        expect(&a->meeting, started);
    for (size_t i = 0; i < started; i++)
        pthread_join(a->v[i].thread, NULL);
    return failed ? vh_error_set(err, -failed, "start a thread for each of %zu clones", a->n) : 0;
}

static void add_row(cli_rows *rows, size_t i, const struct clone *clone)
{
    const bench_run *run = &clone->run;
    char answer[ANSWER_SHOWN + 1] = "";

    if (clone->answer)
        snprintf(answer, sizeof(answer), "%.*s", (int)strcspn(clone->answer, "\r\n"), clone->answer);
    cli_rows_number(rows, (int64_t)i + 1);
    cli_rows_text(rows, clone->address);
    cli_rows_number(rows, run->ok);
    cli_rows_number(rows, (int64_t)bench_run_us(run));
    cli_rows_number(rows, (int64_t)run->stats.faults);
    cli_rows_number(rows, (int64_t)run->stats.bytes_read);
    cli_rows_number(rows, (int64_t)run->stats.vmm_pss_kib * 1024);
    cli_rows_text(rows, answer);
    cli_rows_text(rows, run->error);
}

static int print(const struct clones *a, vh_error *err)
{
    static const cli_column columns[] = {
        { "CLONE", "clone", CLI_COLUMN_NUMBER },   { "ADDRESS", "address", CLI_COLUMN_TEXT },
        { "OK", "ok", CLI_COLUMN_BOOL },           { "TOTAL", "total_us", CLI_COLUMN_MICROS },
        { "FAULTS", "faults", CLI_COLUMN_NUMBER }, { "READ", "bytes_read", CLI_COLUMN_BYTES },
        { "PSS", "vmm_pss_bytes", CLI_COLUMN_BYTES }, { "ANSWER", "answer", CLI_COLUMN_TEXT },
        { "ERROR", "error", CLI_COLUMN_TEXT },
    };
    const char *format = cli_parser_value(&a->c->args, "format");
    cli_rows rows = { .columns = columns, .ncolumns = sizeof(columns) / sizeof(columns[0]) };
    int rc;

    for (size_t i = 0; i < a->n; i++)
        add_row(&rows, i, &a->v[i]);
    cli_console_hold(&a->c->console);
    rc = cli_rows_print(&rows, stdout, format && strcmp(format, "json") == 0 ? CLI_JSON : CLI_TABLE, err);
    cli_console_release(&a->c->console);
    cli_rows_fini(&rows);
    return rc;
}

static bool are_twins(const struct clone *a, const struct clone *b)
{
    return a->answer && b->answer && strcmp(a->answer, b->answer) == 0;
}

static int judge(const struct clones *a, vh_error *err)
{
    bool differ = cli_parser_value(&a->c->args, "differ") != NULL;

    for (size_t i = 0; i < a->n; i++) {
        if (!a->v[i].run.ok)
            return vh_error_set(err, VH_EREMOTE, "clone %zu: %s", i + 1, a->v[i].run.error);
        for (size_t k = 0; differ && k < i; k++)
            if (are_twins(&a->v[i], &a->v[k]))
                return vh_error_set(err, VH_EGUEST, "clones %zu and %zu gave the same answer", k + 1, i + 1);
    }
    return 0;
}

static int prepare(struct clones *a, vh_error *err)
{
    const cli_parser *p = &a->c->args;
    const char *engine = cli_parser_value(p, "engine"), *drop = cli_parser_value(p, "drop");
    int rc = bench_engines_parse(engine ? engine : "reap", &a->engine, err);

    a->lab = (bench_lab){ .cancel = a->c->cancel, .drop = bench_drop_of(drop ? drop : "snapshot"),
                          .answer_ms = (uint32_t)vh_config_u64(a->c->config, "timeout.invoke") };
    if (rc == 0)
        rc = bench_drop_check(a->lab.drop, err);
    if (rc == 0)
        rc = bench_host_open(a->c, &a->lab.host, err);
    if (rc == 0)
        rc = bench_functions_open(a->c, vh_host_images(a->lab.host), &a->functions, err);
    if (rc == 0 && a->functions.n != 1)
        rc = vh_error_set(err, VH_EINVALID, "--image is there %zu times: clones are of one image", a->functions.n);
    if (rc)
        return rc;
    a->n = (size_t)cli_parser_uint(p, "count", COUNT);
    a->v = calloc(a->n, sizeof(*a->v));
    return a->v ? 0 : vh_error_set(err, -ENOMEM, "%zu clones", a->n);
}

static int run_prepared(struct clones *a, vh_error *err)
{
    bench_function *f = &a->functions.v[0];
    int rc = bench_warm_up(&a->lab, a->engine.v[0], f, err);

    if (rc == 0)
        rc = bench_shells_fill(&a->lab, a->engine.v[0], a->n, err);
    if (rc == 0)
        rc = bench_drop_do(a->lab.drop, vh_host_snapshots(a->lab.host), f->snapshot, err);
    if (rc == 0)
        rc = start_all(a, err);
    if (rc == 0 && vh_cancel_triggered(a->c->cancel))
        rc = vh_error_set(err, VH_ECANCELED, "interrupted");
    if (rc == 0)
        rc = print(a, err);
    return rc ? rc : judge(a, err);
}

static int run_clones(cli *c, vh_error *err)
{
    struct clones a = { .c = c, .meeting = { .mutex = PTHREAD_MUTEX_INITIALIZER, .all_there = PTHREAD_COND_INITIALIZER } };
    int rc = prepare(&a, err);

    if (rc == 0)
        rc = run_prepared(&a, err);
    for (size_t i = 0; a.v && i < a.n; i++)
        free(a.v[i].answer);
    free(a.v);
    bench_functions_fini(&a.functions);
    vh_host_free(a.lab.host);
    return rc;
}

const cli_command bench_cmd_clones = {
    .name = "clones",
    .summary = "Start several instances of one snapshot at once",
    .operands = "",
    .options = options,
    .details =
        "Each is called once; a row per clone tells its time, what it read and, with all of them running, its share of\n"
        "memory: PSS, in which a page that several use counts in parts. Fails unless all answer, and with --differ\n"
        "unless no two answers are the same.\n",
    .examples = "  vhive-bench clones --image oci:build/functions/hello --count 8\n"
                "  vhive-bench clones --image oci:build/functions/pyhello --invoke http:/random --differ\n",
    .root = true,
    .run = run_clones,
};
