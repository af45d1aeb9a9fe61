/* vhive-ctl exec: a process in an instance of a function, or in a VM of this or of another terminal. */
#include "ctl.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vhive/exec.h>

#include "daemon.h"
#include "interrupt.h"
#include "run_options.h"
#include "terminal.h"

static const cli_option options[] = {
    { "interactive", 'i', CLI_FLAG, .help = "pass standard input on; without it the process reads nothing" },
    { "tty", 't', CLI_FLAG, .help = "give the process a terminal" },
    { "env", 'e', CLI_ENV, "NAME=VALUE", .help = "add to the function's environment; may be repeated" },
    { "cwd", 'w', CLI_TEXT, "DIR", .help = "working directory (default: the function's)" },
    { "user", 'u', CLI_TEXT, "USER", .help = "name, uid, name:group or uid:gid (default: the function's)" },
    { .name = NULL },
};

/* One exec. Freed by exec_fini() however far it came. */
struct exec {
    cli *c;
    bool raw; /* the user's terminal is the process's */
    const char **env, **argv;
    char term[128];
    vh_client *client;      /* NULL: without the daemon */
    vh_env *lib;
    vh_exec *exec;          /* one of the two */
    vh_client_exec *remote;
};

static void exec_fini(struct exec *x)
{
    ctl_terminal_unfollow();
    ctl_terminal_restore();
    vh_exec_free(x->exec);
    vh_client_exec_free(x->remote);
    vh_client_free(x->client);
    vh_env_free(x->lib);
    free(x->env);
    free(x->argv);
}

/* "exec [VM] -- COMMAND [ARGUMENT...]": which operands are what. */
static int take_operands(struct exec *x, const char **vm, vh_error *err)
{
    const cli_parser *p = &x->c->args;
    size_t n = p->before_dashes;

    if (!p->operands_only || n == p->noperands)
        return vh_error_set(err, VH_EINVALID, "exec: the command is missing; put it behind --, as in "
                            "vhive-ctl exec%s%.64s -- ls -l", p->noperands ? " " : "",
                            p->noperands ? p->operands[0] : "");
    if (n > 1)
        return vh_error_set(err, VH_EINVALID, "exec: '%.64s' is too much before --; only a function or a VM may stand there",
                            p->operands[1]);
    *vm = n ? p->operands[0] : NULL;
    x->argv = calloc(p->noperands - n + 1, sizeof(*x->argv));
    if (!x->argv)
        return vh_error_set(err, -ENOMEM, "command");
    memcpy(x->argv, p->operands + n, (p->noperands - n) * sizeof(*x->argv));
    return 0;
}

/* What was given; and TERM, which a terminal needs and the function's environment seldom has. */
static int take_env(struct exec *x, bool tty, vh_error *err)
{
    const char *term = tty ? getenv("TERM") : NULL;

    if (term)
        snprintf(x->term, sizeof(x->term), "TERM=%s", term);
    x->env = cli_env_list(x->c, "env", term ? x->term : NULL, err);
    return x->env ? 0 : -ENOMEM;
}

static int prepare(struct exec *x, vh_exec_options *o, const char **vm, vh_error *err)
{
    const cli_parser *p = &x->c->args;
    int rc = take_operands(x, vm, err);

    o->tty = cli_parser_value(p, "tty") != NULL;
    if (rc == 0)
        rc = take_env(x, o->tty, err);
    if (rc)
        return rc;
    o->argv = x->argv;
    o->env = x->env;
    o->cwd = cli_parser_value(p, "cwd");
    o->user = cli_parser_value(p, "user");
    o->stdin_fd = cli_parser_value(p, "interactive") ? STDIN_FILENO : -1;
    o->stdout_fd = STDOUT_FILENO;
    o->stderr_fd = STDERR_FILENO;
    x->raw = o->tty && o->stdin_fd >= 0 && isatty(STDIN_FILENO);
    if (x->raw)
        (void)ctl_terminal_size(&o->rows, &o->cols); /* it is one */
    return cli_env_new(x->c, &x->lib, err);
}

static bool found(const vh_function_info *info, void *arg)
{
    (void)info;
    *(bool *)arg = true;
    return false;
}

/* Whether |name| is a function of the daemon, through which alone it can be reached. */
static int is_function(struct exec *x, const char *name, bool *is, vh_error *err)
{
    vh_call call = cli_call(x->c);
    int rc;

    *is = false;
    rc = ctl_daemon_find(x->c, &x->client, err);
    if (rc || !x->client || !name)
        return rc;
    rc = vh_client_functions(x->client, name, &call, found, is, err);
    return rc == VH_ENOTFOUND || rc == VH_EINVALID ? 0 : rc; /* or the id of a VM, which is no name of a function */
}

