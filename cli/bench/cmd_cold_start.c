/* vhive-bench cold-start: engines compared by what the first answer takes. */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "interrupt.h"
#include "measure.h"
#include "outfile.h"
#include "stamp.h"

enum { ITERATIONS = 15, BOOT_ITERATIONS = 3, ITERATIONS_MAX = 10000 };

static const cli_option options[] = {
    BENCH_FUNCTION_OPTIONS,
    { "engines", 0, CLI_TEXT, "LIST", .help = "what is compared, of " BENCH_ENGINES " (default file,uffd,reap)" },
    { "iterations", 'n', CLI_UINT, "N", .max = ITERATIONS_MAX, .help = "runs per function and engine (default 15)" },
    { "boot-iterations", 0, CLI_UINT, "N", .max = ITERATIONS_MAX, .help = "the same for engine boot (default 3)" },
    { "drop", 0, CLI_CHOICE, "WHAT", .choices = BENCH_DROPS, .help = "made cold before each run (default snapshot)" },
    { "format", 0, CLI_CHOICE, "FORMAT", .choices = "table|csv|json", .help = "form of the result (default table)" },
    { "out", 0, CLI_TEXT, "FILE", .help = "where it goes, at once when it is complete (default standard output)" },
    { .name = NULL },
};

/* One comparison. Freed by fini() however far it came. */
struct comparison {
    cli *c;
    bench_engines engines;
    bench_lab lab;
    bench_format format;
    unsigned iterations, boot_iterations;
    bench_outfile out;
    bench_functions functions;
    const char **names; /* of functions, then of engines */
    bench_result result;
    size_t done, total; /* runs */
};

static void fini(struct comparison *b)
{
    bench_result_fini(&b->result);
    free(b->names);
    bench_functions_fini(&b->functions);
    vh_host_free(b->lab.host);
    bench_outfile_close(&b->out);
}

static unsigned iterations_of(const struct comparison *b, const bench_engine *e)
{
    return e->how == VH_ENGINE_BOOT ? b->boot_iterations : b->iterations;
}

static int read_options(struct comparison *b, vh_error *err)
{
    const cli_parser *p = &b->c->args;
    const char *engines = cli_parser_value(p, "engines"), *drop = cli_parser_value(p, "drop");
    const char *format = cli_parser_value(p, "format");

    b->iterations = (unsigned)cli_parser_uint(p, "iterations", ITERATIONS);
    b->boot_iterations = (unsigned)cli_parser_uint(p, "boot-iterations", BOOT_ITERATIONS);
    b->lab.drop = bench_drop_of(drop ? drop : "snapshot");
    b->lab.answer_ms = (uint32_t)vh_config_u64(b->c->config, "timeout.invoke");
    b->format = !format || strcmp(format, "table") == 0 ? BENCH_TABLE
                : strcmp(format, "csv") == 0            ? BENCH_CSV
                                                        : BENCH_JSON;
    return bench_engines_parse(engines ? engines : "file,uffd,reap", &b->engines, err);
}

static int name_all(struct comparison *b, vh_error *err)
{
    bench_result *r = &b->result;

    b->names = calloc(b->functions.n + b->engines.n, sizeof(*b->names));
    if (!b->names)
        return vh_error_set(err, -ENOMEM, "result");
    r->functions = b->names;
    r->nfunctions = b->functions.n;
    r->engines = b->names + b->functions.n;
    r->nengines = b->engines.n;
    for (size_t i = 0; i < b->functions.n; i++)
        b->names[i] = b->functions.v[i].name;
    for (size_t i = 0; i < b->engines.n; i++) {
        b->names[b->functions.n + i] = b->engines.v[i]->name;
        b->total += b->functions.n * iterations_of(b, b->engines.v[i]);
    }
    return 0;
}

/* All that can be refused before a VM is started is looked at here. */
static int prepare(struct comparison *b, vh_error *err)
{
    int rc = read_options(b, err);

    if (rc == 0)
        rc = bench_drop_check(b->lab.drop, err);
    if (rc == 0)
        rc = bench_outfile_open(&b->out, cli_parser_value(&b->c->args, "out"), err);
    if (rc == 0)
        rc = bench_host_open(b->c, &b->lab.host, err);
    if (rc == 0)
        rc = bench_functions_open(b->c, vh_host_images(b->lab.host), &b->functions, err);
    if (rc == 0)
        rc = name_all(b, err);
    b->lab.cancel = b->c->cancel;
    b->lab.stamp = &b->result.host;
    b->result.host.drop = bench_drop_name(b->lab.drop);
    return rc ? rc : bench_stamp(b->c, vh_host_env(b->lab.host), &b->result.host, err);
}

static void tell(struct comparison *b, const bench_run *run)
{
    char text[256];

    snprintf(text, sizeof(text), "%zu of %zu: %s by %s %s %.1f ms", b->done, b->total, run->function, run->engine,
             run->ok ? "answered after" : "failed after", bench_run_us(run) / 1e3);
    cli_progress(b->c, "cold-start", text);
}

