/* vhive-ctl invoke: calls a function of the daemon once. */
#include "daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "report.h"

/** Most bytes of a body: what a message of the daemon may have, less what stands around it. */
#define DATA_MAX ((4u << 20) - 65536)

static const cli_option options[] = {
    { "data", 'd', CLI_TEXT, "DATA", .help = "body of the request, or @FILE (default: that of SPEC)" },
    { "spec", 's', CLI_TEXT, "SPEC", .help = "what to call, as run --invoke takes it (default: as the image says)" },
    { "timing", 0, CLI_FLAG, .help = "print on stderr whether it was cold, and the phases" },
    { "timeout", 't', CLI_SETTING, "DURATION", .key = "timeout.invoke", .help = "how long start and answer may take" },
    { .name = NULL },
};

/* One invocation. */
struct invocation {
    const char *data;
    size_t n;
    char *read; /* content of a file; NULL: none */
    vh_invoke_response answer;
    vh_invoke_timing timing;
};

static int read_file(struct invocation *i, const char *path, vh_error *err)
{
    FILE *f = fopen(path, "re");
    int rc = 0;

    if (!f)
        return vh_error_set(err, errno == ENOENT ? VH_ENOTFOUND : -errno, "--data @%s: %s", path,
                            errno == ENOENT ? "no such file" : "open");
    i->read = malloc(DATA_MAX + 1);
    if (!i->read)
        rc = vh_error_set(err, -ENOMEM, "--data");
    else
        i->n = fread(i->read, 1, DATA_MAX + 1, f);
    if (rc == 0 && ferror(f))
        rc = vh_error_set(err, -errno, "--data @%s", path);
    if (rc == 0 && i->n > DATA_MAX)
        rc = vh_error_set(err, VH_ELIMIT, "--data @%s: longer than %u bytes", path, DATA_MAX);
    (void)fclose(f); /* was only read */
    i->data = i->read;
    return rc;
}

static int take_data(const cli *c, struct invocation *i, vh_error *err)
{
    const char *data = cli_parser_value(&c->args, "data");

    if (data && *data == '@')
        return read_file(i, data + 1, err);
    i->data = data;
    i->n = data ? strlen(data) : 0;
    return 0;
}

static cli_report report_of(const struct invocation *i)
{
    return (cli_report){ .vm = i->timing.vm,
                         .deployed = true,
                         .cold = i->timing.cold,
                         .phases = i->timing.phases,
                         .called = true,
                         .ok = i->answer.ok,
                         .grpc = i->answer.grpc,
                         .status = i->answer.status,
                         .content_type = i->answer.content_type,
                         .body = i->answer.body ? i->answer.body : "",
                         .body_len = i->answer.body_len };
}

static int print_answer(cli *c, const struct invocation *i, vh_error *err)
{
    cli_report report = report_of(i);

    if (c->format == CLI_JSON) {
        cli_report_json(stdout, &report);
        return 0;
    }
    cli_report_body(stdout, &report);
    if (!cli_parser_value(&c->args, "timing"))
        return 0;
    fprintf(stderr, "%s, %s\n", report.cold ? "cold" : "warm", report.vm);
    return cli_report_phases(stderr, &report.phases, err);
}

static int invoke(cli *c, vh_client *client, void *arg, vh_error *err)
{
    vh_call call = cli_call(c);
    struct invocation *i = arg;
    vh_error other = { 0 };
    int rc;

    if (vh_config_source_of(c->config, "timeout.invoke") != VH_CONFIG_FROM_DEFAULT)
        call.timeout_ms = (uint32_t)vh_config_u64(c->config, "timeout.invoke");
    rc = vh_client_invoke(client, c->args.operands[0], cli_parser_value(&c->args, "spec"), i->data, i->n, &call,
                          &i->answer, &i->timing, err);
    if (rc && rc != VH_EREMOTE) /* an answer that tells of an error is one all the same */
        return vh_error_wrap(err, rc, "invoke");
    if (i->answer.status || i->answer.ok) {
        cli_console_hold(&c->console);
        if (print_answer(c, i, &other))
            rc = vh_error_set(err, other.code, "%s", other.msg);
        cli_console_release(&c->console);
    }
    return rc ? vh_error_wrap(err, rc, "invoke") : CLI_EXIT_OK;
}

static int run_invoke(cli *c, vh_error *err)
{
    struct invocation i = { .answer.size = sizeof(i.answer), .timing = VH_INVOKE_TIMING_INIT };
    int rc = take_data(c, &i, err);

    if (rc == 0)
        rc = ctl_with_client(c, invoke, &i, err);
    vh_invoke_response_fini(&i.answer);
    free(i.read);
    return rc;
}

const cli_command ctl_cmd_invoke = {
    .name = "invoke",
    .summary = "Call a function once and print its answer",
    .operands = "NAME",
    .min = 1,
    .max = 1,
    .options = options,
    .details = "Starts an instance if there is none. Without --spec the request is the one that the function's image names as\n"
               "typical (label io.vhive.invoke); --data takes the place of its body. SPEC is one of\n"
               "  http:/path   http:POST:/path:text   grpc:package.Service/Method:JSON\n",
    .examples = "  vhive-ctl invoke hello --data '{\"name\":\"record\"}' --timing\n"
                "  vhive-ctl invoke pyhello --spec http:/ -o json\n",
    .run = run_invoke,
    .complete = ctl_complete_function,
};
