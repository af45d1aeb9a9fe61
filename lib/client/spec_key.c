#include "client_priv.h"

#include <string.h>

#include "auto.h"

#define MIB (1ull << 20)

/* Defaults that are empty are the daemon's to set. */
static const vh_config_key keys[] = {
    { "name", VH_CONFIG_STRING, "-", 0, 0, NULL, "name: a-z, 0-9 and inner '-', at most 63" },
    { "image", VH_CONFIG_STRING, "-", 0, 0, NULL, "image reference" },
    { "address", VH_CONFIG_STRING, "tcp:127.0.0.1", 0, 0, NULL,
      "where it listens: tcp:HOST:PORT, tcp:HOST (a port is assigned) or unix:/PATH" },
    { "port", VH_CONFIG_UINT, "0", 0, 65535, NULL, "the function's TCP port; 0: the image's" },
    { "memory", VH_CONFIG_BYTES, "256M", 96 * MIB, 65536 * MIB, NULL, "guest memory" },
    { "cpus", VH_CONFIG_UINT, "1", 1, 32, NULL, "virtual CPUs" },
    { "engine", VH_CONFIG_ENUM, "auto", 0, 0, "auto|boot|file|uffd|reap", "how instances come up" },
    { "min", VH_CONFIG_UINT, "0", 0, 10000, NULL, "instances that are always up" },
    { "max", VH_CONFIG_UINT, "8", 1, 10000, NULL, "instances at most" },
    { "concurrency", VH_CONFIG_UINT, "100", 1, 100000, NULL, "connections that an instance has at once" },
    { "keep_alive", VH_CONFIG_DURATION, "30s", 1, 24 * 3600 * 1000, NULL, "how long an instance without any stays" },
    { "retire", VH_CONFIG_UINT, "0", 0, UINT32_MAX, NULL, "connections after which an instance ends; 0: never" },
};

const vh_config_key *vh_client_spec_key(size_t i)
{
    return i < VH_ARRAY_LEN(keys) ? &keys[i] : NULL;
}

/* Whether |given| is |name|, a '-' for each '_' being as good. */
static bool is_named(const char *name, const char *given)
{
    for (; *name && (*name == *given || (*name == '_' && *given == '-')); name++, given++)
        ;
    return !*name && !*given;
}

static int unknown(const char *key, vh_error *err)
{
    unsigned least = (unsigned)VH_MIN(strlen(key), 24) / 3 + 2;
    const char *best = "";

    for (size_t i = 0; i < VH_ARRAY_LEN(keys); i++) {
        unsigned far = vh_config_distance(key, keys[i].name);

        best = far < least ? keys[i].name : best;
        least = VH_MIN(far, least);
    }
    return vh_error_set(err, VH_EINVALID, "unknown key '%.64s'%s%s%s", key, *best ? "; did you mean '" : "", best,
                        *best ? "'?" : "; a function has no such");
}

/* |number| and |text| have been found to be good for |key|. */
static int set(vh_function_spec *spec, const char *key, const char *text, uint64_t number, vh_error *err)
{
    const struct {
        const char *name;
        const char **text;
        uint32_t *number;
    } members[] = {
        { "name", &spec->name, NULL },           { "image", &spec->image, NULL },
        { "address", &spec->address, NULL },     { "cpus", NULL, &spec->cpus },
        { "min", NULL, &spec->min },             { "max", NULL, &spec->max },
        { "concurrency", NULL, &spec->concurrency }, { "keep_alive", NULL, &spec->keep_alive_ms },
        { "retire", NULL, &spec->retire },
    };

    for (size_t i = 0; i < VH_ARRAY_LEN(members); i++) {
        if (strcmp(members[i].name, key) != 0)
            continue;
        if (members[i].text)
            *members[i].text = text;
        else
            *members[i].number = (uint32_t)number;
        return 0;
    }
    if (strcmp(key, "engine") == 0)
        return vh_engine_parse(text, &spec->engine, err);
    if (strcmp(key, "port") == 0)
        spec->port = (uint16_t)number;
    else
        spec->memory_mib = (uint32_t)(number / MIB);
    return 0;
}

int vh_client_spec_set(vh_function_spec *spec, const char *key, const char *text, vh_error *err)
{
    for (size_t i = 0; i < VH_ARRAY_LEN(keys); i++) {
        uint64_t number;
        int rc;

        if (!is_named(keys[i].name, key))
            continue;
        rc = vh_config_parse(&keys[i], text, &number, err);
        return rc ? vh_error_wrap(err, rc, "%s", key) : set(spec, keys[i].name, text, number, err);
    }
    return unknown(key, err);
}
