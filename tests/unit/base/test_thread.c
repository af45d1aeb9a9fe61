/* Threads of the library: what they take of the program's signals, and that the caller's own stay as they were. */
#include "testenv.h"

#include <signal.h>
#include <unistd.h>

#include "thread.h"

struct seen {
    sigset_t mask;
    pthread_t self;
};

static void *look(void *arg)
{
    struct seen *s = arg;

    pthread_sigmask(SIG_BLOCK, NULL, &s->mask);
    s->self = pthread_self();
    return arg;
}

static void *wait_on(void *arg)
{
    char byte;

    return read(*(int *)arg, &byte, 1) == 1 ? arg : NULL;
}

static void a_thread_takes_no_signal_but_its_own_faults(void **state)
{
    struct seen s = { .self = 0 };
    vh_error err = { 0 };
    pthread_t thread;
    void *result;

    (void)state;
    assert_ok(vh__thread_start(&thread, "vh-test", look, &s, &err), err);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, &s);
    assert_true(pthread_equal(thread, s.self));
    assert_true(sigismember(&s.mask, SIGPIPE));
    assert_true(sigismember(&s.mask, SIGTERM));
    assert_true(sigismember(&s.mask, SIGALRM));
    assert_true(sigismember(&s.mask, SIGRTMAX));
    assert_false(sigismember(&s.mask, SIGSEGV));
    assert_false(sigismember(&s.mask, SIGBUS));
}

static void the_callers_signals_stay_as_they_were(void **state)
{
    sigset_t usr1, was, now;
    struct seen s = { .self = 0 };
    vh_error err = { 0 };
    pthread_t thread;

    (void)state;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &usr1, &was);
    assert_ok(vh__thread_start(&thread, "vh-test", look, &s, &err), err);
    pthread_sigmask(SIG_SETMASK, &was, &now);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(sigismember(&now, SIGUSR1));
    assert_false(sigismember(&now, SIGUSR2));
    assert_false(sigismember(&now, SIGPIPE));
}

static void a_thread_has_its_name(void **state)
{
    char name[16] = "";
    vh_error err = { 0 };
    pthread_t thread;
    int pipe_fd[2];

    (void)state;
    assert_int_equal(pipe(pipe_fd), 0);
    assert_ok(vh__thread_start(&thread, "vh-test", wait_on, &pipe_fd[0], &err), err);
    assert_int_equal(pthread_getname_np(thread, name, sizeof(name)), 0);
    assert_string_equal(name, "vh-test");
    assert_int_equal(write(pipe_fd[1], "", 1), 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_takes_no_signal_but_its_own_faults),
        cmocka_unit_test(the_callers_signals_stay_as_they_were),
        cmocka_unit_test(a_thread_has_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
