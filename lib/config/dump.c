/* The configuration as YAML that can be read back. */
#include "config_priv.h"

#include <string.h>

#include "buf.h"

/* Words and paths in double quotes; the rest has no character that YAML would take for its own. */
static void put_value(vh__buf *out, const vh_config_key *key, const char *text)
{
    if (key->type != VH_CONFIG_STRING && key->type != VH_CONFIG_PATH) {
        vh__buf_puts(out, text);
        return;
    }
    vh__buf_puts(out, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            vh__buf_puts(out, "\\");
        vh__buf_append(out, text, 1);
    }
    vh__buf_puts(out, "\"");
}

/* Origins may hold any file name: only plain characters go into the comment. */
static void put_origin(vh__buf *out, const char *origin)
{
    vh__buf_puts(out, "  # ");
    for (; *origin; origin++)
        vh__buf_append(out, *origin >= ' ' && *origin < 0x7f ? origin : "?", 1);
    vh__buf_puts(out, "\n");
}

int vh_config_dump(const vh_config *config, char **text, vh_error *err)
{
    vh_auto_buf vh__buf out = { 0 };
    const char *section = "";
    size_t len = 0;
    int rc;

    for (size_t i = 0; i < VH_CONFIG_KEYS; i++) {
        const vh_config_key *key = &vh__config_keys[i];
        size_t n = vh__config_section(key);

        if (n && (n != len || strncmp(section, key->name, n) != 0))
            vh__buf_printf(&out, "%.*s:\n", (int)n, key->name);
        section = key->name;
        len = n;
        vh__buf_printf(&out, "%s%s: ", n ? "  " : "", key->name + n + (n > 0));
        put_value(&out, key, vh_config_str(config, key->name));
        put_origin(&out, vh_config_origin(config, key->name));
    }
    rc = vh__buf_check(&out, "dump of the configuration", err);
    if (rc)
        return rc;
    *text = vh__buf_steal(&out);
    return 0;
}
