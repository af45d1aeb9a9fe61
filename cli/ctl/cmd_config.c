/* vhive-ctl config: the settings in force. */
#include "ctl.h"

#include <stdlib.h>

static int run_dump(cli *c, vh_error *err)
{
    char *text = NULL;
    int rc = vh_config_dump(c->config, &text, err);

    if (rc)
        return rc;
    fputs(text, stdout);
    free(text);
    return CLI_EXIT_OK;
}

/* The file has been read when a command starts: reaching this point means that it is valid. */
static int run_validate(cli *c, vh_error *err)
{
    const char *file = cli_parser_value(&c->args, "config");

    (void)err;
    printf("%s: valid\n", file ? file : VH_CONFIG_FILE);
    return CLI_EXIT_OK;
}

const cli_command ctl_cmd_config_dump = {
    .name = "config dump",
    .summary = "Print all settings as YAML, each with where it is from",
    .operands = "",
    .examples = "  vhive-ctl config dump > vhive.yaml\n",
    .run = run_dump,
};

const cli_command ctl_cmd_config_validate = {
    .name = "config validate",
    .summary = "Read the configuration file and say whether it is valid",
    .operands = "",
    .examples = "  vhive-ctl config validate --config vhive.yaml\n",
    .run = run_validate,
};
