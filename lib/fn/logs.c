#include "logs.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"

static size_t cost(const struct piece *p)
{
    return sizeof(*p) + p->n;
}

static void drop_first(struct log *log)
{
    struct piece *p = log->first;

    log->bytes -= cost(p);
    log->first = p->next;
    if (!log->first)
        log->last = NULL;
    free(p);
}

void vh__log_fini(struct log *log)
{
    while (log->first)
        drop_first(log);
}

void vh__log_add(struct log *log, uint64_t instance, const char *vm, vh_stream stream, const void *bytes, size_t n)
{
    struct piece *p = malloc(sizeof(*p) + n);

    if (!p)
        return;
    *p = (struct piece){ .sequence = ++log->sequence, .instance = instance, .time_ns = vh__clock_real_ns(),
                         .stream = stream, .n = n };
    memcpy(p->vm, vm, strnlen(vm, sizeof(p->vm) - 1));
    memcpy(p->bytes, bytes, n);
    *(log->last ? &log->last->next : &log->first) = p;
    log->last = p;
    log->bytes += cost(p);
    while (log->bytes > VH_LOG_KEPT && log->first != p)
        drop_first(log);
}

void vh__log_name(struct log *log, uint64_t instance, const char *vm)
{
    for (struct piece *p = log->first; p; p = p->next)
        if (p->instance == instance)
            memcpy(p->vm, vm, strnlen(vm, sizeof(p->vm) - 1));
}

/* The offset behind the |*lines|th newline of |p|, which are counted off; |p->n| if it has not as many. */
static size_t skip_lines(const struct piece *p, uint64_t *lines)
{
    size_t at = 0;

    while (*lines && at < p->n)
        *lines -= p->bytes[at++] == '\n';
    return at;
}

static uint64_t count_lines(const struct log *log)
{
    const uint64_t none = UINT64_MAX;
    uint64_t left = none;

    for (const struct piece *p = log->first; p; p = p->next)
        (void)skip_lines(p, &left); /* never as far as that: all are counted */
    return none - left + (log->last && log->last->n && log->last->bytes[log->last->n - 1] != '\n');
}

uint64_t vh__log_tail(const struct log *log, uint32_t lines, size_t *skip)
{
    uint64_t all = count_lines(log), over = all > lines ? all - lines : 0;
    const struct piece *p = log->first;

    *skip = 0;
    if (lines == 0)
        return log->sequence;
    while (p && over && (*skip = skip_lines(p, &over)) == p->n) {
        *skip = 0;
        p = p->next;
    }
    return p ? p->sequence - 1 : log->sequence;
}

static struct piece *copy(const struct piece *p)
{
    struct piece *c = malloc(cost(p));

    if (c)
        memcpy(c, p, cost(p));
    return c;
}

struct piece *vh__log_take(const struct log *log, uint64_t *since, size_t max)
{
    struct piece *taken = NULL, **end = &taken;
    size_t n = 0;

    for (const struct piece *p = log->first; p && n < max; p = p->next) {
        if (p->sequence <= *since)
            continue;
        *end = copy(p);
        if (!*end)
            break;
        (*end)->next = NULL;
        end = &(*end)->next;
        *since = p->sequence;
        n += p->n;
    }
    return taken;
}

void vh__log_free(struct piece *pieces)
{
    while (pieces) {
        struct piece *next = pieces->next;

        free(pieces);
        pieces = next;
    }
}
