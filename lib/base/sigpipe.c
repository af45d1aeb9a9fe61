#include "sigpipe.h"

#include <pthread.h>
#include <time.h>

#include "auto.h"

/* None of these calls can fail with the arguments they have here. */
static void only_pipe(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGPIPE);
}

void vh__sigpipe_block(sigset_t *before)
{
    sigset_t pipe;

    only_pipe(&pipe);
    (void)pthread_sigmask(SIG_BLOCK, &pipe, before);
}

void vh__sigpipe_restore(const sigset_t *before)
{
    const struct timespec now = { 0 };
    sigset_t pipe;

    only_pipe(&pipe);
    if (!sigismember(before, SIGPIPE))
        vh_ignore(sigtimedwait(&pipe, NULL, &now) < 0); /* EAGAIN: none came */
    (void)pthread_sigmask(SIG_SETMASK, before, NULL);
}
