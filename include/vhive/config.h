/*
 * vh_config: every setting of vHive, from one table. A row of the table names a setting, its type, default, bounds
 * and help; files, environment, flags, --help and the dump are made from the same rows, so they cannot disagree.
 *
 *     vh_config *c;
 *     if (vh_config_new(&c, &err) == 0 && vh_config_load_file(c, NULL, &err) == 0 &&
 *         vh_config_load_env(c, NULL, &err) == 0 &&
 *         vh_config_set(c, "log.level", "debug", VH_CONFIG_FROM_FLAG, "--log-level", &err) == 0)
 *         uint64_t bytes = vh_config_u64(c, "function.memory");
 *
 * Precedence is default < file < environment < flag, whatever the order of the calls. In YAML a dot is a level:
 * "log.level" is `log:` with `level:` below it; in the environment it is VHIVE_LOG_LEVEL, as a flag --log-level.
 *
 * Threads: fill a vh_config on one thread; from then on all may read it. It owns copies of all its text.
 */
#ifndef VHIVE_CONFIG_H
#define VHIVE_CONFIG_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <vhive/attr.h>
#include <vhive/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** File that is read when none is named. */
#define VH_CONFIG_FILE "/etc/vhive/vhive.yaml"
/** Largest configuration file, and longest value, in bytes. */
#define VH_CONFIG_FILE_MAX  65536
#define VH_CONFIG_VALUE_MAX 4096
/** Room for the name of a flag or an environment variable, its end included. */
#define VH_CONFIG_NAME_MAX 48

/** What a value looks like. */
typedef enum vh_config_type {
    VH_CONFIG_STRING = 0,
    VH_CONFIG_PATH,     /**< absolute; may be empty where the default is */
    VH_CONFIG_BOOL,     /**< true or false, also yes, no, on, off, 1, 0 */
    VH_CONFIG_UINT,     /**< decimal, between min and max */
    VH_CONFIG_BYTES,    /**< "256M": a whole number with K, M, G or T (powers of 1024; Ki, Mi... too), or none */
    VH_CONFIG_DURATION, /**< "500ms", "30s", "2m", "1h": kept in milliseconds */
    VH_CONFIG_ENUM,     /**< one of choices */
    VH_CONFIG_CIDR,     /**< IPv4 network, "198.18.0.0/15", no bits set beyond the prefix */
} vh_config_type;

/** Where a value is from, weakest first. */
typedef enum vh_config_source {
    VH_CONFIG_FROM_DEFAULT = 0,
    VH_CONFIG_FROM_FILE,
    VH_CONFIG_FROM_ENV,
    VH_CONFIG_FROM_FLAG,
} vh_config_source;

/** One row of the table. Static storage; never changes. */
typedef struct vh_config_key {
    const char *name; /**< "log.level": lower case, one dot at most */
    vh_config_type type;
    const char *fallback; /**< the default, as it would be written in a file */
    uint64_t min, max;    /**< UINT; BYTES in bytes; DURATION in ms; both 0: any */
    const char *choices;  /**< ENUM: the values, separated by '|' */
    const char *help;     /**< one line, no full stop */
} vh_config_key;

typedef struct vh_config vh_config;

/** Row |i| of the table, NULL beyond its end: for help texts, completion and dumps. */
VH_API const vh_config_key *vh_config_key_at(size_t i);
/** Row of |name|, NULL if there is none. */
VH_API const vh_config_key *vh_config_key_find(const char *name);
/** Row of a flag's name without its dashes ("log-level"), NULL if there is none. |n| is the name's length. */
VH_API const vh_config_key *vh_config_key_of_flag(const char *flag, size_t n);
/** Writes the name of |key|'s environment variable, "VHIVE_LOG_LEVEL", into |name| and returns it. */
VH_API const char *vh_config_env_name(const vh_config_key *key, char name[VH_CONFIG_NAME_MAX]);
/** Writes the name of |key|'s flag, "log-level", into |name| and returns it. */
VH_API const char *vh_config_flag_name(const vh_config_key *key, char name[VH_CONFIG_NAME_MAX]);

/**
 * Parses |text| as a value of |key|, which need not be a row of the table; |*number| becomes its number (bytes,
 * milliseconds, BOOL 0 or 1; 0 for others). VH_EINVALID says why.
 */
VH_API VH_MUST_CHECK int vh_config_parse(const vh_config_key *key, const char *text, uint64_t *number, vh_error *err);

/**
 * How many letters have to be put in, taken out or changed, or neighbours swapped, to make |b| of |a|: for "did you
 * mean". Words of VH_CONFIG_NAME_MAX letters and more are far from everything.
 */
VH_API unsigned vh_config_distance(const char *a, const char *b);

/** Makes a configuration of defaults. On success the caller owns |*config| (vh_config_free()). 0 or -ENOMEM. */
VH_API VH_MUST_CHECK int vh_config_new(vh_config **config, vh_error *err);
/** Frees |config|; NULL is fine. */
VH_API void vh_config_free(vh_config *config);

/**
 * Reads the YAML file |path|; NULL: VH_CONFIG_FILE, which may be missing. Errors: VH_EINVALID with FILE:LINE:COLUMN
 * for bad YAML, an unknown key (the nearest known one is named), a bad value or a key that is there twice; VH_ELIMIT
 * for a file over VH_CONFIG_FILE_MAX; -errno. On error |config| may hold a part of the file and should be freed.
 */
VH_API VH_MUST_CHECK int vh_config_load_file(vh_config *config, const char *path, vh_error *err);
/** As vh_config_load_file() with |n| bytes of YAML; |name| stands for the file in messages and origins. */
VH_API VH_MUST_CHECK int vh_config_load_yaml(vh_config *config, const char *yaml, size_t n, const char *name,
                                             vh_error *err);
/**
 * Takes the settings of the environment |envp| ("NAME=VALUE", NULL-terminated; NULL: the process's own).
 * Other VHIVE_ variables are left alone: Kubernetes makes such for a service named vhive.
 */
VH_API VH_MUST_CHECK int vh_config_load_env(vh_config *config, const char *const *envp, vh_error *err);
/**
 * Sets |key| to |value| (copied), unless it has a value from a stronger source. |origin| (copied; "--log-level",
 * "vhive.yaml:3:5") stands in errors and in the dump. VH_EINVALID: unknown key or bad value; -ENOMEM.
 */
VH_API VH_MUST_CHECK int vh_config_set(vh_config *config, const char *key, const char *value,
                                       vh_config_source source, const char *origin, vh_error *err);

/** Value of |key| as it was written; "" for an unknown key. Borrowed until |config| is freed or |key| set again. */
VH_API const char *vh_config_str(const vh_config *config, const char *key);
/** Value of a UINT, BYTES (bytes) or DURATION (ms) key; 0 for others. */
VH_API uint64_t vh_config_u64(const vh_config *config, const char *key);
/** Value of a BOOL key; false for others. */
VH_API bool vh_config_bool(const vh_config *config, const char *key);
/** Where the value of |key| is from; the text is "default" or the origin that was given. Borrowed as above. */
VH_API vh_config_source vh_config_source_of(const vh_config *config, const char *key);
VH_API const char *vh_config_origin(const vh_config *config, const char *key);

/**
 * All settings as YAML that vh_config_load_yaml() reads back, each with its origin as a comment. On success the
 * caller owns |*text| (free()). 0 or -ENOMEM.
 */
VH_API VH_MUST_CHECK int vh_config_dump(const vh_config *config, char **text, vh_error *err);

#ifdef __cplusplus
}
#endif
#endif
