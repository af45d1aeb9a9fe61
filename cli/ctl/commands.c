/* The table of commands and the way into it. */
#include "ctl.h"

#include <string.h>

static const ctl_command *const commands[] = {
    &ctl_cmd_run,
    &ctl_cmd_snapshot_create,
    &ctl_cmd_snapshot_ls,
    &ctl_cmd_snapshot_inspect,
    &ctl_cmd_snapshot_verify,
    &ctl_cmd_snapshot_rm,
    &ctl_cmd_image_ls,
    &ctl_cmd_image_inspect,
    &ctl_cmd_image_rm,
    &ctl_cmd_config_dump,
    &ctl_cmd_config_validate,
    &ctl_cmd_version,
    &ctl_cmd_help,
};

const ctl_command *ctl_command_at(size_t i)
{
    return i < sizeof(commands) / sizeof(commands[0]) ? commands[i] : NULL;
}

const ctl_command *ctl_command_find(const char *name)
{
    const ctl_command *c;

    for (size_t i = 0; (c = ctl_command_at(i)) != NULL; i++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

bool ctl_command_is_group(const char *name)
{
    const ctl_command *c;
    size_t n = strlen(name);

    for (size_t i = 0; n && (c = ctl_command_at(i)) != NULL; i++)
        if (strncmp(c->name, name, n) == 0 && c->name[n] == ' ')
            return true;
    return false;
}

int ctl_command_unknown(const char *name, vh_error *err)
{
    unsigned least = ctl_nearby(name);
    const char *best = NULL;
    const ctl_command *c;

    for (size_t i = 0; (c = ctl_command_at(i)) != NULL; i++)
        best = ctl_nearer(name, best, c->name, &least);
    if (best)
        return vh_error_set(err, VH_EINVALID, "unknown command '%.64s'; did you mean '%s'?", name, best);
    return vh_error_set(err, VH_EINVALID, "unknown command '%.64s'; 'vhive-ctl --help' lists the known ones", name);
}
