/*
 * bell: how a thread waits for something that happens under a lock, within bounds that can be cancelled, which a
 * condition variable cannot. Who changes something rings; who waits looks again.
 */
#ifndef VH_FN_BELL_H
#define VH_FN_BELL_H

#include <pthread.h>
#include <stdbool.h>
#include <vhive/error.h>

#include "wait.h"

struct bell {
    int fd; /* eventfd; -1: nobody waits */
    struct bell *next;
};

#define BELL_INIT { .fd = -1 }

void vh__bell_ring(struct bell *bell);
void vh__bells_ring(struct bell *bells);
/**
 * Waits until |done|(|arg|), which is asked with |mutex| held, as it is on entry and on return; given up in between.
 * Without a descriptor to spare it looks from time to time.
 * |bells| is the list it is in meanwhile (under |mutex|), NULL: whoever changes something knows |bell|.
 */
VH_MUST_CHECK int vh__bell_wait(struct bell *bell, struct bell **bells, pthread_mutex_t *mutex, const vh__wait *w,
                                bool (*done)(void *arg), void *arg, const char *what, vh_error *err);

#endif
