/* modules: activate */
/* The head of a request: a context comes out whole or not at all. */
#include <stdlib.h>
#include <string.h>

#include "observe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    vh__trace_context none, c;

    memset(&none, 0x5a, sizeof(none));
    c = none;
    if (!vh__observe(data, n, &c)) {
        if (memcmp(&c, &none, sizeof(c)) != 0)
            abort();
        return 0;
    }
    if (c.span ? !(c.trace_hi | c.trace_lo) : c.sampling == VH_SAMPLE_DEFER)
        abort();
    return 0;
}
