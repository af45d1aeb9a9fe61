#include "qmp.h"

#include <string.h>

void vh__qmp_message_fini(vh__qmp_message *m)
{
    cJSON_Delete(m->json);
    *m = (vh__qmp_message){ 0 };
}

void vh__qmp_decoder_fini(vh__qmp_decoder *d)
{
    vh__buf_fini(&d->in);
    d->searched = 0;
}

int vh__qmp_feed(vh__qmp_decoder *d, const void *bytes, size_t n, vh_error *err)
{
    vh__buf_append(&d->in, bytes, n);
    return vh__buf_check(&d->in, "QMP input", err);
}

static int classify(vh__qmp_message *m, vh_error *err)
{
    const cJSON *j = m->json, *body;

    m->id = vh__json_u64_or(j, "id", 0);
    if ((body = cJSON_GetObjectItemCaseSensitive(j, "return"))) {
        m->kind = VH_QMP_RETURN;
    } else if (cJSON_IsObject(body = cJSON_GetObjectItemCaseSensitive(j, "error"))) {
        m->kind = VH_QMP_ERROR;
    } else if ((m->name = vh__json_str_or(j, "event", NULL))) {
        m->kind = VH_QMP_EVENT;
        body = j;
    } else if (cJSON_IsObject(body = cJSON_GetObjectItemCaseSensitive(j, "QMP"))) {
        m->kind = VH_QMP_GREETING;
    } else {
        return vh_error_set(err, VH_EPROTOCOL, "QMP: a message that is neither answer, event nor greeting");
    }
    m->body = body;
    return 1;
}

static bool is_blank(const char *line, size_t n)
{
    return strspn(line, " \r\t") >= n;
}

int vh__qmp_next(vh__qmp_decoder *d, vh__qmp_message *m, vh_error *err)
{
    vh__qmp_message found = { 0 };
    char *end;
    size_t n;
    int rc;

    while (d->in.len > 0) {
        end = memchr(d->in.data + d->searched, '\n', d->in.len - d->searched);
        n = end ? (size_t)(end - d->in.data) : d->in.len;
        if (n > VH_QMP_LINE_MAX)
            return vh_error_set(err, VH_ELIMIT, "QMP: a line of more than %u bytes", VH_QMP_LINE_MAX);
        if (!end) {
            d->searched = d->in.len;
            return 0;
        }
        rc = is_blank(d->in.data, n) ? 0 : vh__json_parse(d->in.data, n, "QMP", &found.json, err);
        vh__buf_consume(&d->in, n + 1);
        d->searched = 0;
        if (rc)
            return VH_EPROTOCOL;
        if (!found.json)
            continue; /* an empty line */
        rc = classify(&found, err);
        if (rc < 0)
            vh__qmp_message_fini(&found);
        else
            *m = found;
        return rc;
    }
    return 0;
}

void vh__qmp_command(vh__buf *out, uint64_t id, const char *name, const cJSON *args)
{
    /* |name| is one of ours and needs no escaping; args may hold anything and is printed by cJSON */
    vh__buf_printf(out, "{\"execute\":\"%s\",\"id\":%llu", name, (unsigned long long)id);
    if (args) {
        vh__buf_puts(out, ",\"arguments\":");
        vh__json_print(args, false, out);
    }
    vh__buf_puts(out, "}\n");
}
