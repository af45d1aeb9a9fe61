/* "Did you mean": how far words are apart, and the nearest key. */
#include "config_priv.h"

#include <stdio.h>
#include <string.h>

#include "auto.h"

unsigned vh_config_distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    unsigned row[VH_CONFIG_NAME_MAX];

    if (na >= VH_CONFIG_NAME_MAX || nb >= VH_CONFIG_NAME_MAX)
        return (unsigned)VH_MIN(VH_MAX(na, nb), 1000);
    for (size_t j = 0; j <= nb; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= na; i++) {
        unsigned corner = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            unsigned above = row[j], change = corner + (a[i - 1] != b[j - 1]);

            row[j] = VH_MIN(VH_MIN(above, row[j - 1]) + 1, change);
            corner = above;
        }
    }
    return row[nb];
}

/* Makes |word| (|n| bytes) the suggestion in |best| if it is nearer to |name| than |*least|. */
static void suggest(const char *name, const char *word, size_t n, char best[VH_CONFIG_NAME_MAX], unsigned *least)
{
    char text[VH_CONFIG_NAME_MAX];
    unsigned d;

    snprintf(text, sizeof(text), "%.*s", (int)n, word);
    d = vh_config_distance(name, text);
    if (d < *least) {
        *least = d;
        strcpy(best, text);
    }
}

int vh__config_unknown(const char *name, const char *origin, vh_error *err)
{
    char best[VH_CONFIG_NAME_MAX] = "";
    unsigned least = (unsigned)VH_MIN(strlen(name), 24) / 3 + 2;

    for (size_t i = 0; i < VH_CONFIG_KEYS; i++) {
        const vh_config_key *key = &vh__config_keys[i];

        suggest(name, key->name, strlen(key->name), best, &least);
        if (vh__config_section(key))
            suggest(name, key->name, vh__config_section(key), best, &least);
    }
    if (*best)
        return vh_error_set(err, VH_EINVALID, "%s: unknown key '%.64s'; did you mean '%s'?", origin, name, best);
    return vh_error_set(err, VH_EINVALID, "%s: unknown key '%.64s'; 'vhive-ctl help config' lists the known ones",
                        origin, name);
}
