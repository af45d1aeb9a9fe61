/* vhive-ctl's commands, one file per group. */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <vhive/snapshot.h>

#include "cli.h"

extern const cli_command ctl_cmd_deploy, ctl_cmd_update, ctl_cmd_invoke, ctl_cmd_ls, ctl_cmd_inspect, ctl_cmd_stats,
    ctl_cmd_scale, ctl_cmd_rm, ctl_cmd_logs, ctl_cmd_events;
extern const cli_command ctl_cmd_run, ctl_cmd_exec, ctl_cmd_doctor;
extern const cli_command ctl_cmd_vm_ls, ctl_cmd_vm_inspect, ctl_cmd_vm_pause, ctl_cmd_vm_resume, ctl_cmd_vm_snapshot,
    ctl_cmd_vm_kill;
extern const cli_command ctl_cmd_snapshot_create, ctl_cmd_snapshot_ls, ctl_cmd_snapshot_inspect,
    ctl_cmd_snapshot_verify, ctl_cmd_snapshot_rm, ctl_cmd_snapshot_prune;
extern const cli_command ctl_cmd_image_pull, ctl_cmd_image_ls, ctl_cmd_image_inspect, ctl_cmd_image_rm, ctl_cmd_image_prune;
/** Opens the catalogue, which nobody makes by looking at it, lets |use| work with it, and closes it. */
int ctl_with_snapshots(cli *c, int (*use)(cli *c, vh_snapshots *snapshots, void *arg, vh_error *err), void *arg,
                       vh_error *err);
/** Completes ids of VMs that run. */
int ctl_complete_vm(cli *c, cli_candidates *to, vh_error *err);
/** Completes references of stored images; files as well behind "oci:" and "docker-archive:". */
int ctl_complete_image(cli *c, cli_candidates *to, vh_error *err);

extern const cli_command ctl_cmd_config_dump, ctl_cmd_config_validate;

#endif
