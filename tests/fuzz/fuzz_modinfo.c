/* modules: guest */
#include <stdlib.h>
#include <string.h>

#include "guest_priv.h"

/* The value must lie in the file and end there, whatever the file is. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    const char *value = NULL;
    const uint8_t *end;

    if (vh__modinfo_get(bytes, n, "depends", &value, NULL) || *value == '\0')
        return 0;
    end = memchr(value, '\0', (size_t)(bytes + n - (const uint8_t *)value));
    if ((const uint8_t *)value < bytes || !end)
        __builtin_trap();
    return 0;
}
