#include "thread.h"

#include <signal.h>

#include "auto.h"

/* None of these calls can fail with the arguments they have here. */
static void all_but_faults(sigset_t *set)
{
    static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS };

    (void)sigfillset(set);
    for (size_t i = 0; i < VH_ARRAY_LEN(faults); i++)
        (void)sigdelset(set, faults[i]);
}

int vh__thread_start(pthread_t *thread, const char *name, void *(*main)(void *), void *arg, vh_error *err)
{
    sigset_t blocked, before;
    int rc;

    all_but_faults(&blocked);
    (void)pthread_sigmask(SIG_SETMASK, &blocked, &before); /* inherited by the new thread */
    rc = pthread_create(thread, NULL, main, arg);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc)
        return vh_error_set(err, -rc, "start the thread %s (its limits: ulimit -u, TasksMax=)", name);
    (void)pthread_setname_np(*thread, name); /* only for people who look */
    return 0;
}
