#include "reap.h"

#include "json.h"

static const char what[] = "userfaultfd handshake";

size_t vh__handshake_length(const char *bytes, size_t n)
{
    size_t depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < n; i++) {
        char c = bytes[i];

        if (in_string && c == '\\')
            i++; /* whatever it escapes */
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '[' || c == '{'))
            depth++;
        else if (!in_string && (c == ']' || c == '}') && (depth == 0 || --depth == 0))
            return i + 1; /* also for a bracket too many: the parser is to say so, not the deadline */
    }
    return 0;
}

/* Bytes, by whichever name the sender's version has for them; none of them up to Firecracker 1.6. */
static int parse_page_size(const cJSON *item, uint32_t *out, vh_error *err)
{
    const char *key = cJSON_HasObjectItem(item, "page_size") ? "page_size" : "page_size_kib";
    uint64_t size = VH_PAGE_SIZE_MIN;
    int rc = cJSON_HasObjectItem(item, key) ? vh__json_u64(item, key, what, &size, err) : 0;

    if (rc)
        return rc;
    if (size > VH_PAGE_SIZE_MAX)
        return vh_error_set(err, VH_EINVALID, "%s: page size %llu is too large", what,
                            (unsigned long long)size);
    *out = (uint32_t)size;
    return 0;
}

static int parse_region(const cJSON *item, vh__region *g, uint32_t *page_size, vh_error *err)
{
    int rc;

    if (vh__json_bool_or(item, "is_guest_memfd", false))
        return vh_error_set(err, VH_EUNSUPPORTED, "%s: guest_memfd (secret-free) memory is not supported",
                            what);
    rc = vh__json_u64(item, "base_host_virt_addr", what, &g->base, err);
    if (rc == 0)
        rc = vh__json_u64(item, "size", what, &g->size, err);
    if (rc == 0)
        rc = vh__json_u64(item, "offset", what, &g->offset, err);
    return rc ? rc : parse_page_size(item, page_size, err);
}

static int parse_regions(const cJSON *list, vh__regions *r, vh_error *err)
{
    const cJSON *item;

    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) == 0)
        return vh_error_set(err, VH_EINVALID, "%s: names no memory region", what);
    cJSON_ArrayForEach(item, list) {
        uint32_t page_size = 0;
        int rc;

        if (r->n == VH_REGIONS_MAX)
            return vh_error_set(err, VH_EINVALID, "%s: more than %d memory regions", what, VH_REGIONS_MAX);
        rc = parse_region(item, &r->v[r->n], &page_size, err);
        if (rc)
            return rc;
        if (r->n > 0 && page_size != r->page_size)
            return vh_error_set(err, VH_EINVALID, "%s: page sizes %u and %u are mixed", what, r->page_size,
                                page_size);
        r->page_size = page_size;
        r->n++;
    }
    return 0;
}

int vh__handshake_parse(const char *bytes, size_t n, uint64_t memory_size, vh__regions *out, vh_error *err)
{
    vh_auto_json cJSON *list = NULL;
    vh__regions r = { 0 };
    int rc;

    if (n > VH_HANDSHAKE_MAX)
        return vh_error_set(err, VH_EINVALID, "%s: longer than %d bytes", what, VH_HANDSHAKE_MAX);
    rc = vh__json_parse(bytes, n, what, &list, err);
    if (rc == 0)
        rc = parse_regions(list, &r, err);
    if (rc == 0)
        rc = vh__regions_check(&r, memory_size, err);
    if (rc)
        return rc;
    *out = r;
    return 0;
}
