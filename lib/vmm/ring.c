#include "ring.h"

#include <string.h>

void vh__ring_put(vh__ring *r, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        r->bytes[r->total++ % VH_RING_SIZE] = bytes[i];
}

static char byte_at(const vh__ring *r, size_t i)
{
    return r->bytes[i % VH_RING_SIZE];
}

static size_t first_byte(const vh__ring *r)
{
    return r->total < VH_RING_SIZE ? 0 : r->total - VH_RING_SIZE;
}

/* Where to begin so that what follows fits into |room| bytes: at the start of a line, if one starts there. */
static size_t tail_start(const vh__ring *r, size_t room)
{
    size_t first = first_byte(r), at = r->total, line;

    for (size_t used = 0; at > first; at--) {
        used += byte_at(r, at - 1) == '\n' ? 3 : 1;
        if (used > room)
            break;
    }
    if (at == first)
        return at;
    for (line = at; line < r->total && byte_at(r, line) != '\n'; line++)
        ;
    return line + 1 < r->total ? line + 1 : at;
}

const char *vh__ring_tail(const vh__ring *r, char *out, size_t n)
{
    char *p = out;

    for (size_t i = tail_start(r, n - 1); i < r->total; i++) {
        char c = byte_at(r, i);

        if (c == '\n' && i + 1 < r->total && p > out)
            p = stpcpy(p, " | ");
        else if (c >= ' ' && c < 127)
            *p++ = c;
        else if (c != '\n' && c != '\r')
            *p++ = '?';
    }
    *p = '\0';
    return out;
}

static bool is_at(const vh__ring *r, size_t at, const char *mark)
{
    for (; *mark; mark++, at++)
        if (at >= r->total || byte_at(r, at) != *mark)
            return false;
    return true;
}

bool vh__ring_find(const vh__ring *r, const char *mark, char *out, size_t n)
{
    size_t at = first_byte(r), len = 0;

    while (at < r->total && !is_at(r, at, mark))
        at++;
    if (at == r->total)
        return false;
    for (; at < r->total && len + 1 < n && byte_at(r, at) != '\n' && byte_at(r, at) != '\r'; at++)
        out[len++] = byte_at(r, at) >= ' ' && byte_at(r, at) < 127 ? byte_at(r, at) : '?';
    out[len] = '\0';
    return true;
}
