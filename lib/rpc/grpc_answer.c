#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "clock.h"
#include "grpc_server_priv.h"

void vh__grpc_refuse(struct stream *st, vh__grpc_status status, const char *why)
{
    if (st->status != VH_GRPC_OK)
        return;
    st->status = status;
    vh__buf_clear(&st->message);
    vh__buf_puts(&st->message, why);
}

#define STATUS_FIELDS 3

/* The status as header fields, and what they borrow. */
struct status_fields {
    nghttp2_nv nv[STATUS_FIELDS];
    size_t n;
    char code[12];
    vh__buf message, details;
};

static void status_fields_fini(struct status_fields *f)
{
    vh__buf_fini(&f->message);
    vh__buf_fini(&f->details);
}

/* A code of nghttp2. */
static int status_fields_init(struct status_fields *f, const struct stream *st)
{
    *f = (struct status_fields){ .n = 0 };
    (void)snprintf(f->code, sizeof(f->code), "%d", st->status);
    vh__grpc_message_encode(st->message.data ? st->message.data : "", st->message.len, &f->message);
    if (st->details.len <= VH_GRPC_DETAILS_MAX)
        vh__grpc_binary_encode(st->details.data, st->details.len, &f->details);
    if (f->message.oom || f->details.oom)
        return NGHTTP2_ERR_NOMEM;
    f->nv[f->n++] = vh__h2_field("grpc-status", f->code, strlen(f->code));
    if (f->message.len)
        f->nv[f->n++] = vh__h2_field("grpc-message", f->message.data, f->message.len);
    if (f->details.len)
        f->nv[f->n++] = vh__h2_field("grpc-status-details-bin", f->details.data, f->details.len);
    return 0;
}

static int submit_trailers(nghttp2_session *session, const struct stream *st)
{
    struct status_fields f;
    int rc = status_fields_init(&f, st);

    if (!rc)
        rc = nghttp2_submit_trailer(session, st->id, f.nv, f.n);
    status_fields_fini(&f);
    return rc;
}

/* Headers alone, which are the trailers at once. */
static int submit_status(vh__grpc_server *s, const struct stream *st)
{
    nghttp2_nv fields[2 + STATUS_FIELDS] = {
        vh__h2_field(":status", "200", 3),
        vh__h2_field("content-type", "application/grpc", 16),
    };
    struct status_fields f;
    int rc = status_fields_init(&f, st);

    memcpy(fields + 2, f.nv, sizeof(f.nv));
    if (!rc)
        rc = nghttp2_submit_response(s->session, st->id, fields, 2 + f.n, NULL);
    status_fields_fini(&f);
    return rc;
}

/* A web browser or a probe came by: the answer is HTTP's. */
static int submit_http(vh__grpc_server *s, const struct stream *st)
{
    const char *code = st->post ? "415" : "405";
    const nghttp2_nv status = vh__h2_field(":status", code, 3);

    return nghttp2_submit_response(s->session, st->id, &status, 1, NULL);
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t cap, uint32_t *flags,
                         nghttp2_data_source *source, void *arg)
{
    vh__grpc_server *s = arg;
    struct stream *st = source->ptr;
    ssize_t n;

    (void)id;
    if (st->told && vh__h2_body_left(&st->out) == 0)
        s->events->drained(&st->pub);
    n = vh__h2_body_read(&st->out, to, cap, flags);
    if (n > 0)
        st->moved_ns = vh__clock_mono_ns();
    if (*flags & NGHTTP2_DATA_FLAG_EOF) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM; /* the trailers end it */
        if (submit_trailers(session, st))
            return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    return n;
}

static int submit_body(vh__grpc_server *s, struct stream *st)
{
    const nghttp2_nv fields[] = {
        vh__h2_field(":status", "200", 3),
        vh__h2_field("content-type", "application/grpc", 16),
    };
    nghttp2_data_provider body = { .source.ptr = st, .read_callback = read_body };

    st->started = true;
    return nghttp2_submit_response(s->session, st->id, fields, VH_ARRAY_LEN(fields), &body);
}

int vh__grpc_answer_more(vh__grpc_server *s, struct stream *st)
{
    int rc;

    if (!st->started)
        return submit_body(s, st);
    rc = nghttp2_session_resume_data(s->session, st->id);
    return rc == NGHTTP2_ERR_INVALID_ARGUMENT ? 0 : rc; /* nothing was deferred: it goes out by itself */
}

int vh__grpc_answer(vh__grpc_server *s, struct stream *st)
{
    if (st->answered)
        return 0;
    st->answered = true;
    st->out.last = true;
    if (!st->post || !st->grpc)
        return submit_http(s, st);
    if (!st->started && vh__h2_body_left(&st->out) == 0)
        return submit_status(s, st);
    return vh__grpc_answer_more(s, st);
}

int vh__grpc_answer_now(vh__grpc_server *s, struct stream *st)
{
    vh__h2_body_drop(&st->out);
    if (!st->started)
        return vh__grpc_answer(s, st);
    st->answered = true;
    return submit_trailers(s->session, st);
}
