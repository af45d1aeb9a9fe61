#include "ring.h"

#include <string.h>

void vh__ring_put(vh__ring *r, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        r->bytes[r->total++ % VH_RING_SIZE] = bytes[i];
}

const char *vh__ring_tail(const vh__ring *r, char *out, size_t n)
{
    size_t keep = r->total < VH_RING_SIZE ? r->total : VH_RING_SIZE, at = 0;

    if (keep > n / 2)
        keep = n / 2; /* a line end may take three bytes */
    for (size_t i = r->total - keep; i < r->total && at + 4 < n; i++) {
        char c = r->bytes[i % VH_RING_SIZE];

        if (c == '\n' && i + 1 < r->total && at > 0)
            at = (size_t)(stpcpy(out + at, " | ") - out);
        else if (c >= ' ' && c < 127)
            out[at++] = c;
        else if (c != '\n' && c != '\r')
            out[at++] = '?';
    }
    out[at] = '\0';
    return out;
}
