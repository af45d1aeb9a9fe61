/* vhive-ctl run: a function in a microVM, until it ends, a signal comes, or its one answer is there. */
#include "ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vhive/host.h>
#include <vhive/invoke.h>
#include <vhive/vm.h>

#include "encode.h"
#include "interrupt.h"
#include "report.h"
#include "run_options.h"

static const cli_option options[] = {
    CLI_RUN_OPTIONS,
    { "engine", 0, CLI_CHOICE, "ENGINE", .choices = "auto|boot|file|uffd|reap", .help = "how the VM comes up" },
    { "invoke", 'i', CLI_TEXT, "SPEC", .help = "call the function once, print its answer and the phases, and end" },
    { "timeout", 't', CLI_SETTING, "DURATION", .key = "timeout.invoke",
      .help = "how long the answer to --invoke may take" },
    { "restore-env", 0, CLI_ENV, "NAME=VALUE",
      .help = "put into /run/vhive/env, whatever snapshot is restored; may be repeated" },
    { .name = NULL },
};

/* One run. Freed by run_fini() however far it came. */
struct run {
    bool mid_line; /* the function's last output on stdout did not end its line; under the console's lock */
    cli *c;
    bool machine;     /* stdout is for the answer or for JSON: the function's output goes to stderr */
    int write_error;  /* errno of the first failing write of the function's output */
    const char **env, **restore_env;
    vh_invoke_request *request;
    vh_host *host;
    vh_vm *vm;
};

static void run_fini(struct run *r)
{
    vh_vm_free(r->vm);
    vh_host_free(r->host);
    vh_invoke_request_free(r->request);
    free(r->env);
    free(r->restore_env);
}

/* The function's output. When nobody reads it any more the run ends, as a program in a pipe would. */
static void on_output(vh_stream stream, const void *bytes, size_t n, void *arg)
{
    struct run *r = arg;
    FILE *out = stream == VH_STREAM_STDOUT && !r->machine ? stdout : stderr;

    cli_console_hold(&r->c->console);
    errno = 0;
    if ((fwrite(bytes, 1, n, out) != n || fflush(out) != 0) && !r->write_error) {
        r->write_error = errno ? errno : EIO;
        vh_cancel_trigger(r->c->cancel);
    }
    if (out == stdout && n > 0)
        r->mid_line = ((const char *)bytes)[n - 1] != '\n';
    cli_console_release(&r->c->console);
}

static cli_report report_of(const struct run *r)
{
    return (cli_report){
        .vm = vh_vm_id(r->vm),
        .address = vh_vm_address(r->vm),
        .snapshot = vh_vm_snapshot_id(r->vm),
        .port = vh_vm_port(r->vm),
        .engine = vh_engine_name(vh_vm_engine(r->vm)),
        .phases = *vh_vm_phases(r->vm),
    };
}

static void print_ready(struct run *r)
{
    cli_report report = report_of(r);

    cli_console_hold(&r->c->console);
    if (r->c->format == CLI_JSON)
        cli_report_json(stdout, &report);
    else
        printf("%sready: %s:%u\n", r->mid_line ? "\n" : "", report.address, report.port); /* a line of its own */
    fflush(stdout);
    if (!r->c->quiet)
        fprintf(stderr, "vhive-ctl: ready after %.1f ms by %s%s%s; critical phases %.1f %%\n",
                (double)(report.phases.end_ns - report.phases.begin_ns) / 1e6, report.engine,
                *report.snapshot ? " of snapshot " : "", report.snapshot, cli_report_explained(&report.phases));
    cli_console_release(&r->c->console);
}

/* Tells of what does not spoil the answer. */
static void warn(struct run *r, const vh_error *err)
{
    cli_tell(r->c, "warning", err->msg);
}

/*
 * How long a first restore is watched when we do not see its requests: what a function touches in an hour is no working
 * set.
 */
#define WATCH_MS 10000

