/* vhive-ctl's commands, one file per group. */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include "cli.h"

extern const cli_command ctl_cmd_run;
extern const cli_command ctl_cmd_snapshot_create, ctl_cmd_snapshot_ls, ctl_cmd_snapshot_inspect,
    ctl_cmd_snapshot_verify, ctl_cmd_snapshot_rm;
extern const cli_command ctl_cmd_image_ls, ctl_cmd_image_inspect, ctl_cmd_image_rm;
/** Completes references of stored images; files as well behind "oci:". */
int ctl_complete_image(cli *c, cli_candidates *to, vh_error *err);

extern const cli_command ctl_cmd_config_dump, ctl_cmd_config_validate;

#endif
