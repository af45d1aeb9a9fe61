#include "trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static int random_bytes(void *to, size_t n, vh_error *err)
{
    ssize_t got;

    do
        got = getrandom(to, n, 0);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)n) /* up to 256 bytes come whole */
        return vh_error_set(err, got < 0 ? -errno : -EIO, "random id of a span");
    return 0;
}

int vh__trace_start(vh__trace_context *c, vh_error *err)
{
    uint64_t ids[3];
    int rc = random_bytes(ids, sizeof(ids), err);

    if (rc)
        return rc;
    /* the lowest bit keeps an id from being 0, which stands for "none" */
    *c = (vh__trace_context){ .trace_hi = ids[0], .trace_lo = ids[1] | 1, .span = ids[2] | 1,
                              .sampling = VH_SAMPLE_YES };
    return 0;
}

int vh__trace_child(const vh__trace_context *parent, vh__trace_context *child, vh_error *err)
{
    vh__trace_context made;
    int rc = vh__trace_start(&made, err);

    if (rc)
        return rc;
    made.sampling = parent->sampling;
    if (parent->span) {
        made.trace_hi = parent->trace_hi;
        made.trace_lo = parent->trace_lo;
        made.parent = parent->span;
    }
    *child = made;
    return 0;
}

/* Exactly |digits| lower-case hex digits at |text|. */
static bool parse_hex(const char *text, size_t digits, uint64_t *value)
{
    uint64_t v = 0;

    for (size_t i = 0; i < digits; i++) {
        char c = text[i];

        if (c >= '0' && c <= '9')
            v = v << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            v = v << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *value = v;
    return true;
}

bool vh__trace_parse_w3c(const char *text, size_t n, vh__trace_context *c)
{
    vh__trace_context made = { 0 };
    uint64_t version, flags;

    if (n < VH_TRACE_W3C_TEXT - 1 || text[2] != '-' || text[35] != '-' || text[52] != '-')
        return false;
    if (!parse_hex(text, 2, &version) || version == 0xff || !parse_hex(text + 3, 16, &made.trace_hi) ||
        !parse_hex(text + 19, 16, &made.trace_lo) || !parse_hex(text + 36, 16, &made.span) ||
        !parse_hex(text + 53, 2, &flags))
        return false;
    if (n > VH_TRACE_W3C_TEXT - 1 && (version == 0 || text[VH_TRACE_W3C_TEXT - 1] != '-'))
        return false;
    if (!(made.trace_hi | made.trace_lo) || !made.span)
        return false;
    made.sampling = flags & 1 ? VH_SAMPLE_YES : VH_SAMPLE_NO;
    *c = made;
    return true;
}

const char *vh__trace_format_w3c(const vh__trace_context *c, char text[VH_TRACE_W3C_TEXT])
{
    snprintf(text, VH_TRACE_W3C_TEXT, "00-%016" PRIx64 "%016" PRIx64 "-%016" PRIx64 "-%02x", c->trace_hi, c->trace_lo,
             c->span, c->sampling >= VH_SAMPLE_YES);
    return text;
}

static bool parse_decision(const char *text, size_t n, vh__sampling *sampling)
{
    if (n != 1 || !strchr("01d", *text) || !*text)
        return false;
    *sampling = *text == '0' ? VH_SAMPLE_NO : *text == '1' ? VH_SAMPLE_YES : VH_SAMPLE_DEBUG;
    return true;
}

/* Trace id of 16 or 32 digits, not all zero. */
static bool parse_trace_id(const char *text, size_t n, vh__trace_context *c)
{
    size_t high = n == 32 ? 16 : 0;

    if ((n != 16 && n != 32) || !parse_hex(text, high, &c->trace_hi) || !parse_hex(text + high, 16, &c->trace_lo))
        return false;
    return (c->trace_hi | c->trace_lo) != 0;
}

bool vh__trace_parse_b3(const char *text, size_t n, vh__trace_context *c)
{
    vh__trace_context made = { 0 };
    const char *dash = memchr(text, '-', n);
    size_t at;

    if (!dash) {
        if (!parse_decision(text, n, &made.sampling))
            return false;
        *c = made;
        return true;
    }
    at = (size_t)(dash - text);
    if (!parse_trace_id(text, at, &made) || n - at < 17 || !parse_hex(text + at + 1, 16, &made.span) || !made.span)
        return false;
    at += 17;
    if (at < n && (text[at] != '-' || n - at < 2 || !parse_decision(text + at + 1, 1, &made.sampling)))
        return false;
    at += at < n ? 2 : 0;
    if (at < n && (text[at] != '-' || n - at != 17 || !parse_hex(text + at + 1, 16, &made.parent)))
        return false;
    *c = made;
    return true;
}

const char *vh__trace_format_b3(const vh__trace_context *c, char text[VH_TRACE_B3_TEXT])
{
    static const char decisions[] = { [VH_SAMPLE_NO] = '0', [VH_SAMPLE_YES] = '1', [VH_SAMPLE_DEBUG] = 'd' };
    int n;

    if (!c->span) { /* with nothing decided either, "not sampled" is what receivers must assume */
        snprintf(text, VH_TRACE_B3_TEXT, "%c", c->sampling ? decisions[c->sampling] : '0');
        return text;
    }
    /* "%.0" of 0 is nothing: a 64-bit id stays one */
    n = snprintf(text, VH_TRACE_B3_TEXT, c->trace_hi ? "%016" PRIx64 "%016" PRIx64 "-%016" PRIx64
                                                     : "%.0" PRIx64 "%016" PRIx64 "-%016" PRIx64,
                 c->trace_hi, c->trace_lo, c->span);
    if (c->sampling != VH_SAMPLE_DEFER)
        n += snprintf(text + n, VH_TRACE_B3_TEXT - (size_t)n, "-%c", decisions[c->sampling]);
    if (c->sampling != VH_SAMPLE_DEFER && c->parent)
        snprintf(text + n, VH_TRACE_B3_TEXT - (size_t)n, "-%016" PRIx64, c->parent);
    return text;
}

bool vh__trace_parse_b3_headers(const vh__trace_b3_headers *h, vh__trace_context *c)
{
    vh__trace_context made = { 0 };

    if (h->flags && strcmp(h->flags, "1") == 0)
        made.sampling = VH_SAMPLE_DEBUG;
    else if (h->sampled && !parse_decision(h->sampled, strlen(h->sampled), &made.sampling))
        return false;
    if (!h->trace_id && !h->span_id) {
        if (made.sampling == VH_SAMPLE_DEFER)
            return false;
        *c = made;
        return true;
    }
    if (!h->trace_id || !h->span_id || !parse_trace_id(h->trace_id, strlen(h->trace_id), &made))
        return false;
    if (strlen(h->span_id) != 16 || !parse_hex(h->span_id, 16, &made.span) || !made.span)
        return false;
    if (h->parent_span_id && (strlen(h->parent_span_id) != 16 || !parse_hex(h->parent_span_id, 16, &made.parent)))
        return false;
    *c = made;
    return true;
}
