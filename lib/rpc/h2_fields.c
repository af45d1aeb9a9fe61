#include "h2_fields.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "h2.h"

void vh__h2_fields_clear(vh__h2_fields *f)
{
    for (size_t i = 0; i < f->n; i++) {
        nghttp2_rcbuf_decref(f->pairs[i].name);
        nghttp2_rcbuf_decref(f->pairs[i].value);
    }
    f->n = f->bytes = 0;
    f->over = false;
}

void vh__h2_fields_fini(vh__h2_fields *f)
{
    vh__h2_fields_clear(f);
    free(f->pairs);
    *f = (vh__h2_fields){ 0 };
}

static int grow(vh__h2_fields *f)
{
    size_t cap = f->cap ? f->cap * 2 : 16;
    struct vh__h2_pair *pairs = realloc(f->pairs, cap * sizeof(*pairs));

    if (!pairs)
        return -ENOMEM;
    f->pairs = pairs;
    f->cap = cap;
    return 0;
}

int vh__h2_fields_add(vh__h2_fields *f, nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags)
{
    f->bytes += nghttp2_rcbuf_get_buf(name).len + nghttp2_rcbuf_get_buf(value).len + 32;
    if (f->over || f->bytes > VH_H2_RELAY_LIST || f->n == VH_H2_RELAY_FIELDS) {
        f->over = true;
        return 0;
    }
    if (f->n == f->cap && grow(f))
        return -ENOMEM;
    nghttp2_rcbuf_incref(name);
    nghttp2_rcbuf_incref(value);
    f->pairs[f->n++] = (struct vh__h2_pair){ name, value, flags };
    return 0;
}

nghttp2_rcbuf *vh__h2_fields_find(const vh__h2_fields *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++) {
        nghttp2_vec got = nghttp2_rcbuf_get_buf(f->pairs[i].name);

        if (vh__h2_name_is(got.base, got.len, name))
            return f->pairs[i].value;
    }
    return NULL;
}

size_t vh__h2_fields_nv(const vh__h2_fields *f, nghttp2_nv nv[VH_H2_RELAY_FIELDS])
{
    for (size_t i = 0; i < f->n; i++) {
        nghttp2_vec name = nghttp2_rcbuf_get_buf(f->pairs[i].name);
        nghttp2_vec value = nghttp2_rcbuf_get_buf(f->pairs[i].value);

        /* The flag that forbids compression goes on with the field: somebody took it for a secret. */
        nv[i] = (nghttp2_nv){ name.base, value.base, name.len, value.len,
                              f->pairs[i].flags & NGHTTP2_NV_FLAG_NO_INDEX };
    }
    return f->n;
}

void vh__h2_fields_swap(vh__h2_fields *a, vh__h2_fields *b)
{
    vh__h2_fields was = *a;

    *a = *b;
    *b = was;
}
