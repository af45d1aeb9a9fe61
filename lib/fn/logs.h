/* logs: the last output of a function's instances. Threads: under the owner's lock. */
#ifndef VH_FN_LOGS_H
#define VH_FN_LOGS_H

#include <vhive/fn.h>

/* What is kept for a function, bookkeeping included. */
#define VH_LOG_KEPT (1 << 20)

struct piece {
    struct piece *next;
    uint64_t sequence; /* 1, 2, ... */
    uint64_t instance; /* who it is from */
    int64_t time_ns;
    char vm[24];
    vh_stream stream;
    size_t n;
    char bytes[];
};

struct log {
    struct piece *first, *last;
    uint64_t sequence; /* of the newest */
    size_t bytes;
};

void vh__log_fini(struct log *log);
/** Adds a copy, dropping the oldest for it; dropped itself when out of memory. |vm|: "" while it has no name. */
void vh__log_add(struct log *log, uint64_t instance, const char *vm, vh_stream stream, const void *bytes, size_t n);
/** Names what |instance| wrote before its VM had a name. */
void vh__log_name(struct log *log, uint64_t instance, const char *vm);
/** The sequence after which the last |lines| lines begin, |*skip| bytes into the piece that follows it. */
uint64_t vh__log_tail(const struct log *log, uint32_t lines, size_t *skip);
/**
 * Copies the pieces after |*since| until |max| bytes or more are copied, as a list of the caller's (vh__log_free()),
 * and moves |*since| on. NULL: none, or out of memory.
 */
struct piece *vh__log_take(const struct log *log, uint64_t *since, size_t max);
void vh__log_free(struct piece *pieces);

#endif
