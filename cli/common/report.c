#include "report.h"

#include <inttypes.h>
#include <string.h>

#include "encode.h"
#include "output.h"

static int64_t total_ns(const vh_phases *p)
{
    return p->end_ns - p->begin_ns;
}

double cli_report_explained(const vh_phases *phases)
{
    return total_ns(phases) > 0 ? (double)vh_phases_critical_ns(phases) * 100 / (double)total_ns(phases) : 0;
}

int cli_report_phases(FILE *out, const vh_phases *phases, vh_error *err)
{
    static const cli_column columns[] = {
        { "PHASE", "id", CLI_COLUMN_TEXT },
        { "START", "start_us", CLI_COLUMN_MICROS },
        { "DURATION", "us", CLI_COLUMN_MICROS },
        { "KIND", "kind", CLI_COLUMN_TEXT },
    };
    cli_rows rows = { .columns = columns, .ncolumns = sizeof(columns) / sizeof(columns[0]) };
    int rc;

    for (size_t i = 0; i < phases->n; i++) {
        const vh_phase *p = &phases->v[i];

        cli_rows_text(&rows, p->id);
        cli_rows_number(&rows, (p->start_ns - phases->begin_ns) / 1000);
        cli_rows_number(&rows, p->ns / 1000);
        cli_rows_text(&rows, p->critical ? "critical" : "overlapped");
    }
    rc = cli_rows_print(&rows, out, CLI_TABLE, err);
    cli_rows_fini(&rows);
    if (rc == 0)
        fprintf(out, "critical phases %.3f ms of %.3f ms in total: %.1f %%\n",
                (double)vh_phases_critical_ns(phases) / 1e6, (double)total_ns(phases) / 1e6,
                cli_report_explained(phases));
    return rc;
}

void cli_report_stats(FILE *out, const vh_vm_stats *s)
{
    char read[24], pss[24];

    fprintf(out, "faults %" PRIu64 " (residual %" PRIu64 "), working set %" PRIu64 " pages, installed %" PRIu64
                 ", read %s, VMM memory %s%s\n",
            s->faults, s->residual_faults, s->ws_pages, s->installed_pages, cli_bytes_text(s->bytes_read, read),
            cli_bytes_text(s->vmm_pss_kib * 1024, pss), s->recording ? ", recorded the working set" : "");
}

static void put_text(FILE *out, const char *key, const char *text)
{
    fprintf(out, ", \"%s\": ", key);
    cli_put_json(out, text, strlen(text));
}

static void put_answer(FILE *out, const cli_report *r)
{
    fprintf(out, ", \"status\": %d, \"protocol\": \"%s\"", r->status, r->grpc ? "grpc" : "http");
    put_text(out, "content_type", r->content_type);
    if (cli_is_utf8(r->body, r->body_len)) {
        fputs(", \"body\": ", out);
        cli_put_json(out, r->body, r->body_len);
    } else {
        fputs(", \"body_base64\": \"", out);
        cli_put_base64(out, r->body, r->body_len);
        fputc('"', out);
    }
}

static void put_phases(FILE *out, const vh_phases *phases)
{
    fprintf(out, ", \"total_us\": %" PRId64 ", \"critical_us\": %" PRId64 ", \"phases\": [", total_ns(phases) / 1000,
            vh_phases_critical_ns(phases) / 1000);
    for (size_t i = 0; i < phases->n; i++) {
        const vh_phase *p = &phases->v[i];

        fputs(i ? ",\n  {\"id\": " : "\n  {\"id\": ", out);
        cli_put_json(out, p->id, strlen(p->id));
        fprintf(out, ", \"start_us\": %" PRId64 ", \"us\": %" PRId64 ", \"critical\": %s}",
                (p->start_ns - phases->begin_ns) / 1000, p->ns / 1000, p->critical ? "true" : "false");
    }
    fputc(']', out);
}

static void put_stats(FILE *out, const vh_vm_stats *s)
{
    fprintf(out, ",\n \"faults\": %" PRIu64 ", \"residual_faults\": %" PRIu64 ", \"ws_pages\": %" PRIu64
                 ", \"installed_pages\": %" PRIu64 ", \"bytes_read\": %" PRIu64 ", \"vmm_pss_kib\": %" PRIu64
                 ", \"recording\": %s",
            s->faults, s->residual_faults, s->ws_pages, s->installed_pages, s->bytes_read, s->vmm_pss_kib,
            s->recording ? "true" : "false");
}

void cli_report_body(FILE *out, const cli_report *r)
{
    fwrite(r->body, 1, r->body_len, out);
    if (r->body_len && r->body[r->body_len - 1] != '\n')
        fputc('\n', out);
    fflush(out);
}

static void put_place(FILE *out, const cli_report *r)
{
    put_text(out, "address", r->address);
    fprintf(out, ", \"port\": %u", r->port);
    put_text(out, "engine", r->engine);
    put_text(out, "snapshot", r->snapshot);
}

void cli_report_json(FILE *out, const cli_report *r)
{
    fprintf(out, "{\"ok\": %s", !r->called || r->ok ? "true" : "false");
    if (r->called)
        put_answer(out, r);
    put_text(out, "vm", r->vm);
    if (r->deployed)
        fprintf(out, ", \"cold\": %s", r->cold ? "true" : "false");
    else
        put_place(out, r);
    put_phases(out, &r->phases);
    if (r->stats)
        put_stats(out, r->stats);
    fputs("}\n", out);
}
