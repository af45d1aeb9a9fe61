/*
 * An allocator that fails on demand, for the sweep: run the constructor once to count its allocations, then once for
 * each of them with just that one failing; every run must end in an error, leak nothing and leave outputs untouched.
 * Linked by --wrap, so the code under test knows nothing of it.
 */
#ifndef VH_TESTS_FAILALLOC_H
#define VH_TESTS_FAILALLOC_H

#include <stdbool.h>

#define FAILALLOC_DIALS 8u

/** Makes the |nth| allocation from now fail (1 = the next one); 0: none does. Also starts the count anew. */
void failalloc_at(unsigned nth);
/** Makes all allocations fail, of whatever thread, until it is told that they do not. */
void failalloc_all(bool fail);
/** Allocations since the last failalloc_at(). */
unsigned failalloc_count(void);

/**
 * Sweeps |attempt|, which builds an object, destroys it when it was built, and returns the code of the constructor.
 * Fails the running cmocka test unless the undisturbed run succeeds and every disturbed one returns -ENOMEM.
 */
void failalloc_sweep(int (*attempt)(void *arg), void *arg);

/**
 * Connects FAILALLOC_DIALS times to a server by |dial|, whose allocations all fail meanwhile. How many of the connections
 * it closed; a server that left them where they are is deaf from then on.
 */
unsigned failalloc_dial(int (*dial)(const void *to), const void *to);

#endif
