/*
 * Text with a zero byte in it. protobuf-c gives text without its length, so what follows that byte would be lost, and what
 * was looked at would not be what was sent: it has to be found in the bytes of the message.
 */
#include "proto_priv.h"

#include <string.h>

struct bytes {
    const uint8_t *at, *end;
};

static bool take_varint(struct bytes *b, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; b->at < b->end && shift < 64; shift += 7) {
        uint8_t byte = *b->at++;

        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

/* The bytes of a field's value behind its tag; for a varint none are of interest. */
static bool take_value(struct bytes *b, unsigned wire_type, struct bytes *value)
{
    uint64_t n = 0;

    switch (wire_type) {
    case PROTOBUF_C_WIRE_TYPE_VARINT: return take_varint(b, &n);
    case PROTOBUF_C_WIRE_TYPE_64BIT: n = 8; break;
    case PROTOBUF_C_WIRE_TYPE_32BIT: n = 4; break;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        if (!take_varint(b, &n))
            return false;
        break;
    default: return false;
    }
    if (n > (uint64_t)(b->end - b->at))
        return false;
    *value = (struct bytes){ b->at, b->at + n };
    b->at += n;
    return true;
}

/* Its types do not contain themselves, so this goes as deep as they do. */
static const char *find(const ProtobufCMessageDescriptor *type, struct bytes b)
{
    const char *found = NULL;
    uint64_t tag;

    while (!found && b.at < b.end && take_varint(&b, &tag)) {
        struct bytes value = { NULL, NULL };
        const ProtobufCFieldDescriptor *field;

        if (!take_value(&b, tag & 7, &value))
            return NULL;
        field = protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
        if (!field || (tag & 7) != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED || value.at == value.end)
            continue;
        if (field->type == PROTOBUF_C_TYPE_STRING && memchr(value.at, 0, (size_t)(value.end - value.at)))
            found = field->name;
        else if (field->type == PROTOBUF_C_TYPE_MESSAGE)
            found = find(field->descriptor, value);
    }
    return found;
}

const char *vh__proto_cut_text(const ProtobufCMessageDescriptor *type, const void *bytes, size_t n)
{
    return find(type, (struct bytes){ bytes, (const uint8_t *)bytes + n });
}
