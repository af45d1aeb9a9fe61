#include "grpc_metadata.h"

#include <string.h>
#include <vhive/error.h>

void vh__grpc_metadata_fini(vh__grpc_metadata *m)
{
    vh__buf_fini(&m->fields);
}

void vh__grpc_metadata_add(vh__grpc_metadata *m, const void *name, size_t name_len, const void *value, size_t n)
{
    if (!vh__buf_reserve(&m->fields, name_len + n + 2))
        return; /* all of it or nothing */
    vh__buf_append(&m->fields, name, name_len);
    vh__buf_append(&m->fields, "", 1);
    vh__buf_append(&m->fields, value, n);
    vh__buf_append(&m->fields, "", 1);
}

const char *vh__grpc_metadata_next(const vh__grpc_metadata *m, const char *name, const char **value)
{
    if (!m->fields.len)
        return NULL;
    if (name) { /* over it and its value */
        name += strlen(name) + 1;
        name += strlen(name) + 1;
    } else {
        name = m->fields.data;
    }
    if (name == m->fields.data + m->fields.len)
        return NULL;
    *value = name + strlen(name) + 1;
    return name;
}

const char *vh__grpc_metadata_get(const vh__grpc_metadata *m, const char *name)
{
    const char *at = NULL, *value;

    while ((at = vh__grpc_metadata_next(m, at, &value))) {
        if (strcmp(at, name) == 0)
            return value;
    }
    return NULL;
}

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void vh__grpc_binary_encode(const void *bytes, size_t n, vh__buf *out)
{
    const uint8_t *p = bytes;

    for (size_t i = 0; i < n; i += 3) {
        size_t here = n - i < 3 ? n - i : 3;
        uint32_t three = (uint32_t)p[i] << 16;
        char four[4];

        if (here > 1)
            three |= (uint32_t)p[i + 1] << 8;
        if (here > 2)
            three |= p[i + 2];
        for (unsigned d = 0; d < 4; d++)
            four[d] = digits[three >> (18 - 6 * d) & 63];
        vh__buf_append(out, four, here + 1);
    }
}

static int digit_of(char c)
{
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

int vh__grpc_binary_decode(const char *value, size_t n, vh__buf *out)
{
    uint32_t bits = 0;
    unsigned count = 0;

    while (n && value[n - 1] == '=' && n % 4 != 1)
        n--;
    if (n % 4 == 1)
        return VH_EINVALID;
    for (size_t i = 0; i < n; i++) {
        int d = digit_of(value[i]);
        char byte;

        if (d < 0)
            return VH_EINVALID;
        bits = bits << 6 | (uint32_t)d;
        count += 6;
        if (count < 8)
            continue;
        count -= 8;
        byte = (char)(bits >> count);
        vh__buf_append(out, &byte, 1);
    }
    return 0;
}
