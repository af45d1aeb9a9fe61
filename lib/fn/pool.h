/*
 * pool: threads for what blocks. One is started when there is a job and none idle, up to a number, and ends when it had
 * none for a while. One is always there, so that a job is taken even if the machine gives no thread.
 *
 * Threads: everything from any thread. The caller's lock is not needed.
 */
#ifndef VH_FN_POOL_H
#define VH_FN_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <vhive/error.h>

struct job {
    struct job *next;
    void (*run)(struct job *job); /* may put |job| in again, or free it */
};

struct pool {
    pthread_mutex_t mutex;
    pthread_cond_t change;
    struct job *first, **end;
    uint32_t threads, idle, queued, max;
    bool ending;
};

/** Starts the one thread. -errno of that. vh__pool_fini() is fine after an error, or on a zeroed |pool|. */
VH_MUST_CHECK int vh__pool_init(struct pool *pool, uint32_t max, vh_error *err);
/** Waits for the jobs and threads there are. No job may be put in any more. */
void vh__pool_fini(struct pool *pool);
/** Has |job| run; it is the pool's until then. */
void vh__pool_put(struct pool *pool, struct job *job);

#endif