/* Waits for the end of the function or a signal; returns an exit code or an error. */
static int serve(struct run *r, vh_error *err)
{
    vh_call call = cli_call(r->c);
    vh_vm_exit end = { 0 };
    int rc;

    print_ready(r);
    call.timeout_ms = WATCH_MS;
    rc = vh_vm_wait(r->vm, &call, &end, err);
    if (rc == VH_ETIMEDOUT) {
        vh_error why = { 0 };

        if (vh_vm_record_end(r->vm, NULL, &why))
            warn(r, &why);
        call.timeout_ms = UINT32_MAX;
    }
    while (rc == VH_ETIMEDOUT)
        rc = vh_vm_wait(r->vm, &call, &end, err);
    if (r->write_error)
        return vh_error_set(err, -r->write_error, "write the function's output");
    if (rc == VH_ECANCELED && cli_interrupt_received())
        return 128 + cli_interrupt_received();
    if (rc)
        return rc;
    if (!end.function)
        return vh_error_set(err, VH_EVMM, "%s", end.reason);
    cli_console_hold(&r->c->console);
    fprintf(stderr, "vhive-ctl: the function ended with code %d%s", end.code, *end.reason ? ": " : "");
    cli_put_plain(stderr, end.reason); /* from the guest */
    fputc('\n', stderr);
    cli_console_release(&r->c->console);
    return end.code & 0xff;
}

static int print_figures(const cli_report *report, vh_error *err)
{
    int rc = cli_report_phases(stderr, &report->phases, err);

    fprintf(stderr, "engine %s%s%s\n", report->engine, *report->snapshot ? ", snapshot " : "", report->snapshot);
    if (report->stats)
        cli_report_stats(stderr, report->stats);
    return rc;
}

static int print_answer(struct run *r, const cli_report *report, vh_error *err)
{
    int rc = 0;

    cli_console_hold(&r->c->console);
    if (r->c->format == CLI_JSON) {
        cli_report_json(stdout, report);
    } else {
        cli_report_body(stdout, report);
        rc = r->c->quiet ? 0 : print_figures(report, err);
    }
    cli_console_release(&r->c->console);
    return rc;
}

static void add_answer(cli_report *report, const vh_invoke_response *answer)
{
    vh_phases_add(&report->phases, "connect", vh_phases_reached_ns(&report->phases), answer->connected_ns, true);
    vh_phases_add(&report->phases, "request", answer->connected_ns, answer->last_byte_ns, true);
    report->phases.end_ns = answer->last_byte_ns;
    report->called = true;
    report->ok = answer->ok;
    report->grpc = answer->grpc;
    report->status = answer->status;
    report->content_type = answer->content_type;
    report->body = answer->body ? answer->body : "";
    report->body_len = answer->body_len;
}

/* Figures and print of one answer, before the VM is stopped. What fails here does not spoil the answer. */
static void finish_call(struct run *r, const vh_invoke_response *answer)
{
    cli_report report = report_of(r);
    vh_call call = cli_call(r->c);
    vh_vm_stats stats = { .size = sizeof(stats) };
    vh_error other = { 0 };

    add_answer(&report, answer);
    if (vh_vm_stats_get(r->vm, &call, &stats, &other) == 0)
        report.stats = &stats;
    else
        warn(r, &other);
    if (print_answer(r, &report, &other))
        warn(r, &other);
    if (vh_vm_record_end(r->vm, &call, &other))
        warn(r, &other);
}

/* The end of a VM shows to a caller as silence: here is the place that knows better. Returns |rc| or what it was. */
static int explain_silence(struct run *r, int rc, vh_error *err)
{
    vh_call soon = { .size = sizeof(soon), .timeout_ms = 1000 }; /* the answer may break off before the end is told */
    vh_vm_exit end = { 0 };

    if (rc == VH_ECANCELED || vh_vm_wait(r->vm, &soon, &end, NULL))
        return rc;
    if (!end.function)
        return vh_error_set(err, VH_EVMM, "no answer: %s", end.reason);
    return vh_error_set(err, VH_EGUEST, "no answer: %s", *end.reason ? end.reason : "the function has ended");
}

static int invoke(struct run *r, vh_error *err)
{
    vh_invoke_response answer = { .size = sizeof(answer) };
    vh_call call = cli_call(r->c);
    int rc;

    call.timeout_ms = (uint32_t)vh_config_u64(r->c->config, "timeout.invoke");
    rc = vh_invoke(r->request, vh_vm_address(r->vm), vh_vm_port(r->vm), &call, &answer, err);

    if (rc == 0 || rc == VH_EREMOTE) /* an answer that tells of an error is one all the same */
        finish_call(r, &answer);
    vh_invoke_response_fini(&answer);
    if (rc && rc != VH_EREMOTE)
        rc = explain_silence(r, rc, err);
    if (rc == VH_ETIMEDOUT)
        return vh_error_wrap(err, rc, "invoke (--timeout %s)", vh_config_str(r->c->config, "timeout.invoke"));
    return rc ? vh_error_wrap(err, rc, "invoke") : CLI_EXIT_OK;
}

