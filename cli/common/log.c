/* Log records as lines: text for people, JSON and logfmt for machines. */
#include "console.h"

#include <string.h>

#include "encode.h"

static void put_json_member(FILE *out, const char *key, const char *text)
{
    if (!text)
        return;
    fprintf(out, ", \"%s\": ", key);
    cli_put_json(out, text, strlen(text));
}

static void put_json_record(FILE *out, const vh_log_record *r)
{
    char time[40];

    fprintf(out, "{\"time\": \"%s\", \"level\": \"%s\"", cli_time_text(r->time_ns, 9, time),
            vh_log_level_name(r->level));
    put_json_member(out, "module", r->module);
    put_json_member(out, "vm", r->vm);
    put_json_member(out, "trace", r->trace);
    put_json_member(out, "message", r->message);
    fputs("}\n", out);
}

/* key=value, quoted as JSON where a bare word would be misread. */
static void put_logfmt_pair(FILE *out, const char *key, const char *text)
{
    if (!text)
        return;
    fprintf(out, " %s=", key);
    if (*text && !text[strcspn(text, " =\"\\\t\n\r\x7f")] && cli_is_utf8(text, strlen(text)))
        cli_put_plain(out, text);
    else
        cli_put_json(out, text, strlen(text));
}

static void put_logfmt_record(FILE *out, const vh_log_record *r)
{
    char time[40];

    fprintf(out, "time=%s level=%s", cli_time_text(r->time_ns, 9, time), vh_log_level_name(r->level));
    put_logfmt_pair(out, "module", r->module);
    put_logfmt_pair(out, "vm", r->vm);
    put_logfmt_pair(out, "trace", r->trace);
    put_logfmt_pair(out, "msg", r->message);
    fputc('\n', out);
}

void cli_put_record(FILE *out, const vh_log_record *record, cli_log_format format)
{
    if (format == CLI_LOG_JSON) {
        put_json_record(out, record);
        return;
    }
    if (format == CLI_LOG_LOGFMT) {
        put_logfmt_record(out, record);
        return;
    }
    fprintf(out, "%s: ", vh_log_level_name(record->level));
    cli_put_plain(out, record->module);
    if (record->vm) {
        fputc(' ', out);
        cli_put_plain(out, record->vm);
    }
    fputs(": ", out);
    cli_put_plain(out, record->message);
    fputc('\n', out);
}
