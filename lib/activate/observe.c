#include "observe.h"

#include <string.h>
#include <strings.h>

#include "observe_priv.h"

#include "auto.h"

void vh__observed_header(vh__observed *o, const void *name, size_t name_len, const void *value, size_t value_len)
{
    static const char *const names[VH_OBSERVED] = {
        [VH_OBSERVED_W3C] = "traceparent",         [VH_OBSERVED_B3] = "b3",
        [VH_OBSERVED_TRACE_ID] = "x-b3-traceid",   [VH_OBSERVED_SPAN_ID] = "x-b3-spanid",
        [VH_OBSERVED_PARENT] = "x-b3-parentspanid", [VH_OBSERVED_SAMPLED] = "x-b3-sampled",
        [VH_OBSERVED_FLAGS] = "x-b3-flags",
    };

    if (value_len >= VH_OBSERVED_TEXT || memchr(value, '\0', value_len))
        return;
    for (size_t i = 0; i < VH_OBSERVED; i++) {
        if (name_len == strlen(names[i]) && strncasecmp(name, names[i], name_len) == 0 && !o->values[i][0]) {
            memcpy(o->values[i], value, value_len);
            o->values[i][value_len] = '\0';
        }
    }
}

static const char *or_null(const char *text)
{
    return text[0] ? text : NULL;
}

static bool context_of(const vh__observed *o, vh__trace_context *c)
{
    const char *w3c = o->values[VH_OBSERVED_W3C], *b3 = o->values[VH_OBSERVED_B3];
    vh__trace_b3_headers headers = {
        .trace_id = or_null(o->values[VH_OBSERVED_TRACE_ID]), .span_id = or_null(o->values[VH_OBSERVED_SPAN_ID]),
        .parent_span_id = or_null(o->values[VH_OBSERVED_PARENT]), .sampled = or_null(o->values[VH_OBSERVED_SAMPLED]),
        .flags = or_null(o->values[VH_OBSERVED_FLAGS]),
    };

    return vh__trace_parse_w3c(w3c, strlen(w3c), c) || vh__trace_parse_b3(b3, strlen(b3), c) ||
           vh__trace_parse_b3_headers(&headers, c);
}

/* A line without its end, which is there in whole: |*at| moves behind it. NULL: the rest is no whole line. */
static const char *next_line(const char **at, const char *end, size_t *n)
{
    const char *line = *at;
    const char *lf = memchr(line, '\n', (size_t)(end - line));

    if (!lf)
        return NULL;
    *at = lf + 1;
    *n = (size_t)(lf - line);
    if (*n && line[*n - 1] == '\r')
        --*n;
    return line;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void header_line(vh__observed *o, const char *line, size_t n)
{
    const char *colon = memchr(line, ':', n);
    const char *value, *end = line + n;

    if (!colon)
        return;
    value = colon + 1;
    while (value < end && is_blank(*value))
        value++;
    while (end > value && is_blank(end[-1]))
        end--;
    vh__observed_header(o, line, (size_t)(colon - line), value, (size_t)(end - value));
}

/* "METHOD TARGET HTTP/1.x" */
static bool is_request_line(const char *line, size_t n)
{
    static const char version[] = " HTTP/1.";
    size_t tail = sizeof(version); /* one digit more than the text, which has an end */

    return n > tail && memcmp(line + n - tail, version, sizeof(version) - 1) == 0;
}

static void observe_http1(const char *at, size_t size, vh__observed *o)
{
    const char *end = at + size;
    size_t n = 0;
    const char *line = next_line(&at, end, &n);

    if (!line || !is_request_line(line, n))
        return;
    while ((line = next_line(&at, end, &n)) && n)
        header_line(o, line, n);
}

bool vh__observe(const void *head, size_t n, vh__trace_context *context)
{
    vh__observed o = { 0 };

    n = VH_MIN(n, (size_t)VH_OBSERVE_MAX);
    if (vh__observe_is_h2(head, n))
        vh__observe_h2(head, n, &o);
    else
        observe_http1(head, n, &o);
    return context_of(&o, context);
}
