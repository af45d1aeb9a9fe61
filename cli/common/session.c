/* From configuration to the objects of the library. */
#include "cli.h"

#include <string.h>

cli_log_format cli_log_format_of(const vh_config *config)
{
    const char *format = vh_config_str(config, "log.format");

    return strcmp(format, "json") == 0 ? CLI_LOG_JSON : strcmp(format, "logfmt") == 0 ? CLI_LOG_LOGFMT : CLI_LOG_TEXT;
}

vh_log_level cli_log_level_of(const vh_config *config)
{
    const char *name = vh_config_str(config, "log.level");
    int level = VH_LOG_ERROR;

    while (level < VH_LOG_DEBUG && strcmp(vh_log_level_name((vh_log_level)level), name) != 0)
        level++;
    return (vh_log_level)level;
}

void cli_env_options(cli *c, vh_env_options *o)
{
    const char *libexec = vh_config_str(c->config, "libexec_dir");

    *o = (vh_env_options)VH_ENV_OPTIONS_INIT;
    o->state_dir = vh_config_str(c->config, "state_dir");
    o->run_dir = vh_config_str(c->config, "run_dir");
    o->libexec_dir = *libexec ? libexec : NULL;
    o->log = cli_console_log;
    o->log_arg = &c->console;
    o->progress = c->quiet ? NULL : cli_console_progress;
    o->progress_arg = &c->console;
    o->log_level = cli_log_level_of(c->config);
    if (c->quiet && o->log_level > VH_LOG_WARN)
        o->log_level = VH_LOG_WARN;
}

int cli_env_new(cli *c, vh_env **env, vh_error *err)
{
    vh_env_options o;

    cli_env_options(c, &o);
    return vh_env_new(&o, env, err);
}

void cli_progress(cli *c, const char *what, const char *detail)
{
    if (!c->quiet)
        cli_console_progress(&(vh_progress){ .what = what, .detail = detail }, &c->console);
}

vh_call cli_call(const cli *c)
{
    vh_call call = VH_CALL_INIT;

    call.cancel = c->cancel;
    return call;
}

int cli_each_operand(cli *c, int (*each)(cli *c, const char *operand, void *object, vh_error *err), void *object,
                     vh_error *err)
{
    int failed = 0;

    for (size_t i = 0; i < c->args.noperands && failed != VH_ECANCELED; i++) {
        vh_error one = { 0 };
        int rc = vh_cancel_triggered(c->cancel)
                     ? vh_error_set(&one, VH_ECANCELED, "%s and what follows: cancelled", c->args.operands[i])
                     : each(c, c->args.operands[i], object, &one);

        if (rc == 0)
            continue;
        if (failed) /* |err| holds an earlier one that nobody else will tell */
            cli_print_error(c, err);
        *err = one;
        failed = rc;
    }
    return failed;
}
