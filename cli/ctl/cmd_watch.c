/* vhive-ctl logs, events: what comes as it comes. */
#include "daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "encode.h"
#include "interrupt.h"

/* A watch ends in order by a signal: that is how one that follows ends. */
static int end_of_watch(int rc)
{
    return rc == VH_ECANCELED && cli_interrupt_received() ? 128 + cli_interrupt_received() : rc;
}

/* What a callback found wrong with stdout. */
struct printer {
    cli *c;
    int write_error;
    uint64_t sequence; /* of the last event */
};

static bool flush(struct printer *p)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    p->write_error = errno ? errno : EIO;
    return false;
}

static void put_time(FILE *out, int64_t time_ns)
{
    char text[64];

    fprintf(out, "\"%s\"", cli_time_text(time_ns, 3, text));
}

static void put_member(FILE *out, const char *key, const void *text, size_t n)
{
    fprintf(out, ", \"%s\": ", key);
    cli_put_json(out, text, n);
}

static bool print_piece(const vh_log_piece *piece, void *arg)
{
    bool json = ((struct printer *)arg)->c->format == CLI_JSON;
    FILE *out = json || piece->stream == VH_STREAM_STDOUT ? stdout : stderr;

    if (json) {
        fputs("{\"time\": ", out);
        put_time(out, piece->time_ns);
        put_member(out, "vm", piece->vm, strlen(piece->vm));
        fprintf(out, ", \"stream\": \"%s\"", piece->stream == VH_STREAM_STDOUT ? "stdout" : "stderr");
        put_member(out, "text", piece->bytes, piece->n);
        fputs("}\n", out);
    } else {
        fwrite(piece->bytes, 1, piece->n, out);
    }
    return flush(arg);
}

static int logs(cli *c, vh_client *client, void *arg, vh_error *err)
{
    uint32_t tail = (uint32_t)cli_parser_uint(&c->args, "tail", UINT32_MAX);
    struct printer *p = arg;
    vh_call call = cli_call(c);
    int rc = vh_client_logs(client, c->args.operands[0], tail, cli_parser_value(&c->args, "follow") != NULL, &call,
                            print_piece, p, err);

    return p->write_error ? vh_error_set(err, -p->write_error, "write the function's output") : end_of_watch(rc);
}

static int run_logs(cli *c, vh_error *err)
{
    struct printer p = { .c = c };

    return ctl_with_client(c, logs, &p, err);
}

static bool print_event(const vh_event *e, void *arg)
{
    struct printer *p = arg;
    char text[64];

    p->sequence = e->sequence;
    if (p->c->format == CLI_JSON) {
        fputs("{\"time\": ", stdout);
        put_time(stdout, e->time_ns);
        fprintf(stdout, ", \"sequence\": %" PRIu64, e->sequence);
        put_member(stdout, "type", e->type, strlen(e->type));
        put_member(stdout, "function", e->function, strlen(e->function));
        put_member(stdout, "vm", e->vm, strlen(e->vm));
        put_member(stdout, "message", e->message, strlen(e->message));
        fputs("}\n", stdout);
        return flush(p);
    }
    printf("%s  %-20s ", cli_time_text(e->time_ns, 3, text), e->type);
    cli_put_plain(stdout, e->function);
    fputs(*e->vm ? " " : "", stdout);
    cli_put_plain(stdout, e->vm);
    fputs(*e->message ? ": " : "", stdout);
    cli_put_plain(stdout, e->message);
    fputc('\n', stdout);
    return flush(p);
}

/* Without --follow the kept events alone: not one in so long means that they are through. */
#define QUIET_MS 300

static int events(cli *c, vh_client *client, void *arg, vh_error *err)
{
    bool follow = cli_parser_value(&c->args, "follow") != NULL;
    const char *name = c->args.noperands ? c->args.operands[0] : NULL;
    struct printer *p = arg;
    vh_call call = cli_call(c);
    uint64_t before;
    int rc;

    p->sequence = cli_parser_uint(&c->args, "since", follow ? 0 : 1);
    call.timeout_ms = follow ? 0 : QUIET_MS;
    do { /* that time is the whole call's: what comes slowly takes several */
        before = p->sequence;
        rc = vh_client_events(client, name, before, &call, print_event, p, err);
    } while (!follow && rc == VH_ETIMEDOUT && p->sequence != before);
    if (rc == VH_ETIMEDOUT && !follow)
        rc = 0;
    return p->write_error ? vh_error_set(err, -p->write_error, "write events") : end_of_watch(rc);
}

static int run_events(cli *c, vh_error *err)
{
    struct printer p = { .c = c };

    return ctl_with_client(c, events, &p, err);
}

static const cli_option logs_options[] = {
    { "follow", 'f', CLI_FLAG, .help = "go on with what comes, until a signal" },
    { "tail", 'n', CLI_UINT, "LINES", .max = UINT32_MAX - 1, .help = "only the last lines that are kept" },
    { .name = NULL },
};

static const cli_option events_options[] = {
    { "follow", 'f', CLI_FLAG, .help = "what comes, until a signal; with --since what is kept first" },
    { "since", 0, CLI_UINT, "SEQUENCE", .max = UINT64_MAX, .help = "those after this number" },
    { .name = NULL },
};

const cli_command ctl_cmd_logs = {
    .name = "logs",
    .summary = "Print the output of a function",
    .operands = "NAME",
    .min = 1,
    .max = 1,
    .options = logs_options,
    .details = "What its instances wrote: to stdout and stderr, as they did; with -o json a line for each piece, with time and\n"
               "VM. The last MiB is kept.\n",
    .examples = "  vhive-ctl logs -f --tail 20 hello\n",
    .run = run_logs,
    .complete = ctl_complete_function,
};

const cli_command ctl_cmd_events = {
    .name = "events",
    .summary = "Print what happened to functions and their instances",
    .operands = "[NAME]",
    .min = 0,
    .max = 1,
    .options = events_options,
    .details = "The daemon keeps the last 1024. With -o json a line for each, with its sequence number, for --since.\n",
    .examples = "  vhive-ctl events -f\n"
                "  vhive-ctl events hello --since 120 -o json\n",
    .run = run_events,
    .complete = ctl_complete_function,
};