/* A VM is reached without the daemon by those who may. */
static int start(struct exec *x, const char *what, const vh_exec_options *o, vh_error *err)
{
    vh_call call = ctl_call(x->c);
    bool function;
    int rc = is_function(x, what, &function, err);

    if (rc)
        return rc;
    if (x->client && (function || geteuid() != 0))
        return vh_client_exec_start(x->client, function ? what : NULL, function ? NULL : what, o, &call, &x->remote,
                                    err);
    return vh_exec_start(x->lib, what, o, &call, &x->exec, err);
}

static int wait_once(struct exec *x, const vh_call *call, vh_exec_result *result, vh_error *err)
{
    return x->remote ? vh_client_exec_wait(x->remote, call, result, err) : vh_exec_wait(x->exec, call, result, err);
}

static int pass_signal(struct exec *x, int number, vh_error *err)
{
    return x->remote ? vh_client_exec_signal(x->remote, number, err) : vh_exec_signal(x->exec, number, err);
}

/* A size that cannot be passed on is followed by another one, and there is no one to tell. */
static void pass_size(uint16_t rows, uint16_t cols, void *arg)
{
    struct exec *x = arg;

    if (x->remote)
        (void)vh_client_exec_resize(x->remote, rows, cols, NULL);
    else
        (void)vh_exec_resize(x->exec, rows, cols, NULL);
}

/* A signal to us is one to the process; a second one ends us, and so the process. */
static int wait(struct exec *x, vh_exec_result *result, vh_error *err)
{
    vh_call call = cli_call(x->c);
    int rc = wait_once(x, &call, result, err);

    if (rc != VH_ECANCELED || !cli_interrupt_received())
        return rc;
    rc = pass_signal(x, cli_interrupt_received(), err);
    return rc ? rc : wait_once(x, NULL, result, err);
}

static int run(struct exec *x, vh_error *err)
{
    vh_exec_options o = VH_EXEC_OPTIONS_INIT;
    vh_exec_result result = VH_EXEC_RESULT_INIT;
    const char *what = NULL;
    int rc = prepare(x, &o, &what, err);

    if (rc == 0)
        rc = start(x, what, &o, err);
    if (rc == 0 && x->raw)
        rc = ctl_terminal_raw(err);
    if (rc == 0 && x->raw)
        rc = ctl_terminal_follow(pass_size, x, err);
    if (rc == 0)
        rc = wait(x, &result, err);
    ctl_terminal_restore(); /* before anything is said */
    if (rc == 0 && *result.reason)
        cli_tell(x->c, "exec", result.reason);
    if (rc == -EPIPE)
        return 128 + SIGPIPE; /* the reader of its output wanted no more */
    return rc ? rc : result.code;
}

static int exec_run(cli *c, vh_error *err)
{
    struct exec x = { .c = c };
    int rc = run(&x, err);

    exec_fini(&x);
    return rc;
}

static int complete_target(cli *c, cli_candidates *to, vh_error *err)
{
    (void)ctl_complete_function(c, to, NULL); /* without a daemon there are none */
    return ctl_complete_vm(c, to, err);
}

const cli_command ctl_cmd_exec = {
    .name = "exec",
    .summary = "Run a process in an instance of a function, or in a VM that runs",
    .operands = "[NAME|VM] -- COMMAND [ARGUMENT...]",
    .min = 0,
    .max = SIZE_MAX,
    .options = options,
    .details =
        "NAME is a function of vhived, which starts an instance if there is none. VM is an id or the beginning of one; it\n"
        "may be left out when one VM runs. The process runs beside the function: same files, same network, and the\n"
        "function's user, environment and folder unless told otherwise.\n"
        "Its exit code is passed on: 127 when there is no such command, 126 when it cannot be executed, 128 + N when\n"
        "signal N killed it. SIGINT and SIGTERM are passed to it; a second one ends vhive-ctl, and it too.\n",
    .examples = "  vhive-ctl exec hello -- cat /proc/uptime\n"
                "  vhive-ctl exec -- cat /run/vhive/generation\n"
                "  vhive-ctl exec -it --user root vm-1f -- sh\n"
                "  tar c data | vhive-ctl exec -i 1f -- tar x -C /tmp\n",
    .text = true,
    .run = exec_run,
    .complete = complete_target,
};
