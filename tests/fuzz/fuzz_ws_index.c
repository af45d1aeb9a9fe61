/* modules: reap */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "auto.h"
#include "reap.h"

/* Pages of two runs. */
static int overlap(const vh__ws_run *a, const vh__ws_run *b)
{
    return a->page < b->page + b->count && b->page < a->page + a->count;
}

/* An accepted index must not lead an installer out of the memory or out of the data, or twice to the same page. */
static void decode(const uint8_t *bytes, size_t n)
{
    vh__ws_index x = { 0 };
    uint64_t data = 0;

    if (vh__ws_index_decode(bytes, n, &x, NULL))
        return;
    for (size_t i = 0; i < x.n; i++) {
        if (x.runs[i].count == 0 || (uint64_t)x.runs[i].page + x.runs[i].count > x.memory_size / x.page_size)
            __builtin_trap();
        for (size_t k = 0; k < i && k < 256; k++)
            if (overlap(&x.runs[k], &x.runs[i]))
                __builtin_trap();
        data += x.runs[i].zero ? 0 : (uint64_t)x.runs[i].count * x.page_size;
    }
    if (data != x.data_bytes || x.npieces * (uint64_t)VH_WS_PIECE < data || strlen(x.snapshot) > VH_WS_SNAPSHOT_MAX)
        __builtin_trap();
    vh__ws_index_fini(&x);
}

/* As it is, and with a checksum that fits, since no mutation finds that by itself. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    vh_auto_free uint8_t *copy = malloc(n + 1);
    XXH128_canonical_t hash;

    decode(bytes, n);
    if (!copy || n < sizeof(hash))
        return 0;
    memcpy(copy, bytes, n);
    XXH128_canonicalFromHash(&hash, XXH3_128bits(copy, n - sizeof(hash)));
    memcpy(copy + n - sizeof(hash), &hash, sizeof(hash));
    decode(copy, n);
    return 0;
}
