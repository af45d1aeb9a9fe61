#include "run_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char **cli_env_list(const cli *c, const char *option, const char *first, vh_error *err)
{
    const char **list = calloc(c->args.nvalues + 2, sizeof(*list));
    size_t n = 0;

    if (!list) {
        (void)vh_error_set(err, -ENOMEM, "environment"); /* told by NULL */
        return NULL;
    }
    if (first)
        list[n++] = first;
    for (size_t i = 0; i < c->args.nvalues; i++)
        if (strcmp(c->args.values[i].option->name, option) == 0)
            list[n++] = c->args.values[i].text;
    return list;
}

int cli_run_options(const cli *c, vh_run_options *o, const char ***env, vh_error *err)
{
    const char **list = cli_env_list(c, "env", NULL, err);

    if (!list)
        return -ENOMEM;
    *o = (vh_run_options)VH_RUN_OPTIONS_INIT;
    o->image = c->args.operands[0];
    o->env = list;
    o->port = (uint16_t)cli_parser_uint(&c->args, "port", 0);
    o->label = cli_parser_value(&c->args, "snapshot");
    *env = list;
    return 0;
}
