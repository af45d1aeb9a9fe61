#include "buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"

void vh__buf_fini(vh__buf *b)
{
    free(b->data);
    *b = (vh__buf){ 0 };
}

void vh__buf_clear(vh__buf *b)
{
    b->len = 0;
    if (b->data)
        b->data[0] = '\0';
}

void *vh__buf_reserve(vh__buf *b, size_t n)
{
    size_t need, cap;
    char *grown;

    if (b->oom)
        return NULL;
    if (__builtin_add_overflow(b->len, n, &need) || __builtin_add_overflow(need, 1, &need)) {
        b->oom = true;
        return NULL;
    }
    if (need > b->cap) {
        /* at least twice as much as before: many small pieces would cost a copy each */
        cap = VH_MAX(need, 64);
        if (b->cap > cap / 2 && b->cap <= SIZE_MAX / 2)
            cap = b->cap * 2;
        grown = realloc(b->data, cap);
        if (!grown) {
            b->oom = true;
            return NULL;
        }
        b->data = grown;
        b->cap = cap;
    }
    b->data[b->len] = '\0';
    return b->data + b->len;
}

void vh__buf_append(vh__buf *b, const void *bytes, size_t n)
{
    char *to = vh__buf_reserve(b, n);

    if (!to)
        return;
    if (n)
        memcpy(to, bytes, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void vh__buf_puts(vh__buf *b, const char *s)
{
    vh__buf_append(b, s, strlen(s));
}

void vh__buf_printf(vh__buf *b, const char *fmt, ...)
{
    va_list ap, again;
    char *to;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    to = n < 0 ? NULL : vh__buf_reserve(b, (size_t)n);
    if (to) {
        vsnprintf(to, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    } else {
        b->oom = true;
    }
    va_end(again);
}

void vh__buf_consume(vh__buf *b, size_t n)
{
    b->len -= n;
    if (b->data && n) { /* for nothing, all would be moved to where it is */
        memmove(b->data, b->data + n, b->len);
        b->data[b->len] = '\0';
    }
}

char *vh__buf_steal(vh__buf *b)
{
    char *data = vh__buf_reserve(b, 0) ? b->data : NULL;

    if (!data)
        free(b->data);
    *b = (vh__buf){ 0 };
    return data;
}

int vh__buf_check(const vh__buf *b, const char *what, vh_error *err)
{
    return b->oom ? vh_error_set(err, -ENOMEM, "%s", what) : 0;
}
