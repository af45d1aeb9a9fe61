#include "terminal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "interrupt.h"

/* A signal handler has no argument: what it needs cannot but lie in file scope. */
static struct termios before;
static volatile sig_atomic_t is_raw;

/* The thread that follows the size. */
static pthread_t follower;
static ctl_terminal_size_fn *told; /* NULL: there is no such thread */
static void *told_arg;
static atomic_bool enough;

bool ctl_terminal_size(uint16_t *rows, uint16_t *cols)
{
    struct winsize size;

    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0)
        return false;
    *rows = size.ws_row;
    *cols = size.ws_col;
    return true;
}

void ctl_terminal_restore(void)
{
    if (!is_raw)
        return;
    is_raw = 0;
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before); /* a terminal that is gone needs nothing */
}

/* Signals that would end us as they do by default. */
static void on_deadly_signal(int number)
{
    ctl_terminal_restore();
    (void)signal(number, SIG_DFL); /* cannot fail: it was installed */
    (void)raise(number);
}

int ctl_terminal_raw(vh_error *err)
{
    static const int deadly[] = { SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS };
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &before) < 0)
        return vh_error_set(err, -errno, "settings of the terminal");
    for (unsigned i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
        (void)signal(deadly[i], on_deadly_signal); /* cannot fail for these numbers */
    cli_interrupt_before_exit(ctl_terminal_restore);
    raw = before;
    cfmakeraw(&raw);
    is_raw = 1;
    return tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0 ? vh_error_set(err, -errno, "make the terminal raw") : 0;
}

static void *follow(void *arg)
{
    sigset_t set = *(sigset_t *)arg;
    uint16_t rows, cols;
    int number;

    while (sigwait(&set, &number) == 0 && !enough)
        if (ctl_terminal_size(&rows, &cols))
            told(rows, cols, told_arg);
    return NULL;
}

int ctl_terminal_follow(ctl_terminal_size_fn *tell, void *arg, vh_error *err)
{
    static sigset_t set;
    uint16_t rows, cols;
    int rc;

    sigemptyset(&set);
    sigaddset(&set, SIGWINCH);
    rc = -pthread_sigmask(SIG_BLOCK, &set, NULL);
    told = tell;
    told_arg = arg;
    if (rc == 0)
        rc = -pthread_create(&follower, NULL, follow, &set);
    if (rc) {
        told = NULL;
        return vh_error_set(err, rc, "thread for the terminal's size");
    }
    /* it may have changed before the signal was held */
    if (ctl_terminal_size(&rows, &cols))
        tell(rows, cols, arg);
    return 0;
}

void ctl_terminal_unfollow(void)
{
    if (!told)
        return;
    enough = true;
    (void)pthread_kill(follower, SIGWINCH); /* it has not been joined */
    (void)pthread_join(follower, NULL);
    told = NULL;
}
