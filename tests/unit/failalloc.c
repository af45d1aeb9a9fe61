#include "failalloc.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <cmocka.h>

static unsigned countdown, count; /* the test program's own: one sweep at a time, on one thread */
static bool all;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t m);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
int __real_vasprintf(char **out, const char *fmt, va_list ap);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t m);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);
int __wrap_vasprintf(char **out, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

static bool fails(void)
{
    __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
    if (!__atomic_load_n(&all, __ATOMIC_RELAXED) && (__atomic_load_n(&countdown, __ATOMIC_RELAXED) == 0 ||
                                                     __atomic_sub_fetch(&countdown, 1, __ATOMIC_RELAXED) != 0))
        return false;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t m)
{
    return fails() ? NULL : __real_calloc(n, m);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *s)
{
    return fails() ? NULL : __real_strdup(s);
}

int __wrap_vasprintf(char **out, const char *fmt, va_list ap)
{
    return fails() ? -1 : __real_vasprintf(out, fmt, ap);
}

void failalloc_at(unsigned nth)
{
    countdown = nth;
    count = 0;
}

void failalloc_all(bool fail)
{
    __atomic_store_n(&all, fail, __ATOMIC_RELAXED);
}

unsigned failalloc_count(void)
{
    return count;
}

void failalloc_sweep(int (*attempt)(void *arg), void *arg)
{
    unsigned n;
    int rc;

    failalloc_at(0);
    rc = attempt(arg);
    n = failalloc_count();
    if (rc)
        fail_msg("undisturbed run failed with %d", rc);
    for (unsigned i = 1; i <= n; i++) {
        failalloc_at(i);
        rc = attempt(arg);
        failalloc_at(0);
        if (rc != -ENOMEM)
            fail_msg("allocation %u of %u failing: got %d, want -ENOMEM", i, n, rc);
    }
}

unsigned failalloc_dial(int (*dial)(const void *to), const void *to)
{
    static const struct timeval patience = { .tv_sec = 5 };
    int fds[FAILALLOC_DIALS];
    unsigned closed = 0;
    char byte;

    failalloc_all(true);
    for (unsigned i = 0; i < FAILALLOC_DIALS; i++)
        fds[i] = dial(to);
    for (unsigned i = 0; i < FAILALLOC_DIALS; i++) {
        if (setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0)
            closed += recv(fds[i], &byte, 1, 0) == 0;
        close(fds[i]);
    }
    failalloc_all(false);
    return closed;
}
