#include <vhive/error.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *vh_strerror(int code)
{
    switch (code) {
#define VH_ERROR_TEXT(name, value, text)                                                                               \
    case value:                                                                                                        \
        return text;
        VH_ERROR_LIST(VH_ERROR_TEXT)
#undef VH_ERROR_TEXT
    default:
        return strerror(-code);
    }
}

const char *vh_error_name(int code)
{
    const char *name;

    switch (code) {
#define VH_ERROR_NAME(name_, value, text)                                                                              \
    case value:                                                                                                        \
        return #name_;
        VH_ERROR_LIST(VH_ERROR_NAME)
#undef VH_ERROR_NAME
    default:
        name = strerrorname_np(-code);
        return name ? name : "unknown";
    }
}

int vh_error_set(vh_error *err, int code, const char *fmt, ...)
{
    va_list ap;

    if (!err)
        return code;
    err->code = code;
    va_start(ap, fmt);
    int n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    va_end(ap);
    if (n < 0)
        err->msg[n = 0] = '\0';
    if (code > -5000 && (size_t)n < sizeof(err->msg))
        snprintf(err->msg + n, sizeof(err->msg) - (size_t)n, ": %s", strerror(-code));
    return code;
}

int vh_error_wrap(vh_error *err, int code, const char *fmt, ...)
{
    char context[VH_ERROR_MSG];
    va_list ap;

    if (!err)
        return code;
    err->code = code;
    va_start(ap, fmt);
    int n = vsnprintf(context, sizeof(context), fmt, ap);
    va_end(ap);
    if (n > 0) {
        size_t room = sizeof(err->msg) - 1, head = strnlen(context, room - 2), tail = strlen(err->msg);

        if (tail > room - head - 2)
            tail = room - head - 2;
        memmove(err->msg + head + 2, err->msg, tail);
        memcpy(err->msg, context, head);
        memcpy(err->msg + head, ": ", 2);
        err->msg[head + 2 + tail] = '\0';
    }
    return code;
}
