/* The first HEADERS of a connection of HTTP/2, CONTINUATIONs included; the header compression is nghttp2's. */
#include "observe_priv.h"

#include <nghttp2/nghttp2.h>
#include <string.h>

#include "auto.h"

#define FRAME_HEADER 9
#define PRIORITY     5

struct frame {
    const uint8_t *payload;
    size_t n; /* of the payload, as far as it is there */
    uint8_t type, flags;
    bool whole;
};

bool vh__observe_is_h2(const uint8_t *bytes, size_t n)
{
    return n >= NGHTTP2_CLIENT_MAGIC_LEN && memcmp(bytes, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN) == 0;
}

static bool next_frame(const uint8_t **at, const uint8_t *end, struct frame *f)
{
    const uint8_t *h = *at;
    size_t said, there;

    if (end - h < FRAME_HEADER)
        return false;
    said = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
    there = (size_t)(end - h) - FRAME_HEADER;
    *f = (struct frame){ .payload = h + FRAME_HEADER, .n = VH_MIN(said, there), .type = h[3], .flags = h[4],
                         .whole = said <= there };
    *at = f->payload + f->n;
    return true;
}

/* Takes padding and priority off a HEADERS frame. False if they are more than there is. */
static bool strip(struct frame *f)
{
    size_t front = 0, pad = 0;

    if (f->flags & NGHTTP2_FLAG_PADDED) {
        if (f->n < 1)
            return false;
        pad = f->payload[0];
        front = 1;
    }
    if (f->flags & NGHTTP2_FLAG_PRIORITY)
        front += PRIORITY;
    if (front + (f->whole ? pad : 0) > f->n)
        return false;
    f->payload += front;
    f->n -= front + (f->whole ? pad : 0);
    return true;
}

/* Inflates a piece of the header block. False at its end or where it is malformed. */
static bool inflate(nghttp2_hd_inflater *inflater, const uint8_t *at, size_t n, bool last, vh__observed *o)
{
    const uint8_t *end = at + n;

    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, at, (size_t)(end - at), last);

        if (used < 0)
            return false;
        at += used;
        if (flags & NGHTTP2_HD_INFLATE_EMIT)
            vh__observed_header(o, nv.name, nv.namelen, nv.value, nv.valuelen);
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            return false;
        if (!(flags & NGHTTP2_HD_INFLATE_EMIT) && at == end)
            return true;
    }
}

static void headers(nghttp2_hd_inflater *inflater, struct frame *f, const uint8_t *at, const uint8_t *end,
                    vh__observed *o)
{
    bool more = strip(f);

    while (more) {
        bool last = f->whole && f->flags & NGHTTP2_FLAG_END_HEADERS;

        more = inflate(inflater, f->payload, f->n, last, o) && !last && f->whole && next_frame(&at, end, f) &&
               f->type == NGHTTP2_CONTINUATION;
    }
}

void vh__observe_h2(const uint8_t *bytes, size_t n, vh__observed *o)
{
    const uint8_t *at = bytes + NGHTTP2_CLIENT_MAGIC_LEN, *end = bytes + n;
    nghttp2_hd_inflater *inflater;
    struct frame f;
    bool found = false;

    while (!found && next_frame(&at, end, &f))
        found = f.type == NGHTTP2_HEADERS;
    if (!found || nghttp2_hd_inflate_new(&inflater))
        return;
    headers(inflater, &f, at, end, o);
    nghttp2_hd_inflate_del(inflater);
}
