/*
 * vh__buf: a growable byte buffer. Zero-initialise; vh__buf_fini() at the end. Failure to allocate is sticky: writers
 * go on, and whoever uses the result asks once (vh__buf_check()).
 */
#ifndef VH_BASE_BUF_H
#define VH_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <vhive/attr.h>
#include <vhive/error.h>

typedef struct vh__buf {
    char *data; /* NULL while empty; always followed by a NUL that len does not count */
    size_t len, cap;
    bool oom;
} vh__buf;

void vh__buf_fini(vh__buf *b);
/** Forgets the content, keeps the memory. */
void vh__buf_clear(vh__buf *b);
/** Makes room for |n| more bytes and returns where they go, or NULL (sticky). The caller then adds to |len|. */
void *vh__buf_reserve(vh__buf *b, size_t n);
void vh__buf_append(vh__buf *b, const void *bytes, size_t n);
void vh__buf_puts(vh__buf *b, const char *s);
void vh__buf_printf(vh__buf *b, const char *fmt, ...) VH_PRINTF(2, 3);
/** Drops the first |n| bytes (n <= len). */
void vh__buf_consume(vh__buf *b, size_t n);
/** Gives the content as a string to the caller (free()); NULL after a failed allocation. |b| is empty afterwards. */
char *vh__buf_steal(vh__buf *b);
/** 0, or -ENOMEM with "|what|". */
VH_MUST_CHECK int vh__buf_check(const vh__buf *b, const char *what, vh_error *err);

#define vh_auto_buf __attribute__((cleanup(vh__buf_fini)))

#endif
