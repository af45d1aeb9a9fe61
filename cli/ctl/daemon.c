#include "daemon.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "complete.h"

/** A daemon that is there says so at once; one that hangs must not hold up what works without it for long. */
#define ANSWER_MS 2000

int ctl_client(cli *c, vh_client **client, vh_error *err)
{
    const char *set = vh_config_str(c->config, "daemon.control_sock");
    char path[512];

    if (strcmp(set, "none") == 0)
        return vh_error_set(err, VH_ENODAEMON, "daemon.control_sock is 'none': there is no vhived to talk to");
    snprintf(path, sizeof(path), "%s/%s", vh_config_str(c->config, "run_dir"), VH_CLIENT_SOCKET);
    return vh_client_new(*set ? set : path, client, err);
}

/* Whether two paths are of one directory; of one that is not there yet, by its name. */
static bool is_same_dir(const char *a, const char *b)
{
    struct stat x, y;

    if (strcmp(a, b) == 0)
        return true;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int ctl_daemon_find(cli *c, vh_client **client, vh_error *err)
{
    vh_call call = { .size = sizeof(call), .timeout_ms = ANSWER_MS, .cancel = c->cancel };
    vh_daemon_info info = VH_DAEMON_INFO_INIT;
    vh_client *found = NULL;
    vh_error why = { 0 };
    int rc = VH_ENODAEMON;

    *client = NULL;
    if (!cli_parser_value(&c->args, "local"))
        rc = ctl_client(c, &found, &why);
    if (rc == 0)
        rc = vh_client_version(found, &call, &info, &why);
    if (rc == 0 && is_same_dir(info.state_dir, vh_config_str(c->config, "state_dir"))) {
        *client = found;
        return 0;
    }
    vh_client_free(found);
    if (rc == VH_ECANCELED) {
        *err = why;
        return rc;
    }
    if (rc && rc != VH_ENODAEMON && rc != -EACCES)
        cli_tell(c, "warning", why.msg); /* and on without it */
    return 0;
}

vh_call ctl_call(cli *c)
{
    vh_call call = cli_call(c);

    call.progress = c->quiet ? NULL : cli_console_progress;
    call.progress_arg = &c->console;
    return call;
}

int ctl_with_client(cli *c, int (*use)(cli *c, vh_client *client, void *arg, vh_error *err), void *arg, vh_error *err)
{
    vh_client *client = NULL;
    int rc = ctl_client(c, &client, err);

    if (rc == 0)
        rc = use(c, client, arg, err);
    vh_client_free(client);
    return rc;
}

static bool add_candidate(const vh_function_info *info, void *to)
{
    cli_candidate(to, info->spec.name, info->spec.image);
    return true;
}

static int complete(cli *c, vh_client *client, void *to, vh_error *err)
{
    vh_call call = { .size = sizeof(call), .timeout_ms = ANSWER_MS, .cancel = c->cancel };

    return vh_client_functions(client, NULL, &call, add_candidate, to, err);
}

int ctl_complete_function(cli *c, cli_candidates *to, vh_error *err)
{
    return ctl_with_client(c, complete, to, err);
}
