#include "console.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "encode.h"

/* How often a progress line is renewed. */
#define IN_PLACE_NS 50000000LL
#define PLAIN_NS    2000000000LL

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

cli_terminal cli_terminal_of(FILE *f)
{
    cli_terminal t = { .tty = isatty(fileno(f)), .columns = 80, .term = getenv("TERM"), .ci = getenv("CI"),
                       .no_color = getenv("NO_COLOR") };
    struct winsize w;

    if (t.tty && ioctl(fileno(f), TIOCGWINSZ, &w) == 0 && w.ws_col >= 20)
        t.columns = w.ws_col;
    return t;
}

void cli_console_init(cli_console *c, FILE *err, const cli_terminal *t)
{
    bool dumb = !t->term || !*t->term || strcmp(t->term, "dumb") == 0;

    *c = (cli_console){ .err = err, .columns = t->columns };
    c->in_place = t->tty && !dumb && !(t->ci && *t->ci);
    c->color = c->in_place && !(t->no_color && *t->no_color);
    pthread_mutex_init(&c->lock, NULL);
}

/* With the lock held: takes the progress line away. */
static void erase(cli_console *c)
{
    if (c->line_shown)
        fputs("\r\033[K", c->err);
    c->line_shown = false;
}

void cli_console_fini(cli_console *c)
{
    erase(c);
    fflush(c->err);
    pthread_mutex_destroy(&c->lock);
}

void cli_console_hold(cli_console *c)
{
    pthread_mutex_lock(&c->lock);
    erase(c);
    fflush(c->err);
}

void cli_console_release(cli_console *c)
{
    pthread_mutex_unlock(&c->lock);
}

void cli_console_log(const vh_log_record *record, void *arg)
{
    cli_console *c = arg;

    cli_console_hold(c);
    cli_put_record(c->err, record, c->format);
    fflush(c->err);
    cli_console_release(c);
}

/* With the lock held: whether |p| is news that should be shown at |now|. */
static bool due(cli_console *c, const vh_progress *p, int64_t now)
{
    if (strncmp(c->what, p->what, sizeof(c->what) - 1) != 0) {
        snprintf(c->what, sizeof(c->what), "%s", p->what);
        c->began_ns = now;
        return true;
    }
    return now - c->shown_ns >= (c->in_place ? IN_PLACE_NS : PLAIN_NS);
}

void cli_console_progress(const vh_progress *progress, void *arg)
{
    cli_console *c = arg;
    int64_t now = now_ns();

    pthread_mutex_lock(&c->lock);
    if (due(c, progress, now)) {
        c->shown_ns = now;
        erase(c);
        cli_put_progress(c->err, progress, now - c->began_ns, c->in_place ? c->columns - 1 : 1000, c->color);
        if (c->in_place)
            c->line_shown = true;
        else
            fputc('\n', c->err);
        fflush(c->err);
    }
    pthread_mutex_unlock(&c->lock);
}
