#include "agent.h"

#include <string.h>

#include "fields.h"
#include "wire.h"

void vh__agent_decoder_init(vh__agent_decoder *d, vh__agent_from from)
{
    d->from = from;
    d->error = NULL;
    d->start = d->end = 0;
}

void *vh__agent_decoder_space(vh__agent_decoder *d, size_t *n)
{
    if (d->start > 0) {
        memmove(d->data, d->data + d->start, d->end - d->start);
        d->end -= d->start;
        d->start = 0;
    }
    *n = sizeof(d->data) - d->end;
    return d->data + d->end;
}

void vh__agent_decoder_fed(vh__agent_decoder *d, size_t n)
{
    d->end += n;
}

/* A message being taken apart: its slots for list members are handed out from the decoder's. */
struct taking {
    vh__agent_decoder *d;
    vh__agent_msg *m;
    size_t used; /* slots */
    uint32_t seen; /* tags, one bit each */
};

static const char *take_list(struct taking *t, const vh__agent_field *f, const uint8_t *value, uint32_t len)
{
    vh__agent_list *list = (void *)((char *)t->m + f->offset);
    const char **slots = t->d->slots + t->used;
    uint32_t n = 0;

    if (len && value[len - 1] != '\0')
        return "a string without its end";
    for (uint32_t at = 0; at < len; n++) {
        if (n == f->max || t->used + n + 1 == sizeof(t->d->slots) / sizeof(t->d->slots[0]))
            return "too many strings";
        slots[n] = (const char *)value + at;
        at += (uint32_t)strlen(slots[n]) + 1;
    }
    slots[n] = NULL;
    t->used += n + 1;
    *list = (vh__agent_list){ .v = slots, .n = n };
    return NULL;
}

/* Takes one known field; returns what is wrong with it, or NULL. */
static const char *take_value(struct taking *t, const vh__agent_field *f, const uint8_t *value, uint32_t len)
{
    void *to = (char *)t->m + f->offset;
    uint32_t number;
    uint64_t number64;

    if (f->kind != VH_AGENT_LIST && len > f->max)
        return "a field that is too long";
    switch ((vh__agent_kind)f->kind) {
    case VH_AGENT_U32:
        if (len != 4)
            return "a number of the wrong size";
        number = vh__agent_get32(value);
        memcpy(to, &number, sizeof(number));
        return NULL;
    case VH_AGENT_U64:
        if (len != 8)
            return "a number of the wrong size";
        number64 = vh__agent_get64(value);
        memcpy(to, &number64, sizeof(number64));
        return NULL;
    case VH_AGENT_TEXT:
        if (len == 0 || memchr(value, '\0', len) != value + len - 1)
            return "a string without its end";
        memcpy(to, &(const char *){ (const char *)value }, sizeof(char *));
        return NULL;
    case VH_AGENT_LIST:
        return take_list(t, f, value, len);
    case VH_AGENT_BYTES:
        *(vh__agent_bytes *)to = (vh__agent_bytes){ .data = value, .len = len };
        return NULL;
    case VH_AGENT_FIXED:
        if (len != f->max)
            return "a field of the wrong size";
        memcpy(to, value, len);
        return NULL;
    }
    return "a field of no kind";
}

static const vh__agent_field *find_field(unsigned type, unsigned tag)
{
    for (size_t i = 0; i < vh__agent_nfields; i++)
        if (vh__agent_fields[i].type == type && vh__agent_fields[i].tag == tag)
            return &vh__agent_fields[i];
    return NULL;
}

/* What a message holds before its fields come: zeros, and pointers that are never NULL. */
static void set_defaults(struct taking *t)
{
    for (size_t i = 0; i < vh__agent_nfields; i++) {
        const vh__agent_field *f = &vh__agent_fields[i];
        void *to = (char *)t->m + f->offset;

        if (f->type != t->m->type)
            continue;
        if (f->kind == VH_AGENT_TEXT)
            memcpy(to, &(const char *){ "" }, sizeof(char *));
        if (f->kind == VH_AGENT_BYTES)
            ((vh__agent_bytes *)to)->data = "";
        if (f->kind == VH_AGENT_LIST)
            ((vh__agent_list *)to)->v = t->d->slots;
    }
    t->d->slots[t->used++] = NULL; /* the empty list that absent ones share */
}

static const char *take_body(struct taking *t, const uint8_t *body, size_t len)
{
    const vh__agent_field *f;
    const char *wrong;

    while (len) {
        uint32_t n;

        if (len < VH_AGENT_TLV)
            return "a field that is cut";
        n = vh__agent_get32(body + 2);
        if (n > len - VH_AGENT_TLV)
            return "a field longer than its message";
        f = find_field(t->m->type, vh__agent_get16(body));
        if (f && (t->seen & 1u << f->tag))
            return "a field twice";
        wrong = f ? take_value(t, f, body + VH_AGENT_TLV, n) : NULL;
        if (wrong)
            return wrong;
        if (f)
            t->seen |= 1u << f->tag;
        body += VH_AGENT_TLV + n;
        len -= VH_AGENT_TLV + n;
    }
    return NULL;
}

static bool is_stream(unsigned type, unsigned stream)
{
    if (type == VH_AGENT_OUTPUT)
        return stream == VH_AGENT_STDOUT || stream == VH_AGENT_STDERR;
    return vh__agent_type_is_exec(type) ? stream != 0 : stream == 0;
}

static const char *check_header(const vh__agent_decoder *d, const uint8_t *h)
{
    unsigned type = vh__agent_get16(h + 4), stream = vh__agent_get16(h + 6);

    if (vh__agent_get32(h) != VH_AGENT_MAGIC)
        return "bytes that are no frame";
    if (!vh__agent_type_from(type, d->from))
        return "a message of no known type";
    if (!is_stream(type, stream))
        return "a stream of no known number";
    if (vh__agent_get32(h + 8) > VH_AGENT_FRAME_MAX - VH_AGENT_HEADER)
        return "a frame that is too long";
    return NULL;
}

static int die(vh__agent_decoder *d, const char *why)
{
    d->error = why;
    return -1;
}

int vh__agent_decoder_next(vh__agent_decoder *d, vh__agent_msg *m)
{
    const uint8_t *frame = d->data + d->start;
    size_t have = d->end - d->start, body;
    struct taking t = { .d = d, .m = m };
    const char *wrong;

    if (d->error)
        return -1;
    if (have < VH_AGENT_HEADER)
        return 0;
    wrong = check_header(d, frame);
    if (wrong)
        return die(d, wrong);
    body = vh__agent_get32(frame + 8);
    if (have - VH_AGENT_HEADER < body)
        return 0;
    memset(m, 0, sizeof(*m));
    m->type = vh__agent_get16(frame + 4);
    m->stream = vh__agent_get16(frame + 6);
    set_defaults(&t);
    wrong = take_body(&t, frame + VH_AGENT_HEADER, body);
    if (wrong)
        return die(d, wrong);
    d->start += VH_AGENT_HEADER + body;
    return 1;
}
