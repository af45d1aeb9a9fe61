#include "pool.h"

#include <time.h>

#include "auto.h"
#include "thread.h"

/* A thread without a job ends after so long. */
#define IDLE_S 5

/* Until |until|, but for the last thread, which stays. */
static int sleep_until(struct pool *pool, const struct timespec *until)
{
    if (pool->threads == 1)
        return pthread_cond_wait(&pool->change, &pool->mutex);
    return pthread_cond_timedwait(&pool->change, &pool->mutex, until);
}

static bool wait_for_job(struct pool *pool)
{
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_S;
    pool->idle++;
    /* with its time over one may find that it is the last by now */
    while (!pool->first && !pool->ending && (rc == 0 || pool->threads == 1))
        rc = sleep_until(pool, &until);
    pool->idle--;
    return pool->first != NULL;
}

static struct job *take(struct pool *pool)
{
    struct job *job = pool->first;

    pool->first = job->next;
    if (!pool->first)
        pool->end = &pool->first;
    pool->queued--;
    return job;
}

static void *work(void *arg)
{
    struct pool *pool = arg;

    pthread_mutex_lock(&pool->mutex);
    while (wait_for_job(pool)) {
        struct job *job = take(pool);

        pthread_mutex_unlock(&pool->mutex);
        job->run(job);
        pthread_mutex_lock(&pool->mutex);
    }
    pool->threads--;
    pthread_cond_broadcast(&pool->change);
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

/* With the lock, so that it is counted before it ends. */
static int start_thread(struct pool *pool, vh_error *err)
{
    pthread_t thread;
    int rc = vh__thread_start(&thread, "vh-pool", work, pool, err);

    if (rc)
        return rc;
    (void)pthread_detach(thread); /* fails only for a thread that is none */
    pool->threads++;
    return 0;
}

static void init_locks(struct pool *pool)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&pool->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->change, &attr);
    pthread_condattr_destroy(&attr);
}

int vh__pool_init(struct pool *pool, uint32_t max, vh_error *err)
{
    int rc;

    *pool = (struct pool){ .max = max };
    pool->end = &pool->first;
    init_locks(pool);
    pthread_mutex_lock(&pool->mutex);
    rc = start_thread(pool, err);
    pthread_mutex_unlock(&pool->mutex);
    return rc;
}

void vh__pool_put(struct pool *pool, struct job *job)
{
    pthread_mutex_lock(&pool->mutex);
    job->next = NULL;
    *pool->end = job;
    pool->end = &job->next;
    if (++pool->queued > pool->idle && pool->threads < pool->max)
        vh_ignore(start_thread(pool, NULL)); /* without it, the job waits for one of those there are */
    pthread_cond_signal(&pool->change);
    pthread_mutex_unlock(&pool->mutex);
}

/* Detached threads are waited for by their count, which falls as the last thing they do to |pool| under its lock. */
void vh__pool_fini(struct pool *pool)
{
    if (!pool->end)
        return;
    pthread_mutex_lock(&pool->mutex);
    pool->ending = true;
    pthread_cond_broadcast(&pool->change);
    while (pool->threads)
        pthread_cond_wait(&pool->change, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
    pthread_cond_destroy(&pool->change);
    pthread_mutex_destroy(&pool->mutex);
}
