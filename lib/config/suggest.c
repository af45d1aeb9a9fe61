/* "Did you mean": how far words are apart, and the nearest key. */
#include "config_priv.h"

#include <stdio.h>
#include <string.h>

#include "auto.h"

/* Distance of the first |i| letters of |a| from the first |j| of |b|. Of the table |row| is i, |above| i-1, |before| i-2. */
static unsigned cell(const char *a, size_t i, const char *b, size_t j, const unsigned *row, const unsigned *above,
                     const unsigned *before)
{
    unsigned least;

    if (i == 0 || j == 0)
        return (unsigned)(i + j);
    least = VH_MIN(VH_MIN(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
    if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        least = VH_MIN(least, before[j - 2] + 1);
    return least;
}

unsigned vh_config_distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    unsigned rows[3][VH_CONFIG_NAME_MAX];

    if (na >= VH_CONFIG_NAME_MAX || nb >= VH_CONFIG_NAME_MAX)
        return (unsigned)VH_MIN(VH_MAX(na, nb), 1000);
    for (size_t i = 0; i <= na; i++)
        for (size_t j = 0; j <= nb; j++)
            rows[i % 3][j] = cell(a, i, b, j, rows[i % 3], rows[(i + 2) % 3], rows[(i + 1) % 3]);
    return rows[na % 3][nb];
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
