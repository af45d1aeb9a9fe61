/* vhive-ctl config and version: what needs no VM. */
#include "ctl.h"

#include <stdlib.h>

static int run_dump(ctl *c, vh_error *err)
{
    char *text = NULL;
    int rc = vh_config_dump(c->config, &text, err);

    if (rc)
        return rc;
    fputs(text, stdout);
    free(text);
    return CTL_EXIT_OK;
}

/* The file has been read when a command starts: reaching this point means that it is valid. */
static int run_validate(ctl *c, vh_error *err)
{
    const char *file = ctl_parser_value(&c->args, "config");

    (void)err;
    printf("%s: valid\n", file ? file : VH_CONFIG_FILE);
    return CTL_EXIT_OK;
}

static int run_version(ctl *c, vh_error *err)
{
    const char *format = ctl_parser_value(&c->args, "output");

    (void)err;
    printf(format && format[0] == 'j' ? "{\"name\": \"vhive-ctl\", \"version\": \"%s\"}\n" : "vhive-ctl %s\n",
           VH_VERSION);
    return CTL_EXIT_OK;
}

const ctl_command ctl_cmd_config_dump = {
    .name = "config dump",
    .summary = "Print all settings as YAML, each with where it is from",
    .operands = "",
    .examples = "  vhive-ctl config dump > vhive.yaml\n",
    .run = run_dump,
};

const ctl_command ctl_cmd_config_validate = {
    .name = "config validate",
    .summary = "Read the configuration file and say whether it is valid",
    .operands = "",
    .examples = "  vhive-ctl config validate --config vhive.yaml\n",
    .run = run_validate,
};

const ctl_command ctl_cmd_version = {
    .name = "version",
    .summary = "Print the version",
    .operands = "",
    .examples = "  vhive-ctl version -o json\n",
    .plain = true,
    .run = run_version,
};
