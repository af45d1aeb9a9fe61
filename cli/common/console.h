/*
 * The console: everything that goes to stderr while a command runs. Log records, progress and the function's output
 * come from several threads, and a progress line that is rewritten in place must step aside for the others: one lock
 * and one idea of what stands on the last line.
 *
 * On a terminal progress is one line, rewritten; elsewhere (a pipe, TERM=dumb, CI set) it is a plain line now and then.
 * NO_COLOR turns off what little emphasis there is.
 *
 * Threads: all functions but init and fini may be called from any thread.
 */
#ifndef CLI_CONSOLE_H
#define CLI_CONSOLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <vhive/env.h>

/** What is known of the terminal; texts are the environment variables of that name, NULL if unset. */
typedef struct cli_terminal {
    bool tty;
    unsigned columns;
    const char *term, *ci, *no_color;
} cli_terminal;

/** Looks at the stream |f| and the environment. */
cli_terminal cli_terminal_of(FILE *f);

typedef enum cli_log_format { CLI_LOG_TEXT = 0, CLI_LOG_JSON, CLI_LOG_LOGFMT } cli_log_format;

typedef struct cli_console {
    pthread_mutex_t lock;
    FILE *err;
    bool in_place, color;
    unsigned columns;
    cli_log_format format;
    bool line_shown;       /* a progress line stands on the last line of the terminal */
    char what[32];         /* what is under way */
    int64_t began_ns, shown_ns; /* since when, and when it was last shown */
} cli_console;

/** Sets up |c| to write to |err| (borrowed). */
void cli_console_init(cli_console *c, FILE *err, const cli_terminal *t);
/** Removes the progress line and releases |c|. */
void cli_console_fini(cli_console *c);

/** Sinks for vh_env_options; |arg| is a cli_console. */
void cli_console_log(const vh_log_record *record, void *arg);
void cli_console_progress(const vh_progress *progress, void *arg);

/** Removes the progress line and keeps others from writing until cli_console_release(). */
void cli_console_hold(cli_console *c);
void cli_console_release(cli_console *c);

/** Writes |record| as one line in |format|. */
void cli_put_record(FILE *out, const vh_log_record *record, cli_log_format format);
/** Writes |p| as one line without its end, at most |columns| wide; |ns| is how long it has been under way. */
void cli_put_progress(FILE *out, const vh_progress *p, int64_t ns, unsigned columns, bool color);

#endif
