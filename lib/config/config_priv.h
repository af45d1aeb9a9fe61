/* Inside of config: the table, values and their text. */
#ifndef VH_CONFIG_PRIV_H
#define VH_CONFIG_PRIV_H

#include <vhive/config.h>

/** Rows of the table. */
#define VH_CONFIG_KEYS 47

extern const vh_config_key vh__config_keys[VH_CONFIG_KEYS];

/** A setting. |text| and |origin| are NULL while it has its default. */
typedef struct vh__config_value {
    char *text, *origin;
    uint64_t number;
    vh_config_source source;
} vh__config_value;

struct vh_config {
    vh__config_value values[VH_CONFIG_KEYS];
};

/** Index of |key| in the table. */
size_t vh__config_index(const vh_config_key *key);

/** Length of the part of |key|'s name before the dot, 0 if there is none. */
size_t vh__config_section(const vh_config_key *key);

/** First row of section |name| (|n| bytes), NULL if there is no such section. */
const vh_config_key *vh__config_find_section(const char *name, size_t n);

/** Refuses the unknown key |name| at |origin|, naming the nearest known one. Returns VH_EINVALID. */
int vh__config_unknown(const char *name, const char *origin, vh_error *err);

#endif
