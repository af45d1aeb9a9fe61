#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "doctor_priv.h"

const char *vh_finding_level_name(vh_finding_level level)
{
    static const char *const names[] = { "ok", "warn", "fail" };

    return (unsigned)level < 3 ? names[level] : "?";
}

static void found(vh__exam *x, vh_finding_level level, const char *remedy, const char *fmt, va_list args)
{
    char detail[VH_EXAM_TEXT]; /* |args| may be what was found before */

    vsnprintf(detail, sizeof(detail), fmt, args);
    memcpy(x->detail, detail, sizeof(x->detail));
    snprintf(x->remedy, sizeof(x->remedy), "%s", remedy);
    x->level = level;
}

void vh__found_ok(vh__exam *x, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    found(x, VH_FINDING_OK, "", fmt, args);
    va_end(args);
}

void vh__found_warn(vh__exam *x, const char *remedy, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    found(x, VH_FINDING_WARN, remedy, fmt, args);
    va_end(args);
}

void vh__found_fail(vh__exam *x, const char *remedy, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    found(x, VH_FINDING_FAIL, remedy, fmt, args);
    va_end(args);
}

void vh__found_result(vh__exam *x, int rc, const vh_error *err, const char *fine, const char *remedy)
{
    if (rc == 0)
        vh__found_ok(x, "%s", fine);
    else
        vh__found_fail(x, remedy, "%s", err->msg);
}

const char *vh__found_size(uint64_t bytes, char text[24])
{
    if (bytes >= 1ULL << 30)
        snprintf(text, 24, "%.1f GiB", (double)bytes / (double)(1ULL << 30));
    else
        snprintf(text, 24, "%llu MiB", (unsigned long long)(bytes >> 20));
    return text;
}