static int count_run(struct comparison *b, const bench_engine *e, const bench_function *f, unsigned iteration,
                     vh_error *err)
{
    bench_run *run = bench_result_next(&b->result);
    int rc;

    if (!run)
        return vh_error_set(err, -ENOMEM, "result");
    run->function = f->name;
    run->engine = e->name;
    run->iteration = iteration;
    rc = bench_measure(&b->lab, e, f, run, err);
    if (rc)
        return rc;
    b->result.nruns++;
    b->done++;
    tell(b, run);
    return 0;
}

static int run_round(struct comparison *b, size_t round, vh_error *err)
{
    int rc = 0;

    for (size_t f = 0; f < b->functions.n; f++)
        for (size_t k = 0; rc == 0 && k < b->engines.n; k++) {
            const bench_engine *e = b->engines.v[bench_engines_turn(b->engines.n, round + f, k)];

            if (round < iterations_of(b, e))
                rc = count_run(b, e, &b->functions.v[f], (unsigned)round + 1, err);
        }
    return rc;
}

static int run_all(struct comparison *b, vh_error *err)
{
    unsigned rounds = b->iterations > b->boot_iterations ? b->iterations : b->boot_iterations;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < b->functions.n * b->engines.n; i++)
        rc = bench_warm_up(&b->lab, b->engines.v[i % b->engines.n], &b->functions.v[i / b->engines.n], err);
    for (size_t round = 0; rc == 0 && round < rounds; round++)
        rc = run_round(b, round, err);
    return rc;
}

static int write_result(struct comparison *b, vh_error *err)
{
    int rc;

    cli_console_hold(&b->c->console);
    rc = bench_result_write(&b->result, b->out.f, b->format, err);
    if (rc == 0)
        rc = bench_outfile_commit(&b->out, err);
    cli_console_release(&b->c->console);
    return rc;
}

/* Runs that failed are in the document; that there were any is told by the exit code too. */
static int judge(const struct comparison *b, vh_error *err)
{
    const bench_result *r = &b->result;
    const bench_run *first = NULL;
    size_t failed = 0;

    for (size_t i = 0; i < r->nruns; i++)
        if (!r->runs[i].ok && failed++ == 0)
            first = &r->runs[i];
    if (!first)
        return CLI_EXIT_OK;
    return vh_error_set(err, VH_EREMOTE, "%zu of %zu runs failed, the first one, %s by %s: %s", failed, r->nruns,
                        first->function, first->engine, first->error);
}

/* Ended early, it keeps what it has; what has nothing replaces no file. */
static int finish(struct comparison *b, int rc, vh_error *err)
{
    vh_error other = { 0 };
    int written;

    if (b->result.nruns == 0)
        return rc;
    written = write_result(b, &other);
    if (written) {
        if (rc && rc != VH_ECANCELED)
            cli_print_error(b->c, err);
        *err = other;
        return written;
    }
    if (rc == 0)
        return judge(b, err);
    cli_console_hold(&b->c->console);
    fprintf(stderr, "vhive-bench: %s after %zu of %zu runs, which the result holds\n",
            rc == VH_ECANCELED ? "interrupted" : "ended", b->done, b->total);
    cli_console_release(&b->c->console);
    return rc == VH_ECANCELED && cli_interrupt_received() ? 128 + cli_interrupt_received() : rc;
}

static int run_cold_start(cli *c, vh_error *err)
{
    struct comparison b = { .c = c };
    int rc = prepare(&b, err);

    if (rc == 0)
        rc = finish(&b, run_all(&b, err), err);
    fini(&b);
    return rc;
}

const cli_command bench_cmd_cold_start = {
    .name = "cold-start",
    .summary = "Compare engines by the time to the first answer",
    .operands = "",
    .options = options,
    .details =
        "Each run starts an instance, calls it, and ends it; its time goes from the request to the last byte of the\n"
        "answer. warm is the time of a second request to an instance that runs; with -shell a VMM was started ahead and\n"
        "waits for the snapshot. The engines take turns, so that none always follows another. A snapshot is made first\n"
        "if there is none, and each engine has one run that is not counted; neither is one that records a working set.\n"
        "--drop all needs root outside of containers.\n"
        "\n"
        "Ended early, by a signal or an error, it writes what it has. docs/vhive-bench.md tells what the members of the\n"
        "JSON mean.\n",
    .examples = "  vhive-bench cold-start --image oci:build/functions/hello\n"
                "  vhive-bench cold-start --image oci:build/functions/hello --image oci:build/functions/pyaes \\\n"
                "      --engines boot,file,uffd,reap,warm --iterations 15 --format json --out result.json\n",
    .root = true,
    .run = run_cold_start,
};
