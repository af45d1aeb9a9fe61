#include <vhive/config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auto.h"
#include "config_priv.h"

int vh_config_new(vh_config **config, vh_error *err)
{
    vh_config *c = calloc(1, sizeof(*c));

    if (!c)
        return vh_error_set(err, -ENOMEM, "configuration");
    for (size_t i = 0; i < VH_CONFIG_KEYS; i++) {
        int rc = vh_config_parse(&vh__config_keys[i], vh__config_keys[i].fallback, &c->values[i].number, err);

        if (rc) {
            vh_config_free(c);
            return vh_error_wrap(err, rc, "default of %s", vh__config_keys[i].name);
        }
    }
    *config = c;
    return 0;
}

void vh_config_free(vh_config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < VH_CONFIG_KEYS; i++) {
        free(config->values[i].text);
        free(config->values[i].origin);
    }
    free(config);
}

int vh_config_set(vh_config *config, const char *key, const char *value, vh_config_source source, const char *origin,
                  vh_error *err)
{
    const vh_config_key *row = vh_config_key_find(key);
    vh_auto_free char *text = NULL, *from = NULL;
    vh__config_value *v;
    uint64_t number;
    int rc;

    if (!row)
        return vh__config_unknown(key, origin, err);
    rc = vh_config_parse(row, value, &number, err);
    if (rc) /* flags and variables name the setting by themselves, a place in a file does not */
        return source == VH_CONFIG_FROM_FILE ? vh_error_wrap(err, rc, "%s: %s", origin, key)
                                             : vh_error_wrap(err, rc, "%s", origin);
    v = &config->values[vh__config_index(row)];
    if (v->source > source)
        return 0;
    text = strdup(value);
    from = strdup(origin);
    if (!text || !from)
        return vh_error_set(err, -ENOMEM, "%s", origin);
    free(v->text);
    free(v->origin);
    *v = (vh__config_value){ .text = vh_steal_ptr(text), .origin = vh_steal_ptr(from), .number = number,
                             .source = source };
    return 0;
}

/* Value of the variable |name| in |envp|, NULL if it is not there. */
static const char *env_value(const char *const *envp, const char *name)
{
    size_t n = strlen(name);

    for (; *envp; envp++)
        if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=')
            return *envp + n + 1;
    return NULL;
}

int vh_config_load_env(vh_config *config, const char *const *envp, vh_error *err)
{
    const char *const *vars = envp ? envp : (const char *const *)environ;

    for (size_t i = 0; vars && i < VH_CONFIG_KEYS; i++) {
        char name[VH_CONFIG_NAME_MAX];
        const char *value = env_value(vars, vh_config_env_name(&vh__config_keys[i], name));
        int rc = value ? vh_config_set(config, vh__config_keys[i].name, value, VH_CONFIG_FROM_ENV, name, err) : 0;

        if (rc)
            return rc;
    }
    return 0;
}

const char *vh_config_str(const vh_config *config, const char *key)
{
    const vh_config_key *row = vh_config_key_find(key);
    const char *text = row ? config->values[vh__config_index(row)].text : "";

    return text ? text : row->fallback;
}

uint64_t vh_config_u64(const vh_config *config, const char *key)
{
    const vh_config_key *row = vh_config_key_find(key);

    return row && row->type != VH_CONFIG_BOOL ? config->values[vh__config_index(row)].number : 0;
}

bool vh_config_bool(const vh_config *config, const char *key)
{
    const vh_config_key *row = vh_config_key_find(key);

    return row && row->type == VH_CONFIG_BOOL && config->values[vh__config_index(row)].number;
}

vh_config_source vh_config_source_of(const vh_config *config, const char *key)
{
    const vh_config_key *row = vh_config_key_find(key);

    return row ? config->values[vh__config_index(row)].source : VH_CONFIG_FROM_DEFAULT;
}

const char *vh_config_origin(const vh_config *config, const char *key)
{
    const vh_config_key *row = vh_config_key_find(key);
    const char *origin = row ? config->values[vh__config_index(row)].origin : NULL;

    return origin ? origin : "default";
}
