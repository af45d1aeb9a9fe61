#include "proto_priv.h"

#include <errno.h>
#include <string.h>

#include "auto.h"

/* Looks at one text of a message, and may put another in its place. */
typedef int (*text_fn)(char **text, void *arg, vh_error *err);

static int each_text(ProtobufCMessage *message, text_fn look, void *arg, vh_error *err);

/* One member, or one of several. */
static int look_at(const ProtobufCFieldDescriptor *field, void *member, text_fn look, void *arg, vh_error *err)
{
    void **pointer = member;

    if (!*pointer)
        return 0;
    if (field->type == PROTOBUF_C_TYPE_STRING)
        return look((char **)pointer, arg, err);
    return each_text(*pointer, look, arg, err);
}

/* How many values the member |field| has; |*at| is where they lie. */
static size_t values(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, char **at)
{
    char *base = (char *)message;

    *at = base + field->offset;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t n = *(size_t *)(base + field->quantifier_offset);

        if (n)
            *at = *(char **)*at;
        return n;
    }
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(uint32_t *)(base + field->quantifier_offset) == field->id;
    return 1;
}

/* Calls |look| for every text in |message|. Its types do not contain themselves, so this goes as deep as they do. */
static int each_text(ProtobufCMessage *message, text_fn look, void *arg, vh_error *err)
{
    int rc = 0;

    for (unsigned f = 0; f < message->descriptor->n_fields && rc == 0; f++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[f];
        size_t n;
        char *at;

        if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        n = values(message, field, &at);
        for (size_t i = 0; i < n && rc == 0; i++)
            rc = look_at(field, at + i * sizeof(void *), look, arg, err);
    }
    return rc;
}

/* Texts that stand in for others while a message is written. */
struct stand_ins {
    struct {
        char **at, *was;
    } *v;
    size_t n;
};

static int make_utf8(char **text, void *arg, vh_error *err)
{
    struct stand_ins *made = arg;
    size_t n = strlen(*text), good = vh__proto_utf8(*text, n);
    void *grown;
    char *copy;

    if (good == n)
        return 0;
    grown = realloc(made->v, (made->n + 1) * sizeof(*made->v));
    if (!grown)
        return vh_error_set(err, -ENOMEM, "message");
    made->v = grown;
    copy = strdup(*text);
    if (!copy)
        return vh_error_set(err, -ENOMEM, "message");
    for (; good < n; good += 1 + vh__proto_utf8(copy + good + 1, n - good - 1))
        copy[good] = '?';
    made->v[made->n].at = text;
    made->v[made->n++].was = *text;
    *text = copy;
    return 0;
}

/* Texts and lists of them are borrowed: whoever owns them must find his own again. */
static void put_back(struct stand_ins *made)
{
    for (size_t i = 0; i < made->n; i++) {
        free(*made->v[i].at);
        *made->v[i].at = made->v[i].was;
    }
    free(made->v);
}

int vh__proto_pack(ProtobufCMessage *message, vh__buf *out, vh_error *err)
{
    struct stand_ins made = { 0 };
    int rc = each_text(message, make_utf8, &made, err);
    uint8_t *to;

    if (rc == 0) {
        to = vh__buf_reserve(out, protobuf_c_message_get_packed_size(message));
        if (to)
            out->len += protobuf_c_message_pack(message, to);
        rc = vh__buf_check(out, "message", err);
    }
    put_back(&made);
    return rc;
}

/* What is left of VH_PROTO_MEMORY, and why an allocation failed. */
struct budget {
    size_t left;
    bool passed, oom;
};

static void *take(void *arg, size_t n)
{
    struct budget *b = arg;
    void *p;

    if (n > b->left) {
        b->passed = true;
        return NULL;
    }
    b->left -= n;
    p = malloc(n);
    b->oom = b->oom || !p;
    return p;
}

static void give_back(void *arg, void *p)
{
    (void)arg; /* a message is freed as a whole */
    free(p);
}

static int must_be_utf8(char **text, void *arg, vh_error *err)
{
    const ProtobufCMessageDescriptor *type = arg;
    size_t n = strlen(*text);

    return vh__proto_utf8(*text, n) == n
               ? 0
               : vh_error_set(err, VH_EINVALID, "%s: a text in it is not UTF-8", type->name);
}

int vh__proto_check(ProtobufCMessage *message, vh_error *err)
{
    return each_text(message, must_be_utf8, (void *)message->descriptor, err);
}

int vh__proto_unpack(const ProtobufCMessageDescriptor *type, const void *bytes, size_t n, ProtobufCMessage **message,
                     vh_error *err)
{
    struct budget budget = { .left = VH_PROTO_MEMORY };
    ProtobufCAllocator allocator = { .alloc = take, .free = give_back, .allocator_data = &budget };
    ProtobufCMessage *m = protobuf_c_message_unpack(type, &allocator, n, bytes);
    const char *cut = m && n ? vh__proto_cut_text(type, bytes, n) : NULL;
    int rc;

    if (!m && budget.passed)
        return vh_error_set(err, VH_ELIMIT, "%s: takes more than %u MiB of memory", type->name, VH_PROTO_MEMORY >> 20);
    if (!m && budget.oom)
        return vh_error_set(err, -ENOMEM, "%s", type->name);
    if (!m)
        return vh_error_set(err, VH_EINVALID, "%s: the %zu bytes are no such message", type->name, n);
    if (cut)
        rc = vh_error_set(err, VH_EINVALID, "%s: there is a zero byte in the text of %s", type->name, cut);
    else
        rc = vh__proto_check(m, err);
    if (rc) {
        vh__proto_free(m);
        return rc;
    }
    *message = m;
    return 0;
}

void vh__proto_free(ProtobufCMessage *message)
{
    if (message)
        protobuf_c_message_free_unpacked(message, NULL);
}
