/* modules: reap */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "auto.h"
#include "reap.h"

/* An accepted index must not lead an installer out of the memory or out of the data. */
static void decode(const uint8_t *bytes, size_t n)
{
    vh__ws_index x = { 0 };
    uint64_t next = 0, data = 0;

    if (vh__ws_index_decode(bytes, n, &x, NULL))
        return;
    for (size_t i = 0; i < x.n; i++) {
        if (x.runs[i].page < next || x.runs[i].count == 0)
            __builtin_trap();
        next = (uint64_t)x.runs[i].page + x.runs[i].count;
        data += x.runs[i].zero ? 0 : (uint64_t)x.runs[i].count * x.page_size;
    }
    if (next * x.page_size > x.memory_size || data != x.data_bytes || strlen(x.snapshot) > VH_WS_SNAPSHOT_MAX)
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
