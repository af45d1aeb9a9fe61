/* vhived: its command line. */
#include <malloc.h>

#include "vhived.h"

static const cli_option options[] = {
    CLI_GLOBAL_OPTIONS,
    { "control-sock", 0, CLI_SETTING, "PATH", .key = "daemon.control_sock" },
    { "http", 0, CLI_SETTING, "ADDRESS", .key = "daemon.http" },
    { "cri-sock", 0, CLI_SETTING, "PATH", .key = "cri.sock" },
    { "containerd-sock", 0, CLI_SETTING, "PATH", .key = "cri.containerd_sock" },
    { "sandbox", 0, CLI_SETTING, "MODE", .key = "cri.sandbox" },
    { .name = NULL },
};

static const cli_command serve = {
    .name = "",
    .summary = "Serve until SIGTERM",
    .operands = "",
    .details = "Serves functions and kubelet's runtime endpoint on this machine, in the foreground, until SIGTERM or SIGINT;\n"
               "a second one of them ends it at once. SIGHUP reads the settings anew and takes over those of the log.\n"
               "Log records go to stderr. Under systemd it tells when it is ready, feeds the watchdog, and takes the\n"
               "sockets \"control\", \"cri\" and \"http\" over.\n",
    .text = true,
    .run = vhived_run,
};

static const cli_command *const commands[] = {
    &cli_cmd_version,
    &cli_cmd_help,
    NULL,
};

static const cli_program program = {
    .name = "vhived",
    .summary = "functions as a service on one machine, and kubelet's runtime endpoint",
    .commands = commands,
    .bare = &serve,
    .options = options,
    .examples = "  vhived --cri-sock none\n"
                "  vhived --control-sock none --containerd-sock /run/containerd/containerd.sock\n"
                "  vhived --http 127.0.0.1:9464 --log-format json\n",
};

int main(int argc, char **argv)
{
    /* An arena for every thread would cost more memory than all else: threads here are many and allocate little. */
    (void)mallopt(M_ARENA_MAX, 2); /* fails for values below 1 */
    return cli_main(&program, argc, argv);
}
