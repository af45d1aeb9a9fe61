/* Puts the checksums of a tar's headers right, without which nothing that was mutated gets past them. */
#ifndef VH_TESTS_FUZZ_TAR_HEADERS_H
#define VH_TESTS_FUZZ_TAR_HEADERS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The sum of a header's bytes with blanks in place of the sum itself. */
static void fix_header(uint8_t *h)
{
    unsigned sum = 0;

    memset(h + 148, ' ', 8);
    for (size_t i = 0; i < 512; i++)
        sum += h[i];
    (void)snprintf((char *)h + 148, 8, "%06o", sum);
}

/** Of all that are in the |n| bytes of |tar|. */
static void fix_headers(uint8_t *tar, size_t n)
{
    for (size_t at = 0; at + 512 <= n; at += 512)
        if (memcmp(tar + at + 257, "ustar", 5) == 0)
            fix_header(tar + at);
}

#endif
