#include "agent.h"

#include <string.h>

#include "fields.h"
#include "wire.h"

/* Where a frame grows; |full| is sticky. */
struct out {
    uint8_t *to;
    size_t len, cap;
    bool full;
};

static void put(struct out *o, const void *bytes, size_t n)
{
    if (o->full || n > o->cap - o->len) {
        o->full = true;
        return;
    }
    if (n)
        memcpy(o->to + o->len, bytes, n);
    o->len += n;
}

static void put_number(struct out *o, uint64_t v, unsigned bytes)
{
    uint8_t raw[8];

    vh__agent_put(raw, v, bytes);
    put(o, raw, bytes);
}

static void put_list(struct out *o, const vh__agent_list *list, uint32_t max)
{
    if (list->n > max)
        o->full = true;
    for (uint32_t i = 0; i < list->n && !o->full; i++)
        put(o, list->v[i], strlen(list->v[i]) + 1);
}

static void put_value(struct out *o, const vh__agent_field *f, const void *value)
{
    const char *const *text = value;
    const vh__agent_bytes *bytes = value;
    const char *s;

    switch ((vh__agent_kind)f->kind) {
    case VH_AGENT_U32:
        put_number(o, *(const uint32_t *)value, 4);
        break;
    case VH_AGENT_U64:
        put_number(o, *(const uint64_t *)value, 8);
        break;
    case VH_AGENT_TEXT:
        s = *text ? *text : "";
        put(o, s, strlen(s) + 1);
        break;
    case VH_AGENT_LIST:
        put_list(o, value, f->max);
        return; /* its limit is in strings */
    case VH_AGENT_BYTES:
        put(o, bytes->data, bytes->len);
        break;
    case VH_AGENT_FIXED:
        put(o, value, f->max);
        break;
    }
}

static void put_field(struct out *o, const vh__agent_field *f, const vh__agent_msg *m)
{
    size_t at = o->len;

    put_number(o, f->tag, 2);
    put_number(o, 0, 4);
    put_value(o, f, (const char *)m + f->offset);
    if (o->full)
        return;
    if (f->kind != VH_AGENT_LIST && o->len - at - VH_AGENT_TLV > f->max)
        o->full = true;
    vh__agent_put(o->to + at + 2, o->len - at - VH_AGENT_TLV, 4);
}

size_t vh__agent_encode(const vh__agent_msg *m, void *to, size_t cap)
{
    struct out o = { .to = to, .cap = cap < VH_AGENT_FRAME_MAX ? cap : VH_AGENT_FRAME_MAX };

    if (!vh__agent_type_from(m->type, VH_AGENT_FROM_HOST) && !vh__agent_type_from(m->type, VH_AGENT_FROM_GUEST))
        return 0;
    put_number(&o, VH_AGENT_MAGIC, 4);
    put_number(&o, m->type, 2);
    put_number(&o, m->stream, 2);
    put_number(&o, 0, 4);
    for (size_t i = 0; i < vh__agent_nfields; i++)
        if (vh__agent_fields[i].type == m->type)
            put_field(&o, &vh__agent_fields[i], m);
    if (o.full)
        return 0;
    vh__agent_put(o.to + 8, o.len - VH_AGENT_HEADER, 4);
    return o.len;
}
