#include "h2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"

/* nghttp2 allocates through these, so that the failing allocator of the tests reaches it. */
static void *mem_malloc(size_t n, void *arg)
{
    (void)arg;
    return malloc(n);
}

static void mem_free(void *p, void *arg)
{
    (void)arg;
    free(p);
}

static void *mem_calloc(size_t n, size_t m, void *arg)
{
    (void)arg;
    return calloc(n, m);
}

static void *mem_realloc(void *p, size_t n, void *arg)
{
    (void)arg;
    return realloc(p, n);
}

static int session_new(bool server, const nghttp2_session_callbacks *cbs, void *arg, nghttp2_session **session)
{
    nghttp2_mem mem = { NULL, mem_malloc, mem_free, mem_calloc, mem_realloc };
    nghttp2_option *option;
    int rc = nghttp2_option_new(&option);

    if (rc)
        return rc;
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_no_auto_window_update(option, 1); /* a stream's window opens as its owner takes what came */
    rc = server ? nghttp2_session_server_new3(session, cbs, arg, option, &mem)
                : nghttp2_session_client_new3(session, cbs, arg, option, &mem);
    nghttp2_option_del(option);
    return rc;
}

/* Where the limits name no windows they are HTTP/2's own. */
static int settle(nghttp2_session *session, bool server, const vh__h2_limits *limits)
{
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits->header_list },
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->max_streams },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits->window ? limits->window : NGHTTP2_INITIAL_WINDOW_SIZE },
        { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 }, /* only a client may say so */
    };
    int rc = nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings,
                                     VH_ARRAY_LEN(settings) - (server ? 1 : 0));

    if (!rc && limits->connection_window)
        rc = nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, (int32_t)limits->connection_window);
    return rc;
}

int vh__h2_relay_session(bool server, const nghttp2_session_callbacks *cbs, void *arg, const vh__h2_limits *limits,
                         nghttp2_session **session, vh_error *err)
{
    nghttp2_session *s = NULL;
    int rc = session_new(server, cbs, arg, &s);

    if (!rc)
        rc = settle(s, server, limits);
    if (rc) {
        nghttp2_session_del(s);
        return vh__h2_error(rc, "HTTP/2 session", err);
    }
    *session = s;
    return 0;
}

int vh__h2_session(bool server, const nghttp2_session_callbacks *cbs, void *arg, uint32_t max_streams,
                   nghttp2_session **session, vh_error *err)
{
    const vh__h2_limits limits = { .max_streams = max_streams, .header_list = VH_H2_HEADER_LIST };

    return vh__h2_relay_session(server, cbs, arg, &limits, session, err);
}

int vh__h2_error(int rc, const char *what, vh_error *err)
{
    int code = rc == NGHTTP2_ERR_NOMEM ? -ENOMEM : VH_EPROTOCOL;

    return vh_error_set(err, code, "%s: %s", what, nghttp2_strerror(rc));
}

int vh__h2_recv(nghttp2_session *session, const void *bytes, size_t n, vh_error *err)
{
    ssize_t rc = nghttp2_session_mem_recv(session, bytes, n);

    return rc < 0 ? vh__h2_error((int)rc, "peer does not speak HTTP/2", err) : 0;
}

int vh__h2_output(nghttp2_session *session, vh__buf *out, vh_error *err)
{
    while (out->len < VH_H2_OUTPUT) {
        const uint8_t *bytes;
        ssize_t n = nghttp2_session_mem_send(session, &bytes);

        if (n < 0)
            return vh__h2_error((int)n, "HTTP/2 output", err);
        if (n == 0)
            break;
        vh__buf_append(out, bytes, (size_t)n);
    }
    return vh__buf_check(out, "HTTP/2 output", err);
}

int vh__h2_release(nghttp2_session *session, int32_t id, size_t *held)
{
    int rc = *held ? nghttp2_session_consume_stream(session, id, *held) : 0;

    *held = 0;
    return rc;
}

bool vh__h2_alive(nghttp2_session *session)
{
    return nghttp2_session_want_read(session) || nghttp2_session_want_write(session);
}

nghttp2_nv vh__h2_field(const char *name, const char *value, size_t value_len)
{
    return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), value_len,
                         NGHTTP2_NV_FLAG_NONE };
}

bool vh__h2_name_is(const uint8_t *name, size_t n, const char *want)
{
    return n == strlen(want) && memcmp(name, want, n) == 0;
}

void vh__h2_body_add(vh__h2_body *body, vh__buf *bytes)
{
    vh__buf whole = body->bytes;

    if (body->sent == whole.len && !whole.oom) { /* empty: the buffers change places */
        body->bytes = *bytes;
        *bytes = whole;
    } else {
        vh__buf_consume(&body->bytes, body->sent); /* else what was sent would pile up in front */
        vh__buf_append(&body->bytes, bytes->data, bytes->len);
        body->bytes.oom |= bytes->oom;
    }
    vh__buf_clear(bytes);
    body->sent = 0;
}

void vh__h2_body_drop(vh__h2_body *body)
{
    vh__buf_fini(&body->bytes);
    body->sent = 0;
}

ssize_t vh__h2_body_read(vh__h2_body *body, uint8_t *to, size_t cap, uint32_t *flags)
{
    size_t n = VH_MIN(cap, body->bytes.len - body->sent);

    if (n)
        memcpy(to, body->bytes.data + body->sent, n);
    body->sent += n;
    if (body->sent == body->bytes.len) {
        vh__buf_clear(&body->bytes);
        body->sent = 0;
        if (body->last)
            *flags |= NGHTTP2_DATA_FLAG_EOF;
        else if (n == 0)
            return NGHTTP2_ERR_DEFERRED;
    }
    return (ssize_t)n;
}
