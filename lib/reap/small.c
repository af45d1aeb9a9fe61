#include "reap_priv.h"

#include <string.h>
#include <xxhash.h>

bool vh__reap_page_size_ok(uint32_t size)
{
    return size >= VH_PAGE_SIZE_MIN && size <= VH_PAGE_SIZE_MAX && (size & (size - 1)) == 0;
}

bool vh__reap_is_zero(const void *bytes, size_t n)
{
    const char *p = bytes;

    return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

void vh__reap_hash(const void *bytes, size_t n, uint8_t out[16])
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, n));
    memcpy(out, canonical.digest, 16);
}
