#include "control_priv.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "thread.h"

/* Work under way, and how far it was last told to be. */
struct job {
    vh__control_call *call;
    vh__control_work *work;
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t news;
    bool fresh, done;
    char what[32], detail[256];
    uint64_t bytes, total;
    int rc;
    vh_error err;
};

/* On a thread of the work's; only the last word counts. */
static void note(const vh_progress *progress, void *arg)
{
    struct job *j = arg;

    pthread_mutex_lock(&j->lock);
    snprintf(j->what, sizeof(j->what), "%s", progress->what);
    snprintf(j->detail, sizeof(j->detail), "%s", progress->detail ? progress->detail : "");
    j->bytes = progress->done;
    j->total = progress->total;
    j->fresh = true;
    pthread_cond_signal(&j->news);
    pthread_mutex_unlock(&j->lock);
}

static void *run(void *arg)
{
    struct job *j = arg;
    vh_call bounds = j->call->bounds;

    bounds.progress = note;
    bounds.progress_arg = j;
    j->rc = j->work(j->call, &bounds, j->arg, &j->err);
    pthread_mutex_lock(&j->lock);
    j->done = true;
    pthread_cond_signal(&j->news);
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

/* Waits for news and copies them. False: the work is done. */
static bool next(struct job *j, struct job *seen)
{
    bool fresh;

    pthread_mutex_lock(&j->lock);
    while (!j->fresh && !j->done)
        pthread_cond_wait(&j->news, &j->lock);
    fresh = j->fresh;
    if (fresh) {
        memcpy(seen->what, j->what, sizeof(seen->what));
        memcpy(seen->detail, j->detail, sizeof(seen->detail));
        seen->bytes = j->bytes;
        seen->total = j->total;
    }
    j->fresh = false;
    pthread_mutex_unlock(&j->lock);
    return fresh;
}

/* Tells until the work is done. A caller that cannot be told any more is not, and cancels the work by its going. */
static int tell_all(struct job *j, vh__control_tell *tell, vh_error *err)
{
    struct job seen = { 0 };
    int rc = 0;

    while (next(j, &seen)) {
        VH_PB(Progress) m = VHIVE__CONTROL__V1__PROGRESS__INIT;

        m.what = seen.what;
        m.detail = seen.detail;
        m.done = seen.bytes;
        m.total = seen.total;
        if (rc == 0)
            rc = tell(j->call, &m, err);
    }
    return rc;
}

int vh__control_with_progress(vh__control_call *call, vh__control_work *work, void *arg, vh__control_tell *tell,
                              vh_error *err)
{
    struct job job = { .call = call, .work = work, .arg = arg, .lock = PTHREAD_MUTEX_INITIALIZER,
                       .news = PTHREAD_COND_INITIALIZER };
    pthread_t thread;
    int rc = vh__thread_start(&thread, "vh-work", run, &job, err);

    if (rc)
        return rc;
    rc = tell_all(&job, tell, err);
    (void)pthread_join(thread, NULL); /* it is one of ours and not joined yet */
    pthread_cond_destroy(&job.news);
    pthread_mutex_destroy(&job.lock);
    if (job.rc && err)
        *err = job.err;
    return job.rc ? job.rc : rc;
}