/* All that can be refused before anything is started is looked at first. */
static int prepare(struct run *r, vh_run_options *o, vh_error *err)
{
    const char *spec = cli_parser_value(&r->c->args, "invoke"), *engine = cli_parser_value(&r->c->args, "engine");
    vh_env_options env;
    int rc = cli_run_options(r->c, o, &r->env, err);

    if (rc == 0) {
        o->restore_env = r->restore_env = cli_env_list(r->c, "restore-env", NULL, err);
        rc = r->restore_env ? 0 : -ENOMEM;
    }
    if (rc == 0 && engine)
        rc = vh_engine_parse(engine, &o->engine, err);
    if (rc == 0 && o->label && o->engine == VH_ENGINE_BOOT)
        rc = vh_error_set(err, VH_EINVALID, "--snapshot: engine boot neither saves nor restores one; leave one of them out");
    if (rc == 0 && !spec && vh_config_source_of(r->c->config, "timeout.invoke") == VH_CONFIG_FROM_FLAG)
        rc = vh_error_set(err, VH_EINVALID, "--timeout: it bounds the answer to --invoke; leave it out or name that too");
    if (rc == 0 && spec)
        rc = vh_invoke_parse(spec, &r->request, err);
    if (rc)
        return rc;
    r->machine = spec || r->c->format == CLI_JSON;
    o->output = on_output;
    o->output_arg = r;
    cli_env_options(r->c, &env);
    return vh_host_new(r->c->config, &env, &r->host, err);
}

/* Stops the VM without regard to the cancel token: a signal asked for just that. */
static int stop(struct run *r, int rc, vh_error *err)
{
    vh_error other = { 0 };

    if (vh_vm_stop(r->vm, NULL, &other) == 0)
        return rc;
    if (rc < 0) {
        warn(r, &other);
        return rc;
    }
    *err = other;
    return other.code;
}

static int run_run(cli *c, vh_error *err)
{
    struct run r = { .c = c };
    vh_call call = cli_call(c);
    vh_run_options o;
    int rc = prepare(&r, &o, err);

    if (rc == 0)
        rc = vh_vm_run(vh_host_vms(r.host), &o, &call, &r.vm, err);
    if (rc == 0)
        rc = stop(&r, r.request ? invoke(&r, err) : serve(&r, err), err);
    run_fini(&r);
    return rc;
}

const cli_command ctl_cmd_run = {
    .name = "run",
    .summary = "Run a function in a microVM",
    .operands = "IMAGE",
    .min = 1,
    .max = 1,
    .options = options,
    .details =
        "Prints \"ready: ADDRESS:PORT\" once the function accepts connections and streams its output until it ends by\n"
        "itself (its exit code is passed on) or SIGINT or SIGTERM comes (it is stopped; a second one kills it).\n"
        "\n"
        "An engine other than boot restores the snapshot of the same image, environment and machine. Without one it\n"
        "boots, saves one and restores that. reap records the working set in its first restore and installs it ahead\n"
        "from the second on. auto is reap, or file where /dev/userfaultfd cannot be used; a snapshot that does not\n"
        "restore it sets aside as bad-ID and boots, where a named engine fails.\n"
        "\n"
        "--invoke prints the answer's body on stdout and the phases from start to last byte on stderr, or all of it\n"
        "as one JSON object on stdout with -o json; the function's own output goes to stderr then. SPEC is one of\n"
        "  http:/path   http:POST:/path:text   http:POST:/path:@FILE   grpc:package.Service/Method:JSON\n",
    .examples = "  vhive-ctl run oci:build/functions/hello\n"
                "  vhive-ctl run oci:build/functions/pyhello --memory 512M --env LANG=C --invoke http:/\n"
                "  vhive-ctl run oci:build/functions/hello --engine reap -o json \\\n"
                "      --invoke 'grpc:helloworld.Greeter/SayHello:{\"name\":\"record\"}'\n",
    .root = true,
    .run = run_run,
    .complete = ctl_complete_image,
};
