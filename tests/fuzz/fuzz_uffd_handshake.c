/* modules: reap */
#include <stdint.h>

#include "reap.h"

/* Whatever was accepted must translate every edge of a region there and back. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    const uint64_t memory_size = 1ull << 32;
    size_t length = vh__handshake_length((const char *)bytes, n);
    vh__regions r;

    if (length > n)
        __builtin_trap();
    if (vh__handshake_parse((const char *)bytes, n, memory_size, &r, NULL))
        return 0;
    for (size_t i = 0; i < r.n; i++) {
        const vh__region *g = &r.v[i];
        uint64_t last = g->base + g->size - 1, address, run;
        vh__page page;

        if (!vh__regions_find(&r, last, &page) || page.offset + r.page_size != g->offset + g->size ||
            page.offset + r.page_size > memory_size)
            __builtin_trap();
        if (!vh__regions_address(&r, page.offset, &address, &run) || address != page.address || run != r.page_size)
            __builtin_trap();
    }
    return 0;
}
