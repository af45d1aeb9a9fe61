#include "grpc_status.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <nghttp2/nghttp2.h>
#include <vhive/error.h>

#include "auto.h"
#include "clock.h"

const char *vh__grpc_status_name(int status)
{
    switch (status) {
#define VH_GRPC_STATUS_NAME(name, value)                                                                               \
    case value:                                                                                                        \
        return #name;
        VH_GRPC_STATUS_LIST(VH_GRPC_STATUS_NAME)
#undef VH_GRPC_STATUS_NAME
    }
    return "UNKNOWN";
}

/* Digits only, at most eight: neither sign nor space, and no overflow. -1 for anything else. */
static int64_t digits(const char *value, size_t n)
{
    int64_t v = 0;

    if (n == 0 || n > 8)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (value[i] < '0' || value[i] > '9')
            return -1;
        v = v * 10 + (value[i] - '0');
    }
    return v;
}

vh__grpc_status vh__grpc_status_parse(const char *value, size_t n)
{
    int64_t v = digits(value, n);

    return v < 0 || v > VH_GRPC_UNAUTHENTICATED ? VH_GRPC_UNKNOWN : (vh__grpc_status)v;
}

vh__grpc_status vh__grpc_status_from_http(int code)
{
    switch (code) {
    case 400:
        return VH_GRPC_INTERNAL;
    case 401:
        return VH_GRPC_UNAUTHENTICATED;
    case 403:
        return VH_GRPC_PERMISSION_DENIED;
    case 404:
        return VH_GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return VH_GRPC_UNAVAILABLE;
    default:
        return VH_GRPC_UNKNOWN;
    }
}

vh__grpc_status vh__grpc_status_from_h2(uint32_t code)
{
    switch (code) {
    case NGHTTP2_REFUSED_STREAM:
        return VH_GRPC_UNAVAILABLE;
    case NGHTTP2_CANCEL:
        return VH_GRPC_CANCELLED;
    case NGHTTP2_ENHANCE_YOUR_CALM:
        return VH_GRPC_RESOURCE_EXHAUSTED;
    case NGHTTP2_INADEQUATE_SECURITY:
        return VH_GRPC_PERMISSION_DENIED;
    default:
        return VH_GRPC_INTERNAL;
    }
}

/* Bytes of the longest start of |s| that is at most |max| and does not cut a UTF-8 character. */
static size_t whole_characters(const char *s, size_t n, size_t max)
{
    if (n <= max)
        return n;
    while (max > 0 && ((unsigned char)s[max] & 0xC0) == 0x80)
        max--;
    return max;
}

void vh__grpc_message_encode(const char *message, size_t n, vh__buf *out)
{
    n = whole_characters(message, n, VH_GRPC_MESSAGE_MAX);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)message[i];

        if (c >= ' ' && c <= '~' && c != '%')
            vh__buf_append(out, &c, 1);
        else
            vh__buf_printf(out, "%%%02X", c);
    }
}

static int hex(char c)
{
    static const char set[] = "0123456789abcdef";
    const char *at = c ? strchr(set, tolower((unsigned char)c)) : NULL;

    return at ? (int)(at - set) : -1;
}

void vh__grpc_message_decode(const char *value, size_t n, vh__buf *out)
{
    size_t end = out->len + VH_GRPC_MESSAGE_MAX;

    for (size_t i = 0; i < n && out->len < end && !out->oom; i++) {
        unsigned char c = (unsigned char)value[i];

        if (c == '%' && n - i > 2 && hex(value[i + 1]) >= 0 && hex(value[i + 2]) >= 0) {
            c = (unsigned char)(hex(value[i + 1]) << 4 | hex(value[i + 2]));
            i += 2;
        }
        vh__buf_append(out, &c, 1);
    }
}

/* From fine to coarse. */
static const struct {
    char unit;
    int64_t ns;
} timeout_units[] = {
    { 'n', 1 },
    { 'u', 1000 },
    { 'm', VH_NS_PER_MS },
    { 'S', VH_NS_PER_S },
    { 'M', 60 * VH_NS_PER_S },
    { 'H', 3600 * VH_NS_PER_S },
};

int vh__grpc_timeout_parse(const char *value, size_t n, int64_t *ns)
{
    int64_t v = n > 0 ? digits(value, n - 1) : -1;

    for (size_t i = 0; v >= 0 && i < VH_ARRAY_LEN(timeout_units); i++) {
        if (value[n - 1] != timeout_units[i].unit)
            continue;
        *ns = v > INT64_MAX / timeout_units[i].ns ? INT64_MAX : v * timeout_units[i].ns;
        return 0;
    }
    return VH_EINVALID;
}

void vh__grpc_timeout_format(int64_t ns, char out[VH_GRPC_TIMEOUT_LEN])
{
    size_t i = 0;
    int64_t v = VH_MAX(ns, 0);

    while (v > 99999999 && i + 1 < VH_ARRAY_LEN(timeout_units)) {
        i++;
        v = ns / timeout_units[i].ns + (ns % timeout_units[i].ns != 0);
    }
    (void)snprintf(out, VH_GRPC_TIMEOUT_LEN, "%u%c", (unsigned)VH_MIN(v, 99999999), timeout_units[i].unit);
}
