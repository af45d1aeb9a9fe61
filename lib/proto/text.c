#include "proto.h"

#include "auto.h"

/* The code point of the |n| bytes at |s|, whose first says that they belong together; 0 if they do not. */
static uint32_t code_point(const unsigned char *s, size_t n)
{
    uint32_t c = n == 1 ? s[0] : s[0] & (0xffu >> (n + 1));

    for (size_t i = 1; i < n; i++) {
        if (s[i] >> 6 != 2)
            return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    return c;
}

/* Bytes of the character that begins at |s|, 0 if none does. */
static size_t character(const unsigned char *s, size_t n)
{
    static const uint32_t least[] = { 0, 1, 0x80, 0x800, 0x10000 }; /* shorter forms are not allowed */
    size_t len = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
    uint32_t c = len && len <= n ? code_point(s, len) : 0;

    return c >= least[len] && c <= 0x10ffff && c >> 11 != 0xd800 >> 11 ? len : 0;
}

size_t vh__proto_utf8(const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t i = 0, len;

    while (i < n && (len = character(s + i, n - i)) > 0)
        i += len;
    return i;
}
