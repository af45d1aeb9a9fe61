/* vhive-ctl: the table of its commands. */
#include "ctl.h"

static const cli_option options[] = {
    CLI_GLOBAL_OPTIONS,
    CLI_OUTPUT_OPTIONS,
    { "socket", 0, CLI_SETTING, "PATH", .key = "daemon.control_sock" },
    { "local", 0, CLI_FLAG, .help = "work on the state directory itself, also when vhived answers" },
    { .name = NULL },
};

static const cli_command *const commands[] = {
    &ctl_cmd_deploy,
    &ctl_cmd_invoke,
    &ctl_cmd_ls,
    &ctl_cmd_inspect,
    &ctl_cmd_logs,
    &ctl_cmd_stats,
    &ctl_cmd_events,
    &ctl_cmd_scale,
    &ctl_cmd_update,
    &ctl_cmd_rm,
    &ctl_cmd_run,
    &ctl_cmd_exec,
    &ctl_cmd_vm_ls,
    &ctl_cmd_vm_inspect,
    &ctl_cmd_vm_pause,
    &ctl_cmd_vm_resume,
    &ctl_cmd_vm_snapshot,
    &ctl_cmd_vm_kill,
    &ctl_cmd_snapshot_create,
    &ctl_cmd_snapshot_ls,
    &ctl_cmd_snapshot_inspect,
    &ctl_cmd_snapshot_verify,
    &ctl_cmd_snapshot_rm,
    &ctl_cmd_snapshot_prune,
    &ctl_cmd_image_pull,
    &ctl_cmd_image_ls,
    &ctl_cmd_image_inspect,
    &ctl_cmd_image_rm,
    &ctl_cmd_image_prune,
    &ctl_cmd_doctor,
    &ctl_cmd_config_dump,
    &ctl_cmd_config_validate,
    &cli_cmd_version,
    &cli_cmd_help,
    NULL,
};

static const cli_program program = {
    .name = "vhive-ctl",
    .summary = "serverless functions in microVMs, from OCI images, with snapshots and REAP",
    .commands = commands,
    .options = options,
    .examples = "  vhive-ctl deploy hello oci:build/functions/hello && vhive-ctl invoke hello\n"
                "  vhive-ctl run oci:build/functions/hello\n"
                "  vhive-ctl run oci:build/functions/pyhello --engine reap --invoke http:/\n"
                "  vhive-ctl snapshot ls -o json\n",
};

int main(int argc, char **argv)
{
    return cli_main(&program, argc, argv);
}
