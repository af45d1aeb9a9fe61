#include "reap.h"

#include <stdlib.h>

#include "reap_priv.h"

static bool is_aligned(uint64_t n, uint32_t page_size)
{
    return (n & (page_size - 1)) == 0;
}

static bool ranges_overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a < b + b_size && b < a + a_size;
}

static int by_base(const void *a, const void *b)
{
    const vh__region *x = a, *y = b;

    return x->base < y->base ? -1 : x->base > y->base;
}

static int check_one(const vh__region *g, uint32_t page_size, uint64_t memory_size, vh_error *err)
{
    if (g->size == 0 || !is_aligned(g->size | g->base | g->offset, page_size))
        return vh_error_set(err, VH_EINVALID,
                            "memory region at 0x%llx: size, address and offset must be multiples of %u",
                            (unsigned long long)g->base, page_size);
    if (g->base > UINT64_MAX - g->size)
        return vh_error_set(err, VH_EINVALID, "memory region at 0x%llx: wraps around the address space",
                            (unsigned long long)g->base);
    if (g->offset > memory_size || g->size > memory_size - g->offset)
        return vh_error_set(err, VH_EINVALID,
                            "memory region at 0x%llx: reaches beyond the %llu bytes of the memory file",
                            (unsigned long long)g->base, (unsigned long long)memory_size);
    return 0;
}

static int check_overlap(const vh__regions *r, vh_error *err)
{
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = i + 1; k < r->n; k++) {
            const vh__region *a = &r->v[i], *b = &r->v[k];

            if (ranges_overlap(a->base, a->size, b->base, b->size) ||
                ranges_overlap(a->offset, a->size, b->offset, b->size))
                return vh_error_set(err, VH_EINVALID, "memory regions at 0x%llx and 0x%llx overlap",
                                    (unsigned long long)a->base, (unsigned long long)b->base);
        }
    return 0;
}

int vh__regions_check(vh__regions *r, uint64_t memory_size, vh_error *err)
{
    if (r->n == 0 || r->n > VH_REGIONS_MAX)
        return vh_error_set(err, VH_EINVALID, "%zu memory regions: must be 1..%d", r->n, VH_REGIONS_MAX);
    if (!vh__reap_page_size_ok(r->page_size))
        return vh_error_set(err, VH_EINVALID, "page size %u: must be a power of two from %u on", r->page_size,
                            VH_PAGE_SIZE_MIN);
    if (memory_size / r->page_size > UINT32_MAX)
        return vh_error_set(err, VH_EINVALID, "memory of %llu bytes has too many pages",
                            (unsigned long long)memory_size);
    for (size_t i = 0; i < r->n; i++) {
        int rc = check_one(&r->v[i], r->page_size, memory_size, err);

        if (rc)
            return rc;
    }
    qsort(r->v, r->n, sizeof(r->v[0]), by_base);
    return check_overlap(r, err);
}

bool vh__regions_find(const vh__regions *r, uint64_t address, vh__page *page)
{
    for (size_t i = 0; i < r->n; i++) {
        const vh__region *g = &r->v[i];

        if (address >= g->base && address - g->base < g->size) {
            page->address = address & ~(uint64_t)(r->page_size - 1);
            page->offset = g->offset + (page->address - g->base);
            return true;
        }
    }
    return false;
}

bool vh__regions_address(const vh__regions *r, uint64_t offset, uint64_t *address, uint64_t *run)
{
    for (size_t i = 0; i < r->n; i++) {
        const vh__region *g = &r->v[i];

        if (offset >= g->offset && offset - g->offset < g->size) {
            *address = g->base + (offset - g->offset);
            *run = g->size - (offset - g->offset);
            return true;
        }
    }
    return false;
}
