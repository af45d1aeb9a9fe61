#include "interrupt.h"

#include <signal.h>
#include <unistd.h>

/* A handler has no argument: what it needs cannot but lie in file scope. */
static vh_cancel *cancel_token;
static volatile sig_atomic_t received;
static void (*volatile before_exit)(void);

static void on_signal(int number)
{
    if (received) {
        if (before_exit)
            before_exit();
        _exit(128 + number);
    }
    received = number;
    vh_cancel_trigger(cancel_token);
}

void cli_interrupt_install(vh_cancel *cancel)
{
    struct sigaction end = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    struct sigaction ignore = { .sa_handler = SIG_IGN };

    cancel_token = cancel;
    sigemptyset(&end.sa_mask);
    sigaddset(&end.sa_mask, SIGINT);
    sigaddset(&end.sa_mask, SIGTERM);
    (void)sigaction(SIGINT, &end, NULL); /* cannot fail for these numbers */
    (void)sigaction(SIGTERM, &end, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

void cli_interrupt_before_exit(void (*last)(void))
{
    before_exit = last;
}

int cli_interrupt_received(void)
{
    return received;
}
