/* vhive-ctl config: the settings in force. */
#include "ctl.h"

#include <stdlib.h>
#include <unistd.h>

static const cli_column columns[] = {
    { "KEY", "key", CLI_COLUMN_TEXT },
    { "VALUE", "value", CLI_COLUMN_TEXT },
    { "ORIGIN", "origin", CLI_COLUMN_TEXT },
};

static const cli_column valid_columns[] = {
    { "File", "file", CLI_COLUMN_TEXT },
    { "Valid", "valid", CLI_COLUMN_BOOL },
    { "Present", "present", CLI_COLUMN_BOOL },
};

static int dump_rows(cli *c, vh_error *err)
{
    cli_rows rows = { .columns = columns, .ncolumns = 3 };
    const vh_config_key *key;
    int rc;

    for (size_t i = 0; (key = vh_config_key_at(i)) != NULL; i++) {
        cli_rows_text(&rows, key->name);
        cli_rows_text(&rows, vh_config_str(c->config, key->name));
        cli_rows_text(&rows, vh_config_origin(c->config, key->name));
    }
    rc = cli_rows_print(&rows, stdout, c->format, err);
    cli_rows_fini(&rows);
    return rc;
}

/* Without --output a file that can be read back. */
static int run_dump(cli *c, vh_error *err)
{
    char *text = NULL;
    int rc;

    if (c->format == CLI_JSON)
        return dump_rows(c, err);
    rc = vh_config_dump(c->config, &text, err);

    if (rc)
        return rc;
    fputs(text, stdout);
    free(text);
    return CLI_EXIT_OK;
}

/* The file has been read when a command starts: reaching this point means that it is valid, or the default is not there. */
static int run_validate(cli *c, vh_error *err)
{
    const char *given = cli_parser_value(&c->args, "config"), *file = given ? given : VH_CONFIG_FILE;
    cli_rows rows = { .columns = valid_columns, .ncolumns = sizeof(valid_columns) / sizeof(valid_columns[0]) };
    bool present = access(file, F_OK) == 0;
    int rc = 0;

    cli_rows_text(&rows, file);
    cli_rows_number(&rows, true);
    cli_rows_number(&rows, present);
    if (c->format == CLI_JSON)
        rc = cli_rows_print_one(&rows, stdout, c->format, err);
    else if (!c->quiet)
        printf(present ? "%s: valid\n" : "%s: not there; defaults and VHIVE_ variables hold\n", file);
    cli_rows_fini(&rows);
    return rc;
}

const cli_command ctl_cmd_config_dump = {
    .name = "config dump",
    .summary = "Print all settings as YAML, each with where it is from",
    .operands = "",
    .details = "With -o json or yaml it is a list of objects with key, value and origin, all of them text.\n",
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
