/* SIGHUP. Most settings are what objects were made from; they take a restart. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "clock.h"
#include "vhived.h"

/* The settings as a start would find them now. */
static int read_anew(vhived *d, vh_config *config, vh_error *err)
{
    const cli_parser *was = &d->cli->args;
    cli_parser p = { .argc = was->argc, .argv = was->argv, .at = 1, .tables = { was->tables[0] }, .config = config };
    int rc = cli_parser_init(&p, err);

    if (rc == 0)
        rc = cli_parser_run(&p, false, err);
    if (rc == 0)
        rc = vh_config_load_file(config, cli_parser_value(&p, "config"), err);
    if (rc == 0)
        rc = vh_config_load_env(config, NULL, err);
    cli_parser_fini(&p);
    return rc;
}

static void take_over(vhived *d, const vh_config *config)
{
    cli_console *console = &d->cli->console;
    const vh_config_key *key;

    vh_env_set_log_level(d->env, cli_log_level_of(config));
    if (d->host)
        vh_env_set_log_level(vh_host_env(d->host), cli_log_level_of(config));
    cli_console_hold(console);
    console->format = cli_log_format_of(config);
    cli_console_release(console);
    vh__log(d->env, VH_LOG_INFO, "vhived", NULL, "settings were read anew: log.level is %s, log.format %s",
            vh_config_str(config, "log.level"), vh_config_str(config, "log.format"));
    for (size_t i = 0; (key = vh_config_key_at(i)) != NULL; i++)
        if (strncmp(key->name, "log.", 4) != 0 &&
            strcmp(vh_config_str(config, key->name), vh_config_str(d->cli->config, key->name)) != 0)
            vh__log(d->env, VH_LOG_WARN, "vhived", NULL, "%s was changed to '%s': takes a restart", key->name,
                    vh_config_str(config, key->name));
}

void vhived_reload(vhived *d)
{
    vh_config *config = NULL;
    vh_error err = { 0 };
    char text[64];
    int rc;

    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRId64, vh__clock_mono_ns() / 1000);
    vhived_notify_send(&d->notify, text);
    rc = vh_config_new(&config, &err);
    if (rc == 0)
        rc = read_anew(d, config, &err);
    if (rc == 0)
        take_over(d, config);
    else
        vh__log(d->env, VH_LOG_ERROR, "vhived", NULL, "the settings stay as they were: %s", err.msg);
    vh_config_free(config);
    vhived_notify_send(&d->notify, "READY=1");
}
