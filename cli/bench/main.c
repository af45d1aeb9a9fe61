/* vhive-bench: the table of its commands. */
#include "bench.h"

static const cli_option options[] = {
    CLI_GLOBAL_OPTIONS,
    { "quiet", 'q', CLI_FLAG, .help = "no progress, no informational records" },
    { .name = NULL },
};

static const cli_command *const commands[] = {
    &bench_cmd_cold_start,
    &bench_cmd_clones,
    &bench_cmd_micro,
    &cli_cmd_version,
    &cli_cmd_help,
    NULL,
};

static const cli_program program = {
    .name = "vhive-bench",
    .summary = "what a cold start takes, where the time goes, and what the machine can do",
    .commands = commands,
    .options = options,
    .examples = "  vhive-bench cold-start --image oci:build/functions/hello\n",
};

int main(int argc, char **argv)
{
    return cli_main(&program, argc, argv);
}
