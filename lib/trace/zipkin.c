/* Zipkin v2 JSON: one object per span, times in microseconds. */
#include "trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "json.h"

/* Adds |text| as printable ASCII: a stray byte would make the whole batch invalid UTF-8. */
static bool add_text(cJSON *obj, const char *key, const char *text)
{
    char clean[128];
    size_t n = 0;

    for (; text[n] && n < sizeof(clean) - 1; n++)
        clean[n] = text[n];
    for (size_t i = 0; i < n; i++)
        if (clean[i] < ' ' || clean[i] == 0x7f)
            clean[i] = '?';
    clean[n] = '\0';
    return cJSON_AddStringToObject(obj, key, clean) != NULL;
}

static bool add_id(cJSON *obj, const char *key, uint64_t hi, uint64_t lo)
{
    char text[33];

    if (hi)
        snprintf(text, sizeof(text), "%016" PRIx64 "%016" PRIx64, hi, lo);
    else
        snprintf(text, sizeof(text), "%016" PRIx64, lo);
    return cJSON_AddStringToObject(obj, key, text) != NULL;
}

static bool add_tags(cJSON *obj, const vh__span *s)
{
    cJSON *tags = s->tags[0].key[0] ? cJSON_AddObjectToObject(obj, "tags") : NULL;

    for (size_t i = 0; tags && i < VH_SPAN_TAGS && s->tags[i].key[0]; i++)
        if (!add_text(tags, s->tags[i].key, s->tags[i].value))
            return false;
    return tags || !s->tags[0].key[0];
}

static bool add_span(cJSON *array, const char *service, const vh__span *s)
{
    cJSON *obj = cJSON_CreateObject();
    cJSON *endpoint;

    if (!cJSON_AddItemToArray(array, obj)) {
        cJSON_Delete(obj);
        return false;
    }
    endpoint = cJSON_AddObjectToObject(obj, "localEndpoint");
    /* a duration of 0 is not allowed: what is shorter than 1 us lasts one */
    return endpoint && add_text(endpoint, "serviceName", service) &&
           add_id(obj, "traceId", s->context.trace_hi, s->context.trace_lo) && add_id(obj, "id", 0, s->context.span) &&
           (!s->context.parent || add_id(obj, "parentId", 0, s->context.parent)) && add_text(obj, "name", s->name) &&
           cJSON_AddNumberToObject(obj, "timestamp", (double)(s->start_ns / 1000)) &&
           cJSON_AddNumberToObject(obj, "duration", (double)VH_MAX(s->ns / 1000, 1)) && add_tags(obj, s) &&
           (s->context.sampling != VH_SAMPLE_DEBUG || cJSON_AddTrueToObject(obj, "debug"));
}

int vh__zipkin_encode(const char *service, const vh__span *spans, size_t n, vh__buf *out, vh_error *err)
{
    vh_auto_json cJSON *array = cJSON_CreateArray();
    bool ok = array != NULL;

    for (size_t i = 0; ok && i < n; i++)
        ok = add_span(array, service, &spans[i]);
    if (!ok)
        return vh_error_set(err, -ENOMEM, "spans as Zipkin JSON");
    vh__json_print(array, false, out);
    return vh__buf_check(out, "spans as Zipkin JSON", err);
}
