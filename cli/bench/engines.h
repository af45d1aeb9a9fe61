/* What is compared: the ways in which a request finds an instance. */
#ifndef BENCH_ENGINES_H
#define BENCH_ENGINES_H

#include <stdbool.h>
#include <stddef.h>
#include <vhive/vm.h>

typedef struct bench_engine {
    const char *name;
    vh_engine how; /* the instance is started */
    bool shell;    /* a VMM waits for it */
    bool running;  /* the measured request is the second one, to an instance that runs already */
} bench_engine;

/** Most engines of one comparison. */
#define BENCH_ENGINES_MAX 16

typedef struct bench_engines {
    const bench_engine *v[BENCH_ENGINES_MAX];
    size_t n;
} bench_engines;

/** Names of all, as help and errors show them. */
#define BENCH_ENGINES "boot,file,uffd,reap,uffd-shell,reap-shell,warm"

/** Reads names separated by commas. VH_EINVALID: an unknown one, one that is there twice, or none. */
VH_MUST_CHECK int bench_engines_parse(const char *list, bench_engines *out, vh_error *err);

/**
 * Which of |n| engines is the |k|th to run in |round| (from 0). Over n rounds (2n if n is odd) each comes at each place
 * equally often, and each follows each other one equally often: what one leaves behind for the next is shared evenly
 * (a balanced Latin square after Williams).
 */
size_t bench_engines_turn(size_t n, size_t round, size_t k);

#endif
