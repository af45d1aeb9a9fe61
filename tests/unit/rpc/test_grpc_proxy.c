/* The proxy's core between a client and a backend, both of them plain sessions of nghttp2 in memory. */
#include "testenv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "failalloc.h"
#include "grpc_proxy.h"
#include "h2.h"

#define MAX_STREAMS 1000
#define MAX_MESSAGE (17u << 20)
#define STREAMS     2048

/* One stream as a peer sees it. */
struct stream {
    vh__buf fields, data; /* "name: value\n" of all header blocks, "--\n" before trailers; what came */
    vh__h2_body out;      /* what is to be sent */
    const char *status;   /* server: ends the answer, as a trailer */
    bool ended, closed;
    uint32_t code;
};

struct peer {
    nghttp2_session *session;
    struct stream streams[STREAMS]; /* by half of the identifier */
    bool greedy;                    /* it opens windows as bytes come, and does not wait until it is asked */
    bool echo;                      /* server: answers each request with its bytes once it is whole */
    bool goaway;
    size_t unread;
};

struct world {
    vh__grpc_proxy *proxy;
    vh__grpc_end *front, *back;
    struct peer client, *server;
    int connects;
    bool unreachable;
    vh__grpc_proxied last;
    char last_path[64];
    int open, over;
};

static struct stream *stream_of(struct peer *p, int32_t id)
{
    assert_in_range(id, 1, 2 * STREAMS - 1);
    return &p->streams[id / 2];
}

static int peer_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                       const uint8_t *value, size_t n, uint8_t flags, void *arg)
{
    struct stream *st = stream_of(arg, frame->hd.stream_id);

    (void)session;
    (void)flags;
    vh__buf_append(&st->fields, name, name_len);
    vh__buf_puts(&st->fields, ": ");
    vh__buf_append(&st->fields, value, n);
    vh__buf_puts(&st->fields, "\n");
    return 0;
}

static int peer_begin(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct stream *st = stream_of(arg, frame->hd.stream_id);

    (void)session;
    if (st->fields.len)
        vh__buf_puts(&st->fields, "--\n");
    return 0;
}

static ssize_t peer_read(nghttp2_session *session, int32_t id, uint8_t *to, size_t cap, uint32_t *flags,
                         nghttp2_data_source *source, void *arg)
{
    struct stream *st = stream_of(arg, id);
    ssize_t n = vh__h2_body_read(&st->out, to, cap, flags);

    (void)source;
    if (*flags & NGHTTP2_DATA_FLAG_EOF && st->status) {
        const nghttp2_nv nv[] = { vh__h2_field("grpc-status", st->status, strlen(st->status)),
                                  vh__h2_field("grpc-status-details-bin", "CAUS", 4) };

        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        assert_int_equal(nghttp2_submit_trailer(session, id, nv, VH_ARRAY_LEN(nv)), 0);
    }
    return n;
}

/* Adds bytes to what a peer sends, the last of the stream if so. */
static void say(struct peer *p, int32_t id, const void *bytes, size_t n, bool last)
{
    struct stream *st = stream_of(p, id);

    vh__buf_append(&st->out.bytes, bytes, n);
    st->out.last = last;
    (void)nghttp2_session_resume_data(p->session, id); /* fails where nothing waited */
}

/* The server's answer: HEADERS, and what say() adds. */
static void answer(struct peer *p, int32_t id, const char *status)
{
    const nghttp2_nv nv[] = { vh__h2_field(":status", "200", 3),
                              vh__h2_field("content-type", "application/grpc", 16),
                              vh__h2_field("x-dup", "1", 1), vh__h2_field("x-dup", "2", 1) };
    nghttp2_data_provider body = { .read_callback = peer_read };

    stream_of(p, id)->status = status;
    assert_int_equal(nghttp2_submit_response(p->session, id, nv, VH_ARRAY_LEN(nv), &body), 0);
}

static int peer_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct peer *p = arg;
    struct stream *st;

    (void)session;
    p->goaway |= frame->hd.type == NGHTTP2_GOAWAY;
    if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
        !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    st = stream_of(p, frame->hd.stream_id);
    st->ended = true;
    if (p->echo) {
        answer(p, frame->hd.stream_id, "0");
        say(p, frame->hd.stream_id, st->data.data, st->data.len, true);
    }
    return 0;
}

static int peer_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t n, void *arg)
{
    struct peer *p = arg;

    (void)flags;
    vh__buf_append(&stream_of(p, id)->data, bytes, n);
    p->unread += n;
    return p->greedy ? nghttp2_session_consume(session, id, n) : nghttp2_session_consume_connection(session, n);
}

static int peer_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
    struct stream *st = stream_of(arg, id);

    (void)session;
    st->closed = true;
    st->code = code;
    return 0;
}

static void peer_init(struct peer *p, bool server, uint32_t max_streams)
{
    nghttp2_session_callbacks *cbs;
    vh_error err = { 0 };

    p->greedy = true;
    assert_int_equal(nghttp2_session_callbacks_new(&cbs), 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cbs, peer_begin);
    nghttp2_session_callbacks_set_on_header_callback(cbs, peer_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cbs, peer_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cbs, peer_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cbs, peer_close);
    assert_ok(vh__h2_session(server, cbs, p, max_streams, &p->session, &err), err);
    nghttp2_session_callbacks_del(cbs);
}

static void peer_fini(struct peer *p)
{
    nghttp2_session_del(p->session);
    for (size_t i = 0; i < STREAMS; i++) {
        vh__buf_fini(&p->streams[i].fields);
        vh__buf_fini(&p->streams[i].data);
        vh__buf_fini(&p->streams[i].out.bytes);
    }
}

static void *on_connect(vh__grpc_end *back, vh__grpc_end *front, void *arg)
{
    struct world *w = arg;

    assert_ptr_equal(front, w->front);
    w->connects++;
    if (w->unreachable)
        return NULL;
    w->back = back;
    return w;
}

static void on_wake(vh__grpc_end *end, void *arg)
{
    (void)end;
    (void)arg;
}

static void on_call(const vh__grpc_proxied *ended, void *arg)
{
    struct world *w = arg;

    w->open += ended ? -1 : 1;
    if (!ended)
        return;
    w->over++;
    w->last = *ended;
    (void)snprintf(w->last_path, sizeof(w->last_path), "%s", ended->path);
}

static void new_server(struct world *w, uint32_t max_streams)
{
    w->server = test_calloc(1, sizeof(*w->server));
    peer_init(w->server, true, max_streams);
}

static void world_init_small(struct world *w, uint32_t max_streams)
{
    const vh__grpc_proxy_owner owner = { on_connect, on_wake, on_call, w };
    vh_error err = { 0 };

    memset(w, 0, sizeof(*w));
    assert_ok(vh__grpc_proxy_new(&owner, MAX_MESSAGE, max_streams, &w->proxy, &err), err);
    assert_ok(vh__grpc_front_new(w->proxy, w, &w->front, &err), err);
    peer_init(&w->client, false, 0);
    new_server(w, 5000);
}

static void world_init(struct world *w)
{
    world_init_small(w, MAX_STREAMS);
}

static void free_server(struct world *w)
{
    if (w->server)
        peer_fini(w->server);
    test_free(w->server);
    w->server = NULL;
}

static void world_fini(struct world *w)
{
    vh__grpc_end_free(w->front, "");
    vh__grpc_end_free(w->back, "");
    vh__grpc_proxy_free(w->proxy);
    peer_fini(&w->client);
    free_server(w);
    assert_int_equal(w->open, 0);
}

static size_t from_peer(struct peer *p, vh__grpc_end *end)
{
    vh_auto_buf vh__buf out = { 0 };
    vh_error err = { 0 };

    if (!p || !end)
        return 0;
    assert_ok(vh__h2_output(p->session, &out, &err), err);
    if (out.len)
        assert_ok(vh__grpc_end_recv(end, out.data, out.len, &err), err);
    return out.len;
}

static size_t to_peer(vh__grpc_end *end, struct peer *p)
{
    vh_auto_buf vh__buf out = { 0 };
    vh_error err = { 0 };

    if (!p || !end)
        return 0;
    assert_ok(vh__grpc_end_output(end, &out, &err), err);
    assert_true(out.len < VH_H2_OUTPUT + 32768);
    if (out.len)
        assert_ok(vh__h2_recv(p->session, out.data, out.len, &err), err);
    return out.len;
}

/* Moves what each has to say until all are quiet. */
static void pump(struct world *w)
{
    size_t moved;

    do {
        moved = from_peer(&w->client, w->front);
        moved += to_peer(w->back, w->server);
        moved += from_peer(w->server, w->back);
        moved += to_peer(w->front, &w->client);
    } while (moved);
}

/* A request of |extra| fields beside the usual ones; its body is what say() adds. */
static int32_t request(struct world *w, const char *path, const nghttp2_nv *extra, size_t n)
{
    nghttp2_nv nv[640] = {
        vh__h2_field(":method", "POST", 4), vh__h2_field(":scheme", "http", 4),
        vh__h2_field(":path", path, strlen(path)), vh__h2_field(":authority", "localhost", 9),
        vh__h2_field("te", "trailers", 8), vh__h2_field("content-type", "application/grpc", 16),
    };
    nghttp2_data_provider body = { .read_callback = peer_read };

    for (size_t i = 0; i < n; i++)
        nv[6 + i] = extra[i];
    return nghttp2_submit_request(w->client.session, NULL, nv, 6 + n, &body, NULL);
}

static int32_t unary(struct world *w, const char *path)
{
    int32_t id = request(w, path, NULL, 0);

    say(&w->client, id, "\0\0\0\0\2hi", 7, true);
    return id;
}

static const char *fields_of(struct peer *p, int32_t id)
{
    const char *text = stream_of(p, id)->fields.data;

    return text ? text : "";
}

static void assert_refused(struct world *w, int32_t id, vh__grpc_status status, const char *message)
{
    char want[600];

    (void)snprintf(want, sizeof(want),
                   ":status: 200\ncontent-type: application/grpc\ngrpc-status: %d\ngrpc-message: %s\n", status, message);
    assert_string_equal(fields_of(&w->client, id), want);
    assert_true(stream_of(&w->client, id)->ended);
}

static void a_call_of_any_method_passes_with_all_its_fields(void **state)
{
    const nghttp2_nv extra[] = { vh__h2_field("grpc-timeout", "10S", 3), vh__h2_field("grpc-encoding", "gzip", 4),
                                 vh__h2_field("grpc-accept-encoding", "identity,gzip", 13),
                                 vh__h2_field("x-dup", "b", 1), vh__h2_field("x-dup", "a", 1),
                                 vh__h2_field("x-bin", "AAEC", 4), vh__h2_field("user-agent", "nobody", 6) };
    struct world w;
    int32_t id;

    (void)state;
    world_init(&w);
    w.server->echo = true;
    id = request(&w, "/no.body.Knows/This", extra, VH_ARRAY_LEN(extra));
    say(&w.client, id, "\1\0\0\0\3zip", 8, true); /* compressed, for all we know */
    pump(&w);
    assert_string_equal(fields_of(w.server, 1),
                        ":method: POST\n:scheme: http\n:path: /no.body.Knows/This\n:authority: localhost\n"
                        "te: trailers\ncontent-type: application/grpc\ngrpc-timeout: 10S\ngrpc-encoding: gzip\n"
                        "grpc-accept-encoding: identity,gzip\nx-dup: b\nx-dup: a\nx-bin: AAEC\nuser-agent: nobody\n");
    assert_string_equal(fields_of(&w.client, id),
                        ":status: 200\ncontent-type: application/grpc\nx-dup: 1\nx-dup: 2\n--\n"
                        "grpc-status: 0\ngrpc-status-details-bin: CAUS\n");
    assert_int_equal(stream_of(&w.client, id)->data.len, 8);
    assert_memory_equal(stream_of(&w.client, id)->data.data, "\1\0\0\0\3zip", 8);
    assert_int_equal(w.over, 1);
    assert_string_equal(w.last_path, "/no.body.Knows/This");
    assert_true(w.last.answered && w.last.status == VH_GRPC_OK);
    world_fini(&w);
}

static void an_answer_of_trailers_alone_passes(void **state)
{
    const nghttp2_nv nv[] = { vh__h2_field(":status", "200", 3), vh__h2_field("grpc-status", "12", 2),
                              vh__h2_field("grpc-message", "unknown service", 15) };
    struct world w;
    int32_t id;

    (void)state;
    world_init(&w);
    id = unary(&w, "/a.B/C");
    pump(&w);
    assert_int_equal(nghttp2_submit_response(w.server->session, 1, nv, VH_ARRAY_LEN(nv), NULL), 0);
    pump(&w);
    assert_string_equal(fields_of(&w.client, id), ":status: 200\ngrpc-status: 12\ngrpc-message: unknown service\n");
    assert_true(stream_of(&w.client, id)->closed);
    assert_int_equal(w.last.status, VH_GRPC_UNIMPLEMENTED);
    world_fini(&w);
}

static void messages_pass_both_ways_as_they_come(void **state)
{
    struct world w;
    int32_t id;

    (void)state;
    world_init(&w);
    id = request(&w, "/a.B/Chat", NULL, 0);
    pump(&w);
    answer(w.server, 1, "0");
    pump(&w);
    assert_non_null(strstr(fields_of(&w.client, id), ":status: 200")); /* the head before any message */
    for (int i = 1; i <= 3; i++) {
        say(&w.client, id, "\0\0\0\0\1a", 6, false);
        pump(&w);
        assert_int_equal(stream_of(w.server, 1)->data.len, 6 * i);
        assert_false(stream_of(w.server, 1)->ended);
        say(w.server, 1, "\0\0\0\0\1b", 6, false);
        pump(&w);
        assert_int_equal(stream_of(&w.client, id)->data.len, 6 * i);
    }
    say(&w.client, id, "", 0, true);
    pump(&w);
    assert_true(stream_of(w.server, 1)->ended);
    assert_false(stream_of(&w.client, id)->ended);
    say(w.server, 1, "", 0, true);
    pump(&w);
    assert_true(stream_of(&w.client, id)->ended);
    assert_int_equal(w.open, 0);
    world_fini(&w);
}

static void a_reset_by_the_client_reaches_the_backend_with_its_code(void **state)
{
    static const uint32_t codes[] = { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR, NGHTTP2_ENHANCE_YOUR_CALM };
    struct world w;

    (void)state;
    world_init(&w);
    for (size_t i = 0; i < VH_ARRAY_LEN(codes); i++) {
        int32_t id = i == 1 ? request(&w, "/a.B/C", NULL, 0) : unary(&w, "/a.B/C"); /* half-closed or not */

        pump(&w);
        assert_int_equal(nghttp2_submit_rst_stream(w.client.session, 0, id, codes[i]), 0);
        pump(&w);
        assert_true(stream_of(w.server, id)->closed);
        assert_int_equal(stream_of(w.server, id)->code, codes[i]);
    }
    assert_int_equal(w.open, 0);
    world_fini(&w);
}

static void a_client_that_resets_at_once_leaves_nothing(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    for (int i = 0; i < 50; i++) {
        int32_t id = unary(&w, "/a.B/C");

        (void)from_peer(&w.client, w.front);
        assert_int_equal(nghttp2_submit_rst_stream(w.client.session, 0, id, NGHTTP2_CANCEL), 0);
        if (i % 2)
            pump(&w); /* else the backend never hears of it, or of both at once */
    }
    pump(&w);
    assert_int_equal(w.open, 0);
    assert_int_equal(w.last.status, VH_GRPC_CANCELLED);
    world_fini(&w);
}

static void a_reset_by_the_backend_comes_after_what_it_had_sent(void **state)
{
    struct world w;
    int32_t id;

    (void)state;
    world_init(&w);
    w.client.greedy = false;
    id = unary(&w, "/a.B/C");
    pump(&w);
    answer(w.server, 1, NULL);
    say(w.server, 1, "\0\0\0\0\4half", 9, false);
    (void)from_peer(w.server, w.back);
    assert_int_equal(nghttp2_submit_rst_stream(w.server->session, 0, 1, NGHTTP2_INTERNAL_ERROR), 0);
    pump(&w);
    assert_int_equal(stream_of(&w.client, id)->data.len, 9);
    assert_true(stream_of(&w.client, id)->closed);
    assert_int_equal(stream_of(&w.client, id)->code, NGHTTP2_INTERNAL_ERROR);
    assert_int_equal(w.last.status, VH_GRPC_INTERNAL);
    world_fini(&w);
}

static void a_backend_that_wants_no_more_of_a_request_is_heeded(void **state)
{
    struct world w;
    int32_t id;

    (void)state;
    world_init(&w);
    id = request(&w, "/a.B/C", NULL, 0);
    pump(&w);
    answer(w.server, 1, "9");
    say(w.server, 1, "", 0, true);
    (void)from_peer(w.server, w.back);
    assert_int_equal(nghttp2_submit_rst_stream(w.server->session, 0, 1, NGHTTP2_NO_ERROR), 0);
    pump(&w);
    assert_non_null(strstr(fields_of(&w.client, id), "--\ngrpc-status: 9\n"));
    assert_true(stream_of(&w.client, id)->ended && stream_of(&w.client, id)->closed);
    assert_int_equal(stream_of(&w.client, id)->code, NGHTTP2_NO_ERROR);
    assert_int_equal(w.last.status, VH_GRPC_FAILED_PRECONDITION);
    world_fini(&w);
}

static void put_message(struct peer *p, int32_t id, size_t n)
{
    const uint8_t prefix[5] = { 0, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };
    vh__buf bytes = { 0 };

    vh__buf_append(&bytes, prefix, sizeof(prefix));
    assert_non_null(vh__buf_reserve(&bytes, n));
    memset(bytes.data + 5, 'm', n);
    bytes.len += n;
    say(p, id, bytes.data, bytes.len, true);
    vh__buf_fini(&bytes);
}

/* Lets a peer that is not greedy take what lies there. */
static void take_all(struct peer *p, int32_t id)
{
    assert_int_equal(nghttp2_session_consume_stream(p->session, id, p->unread), 0);
    p->unread = 0;
}

static void a_large_answer_streams_through_a_small_buffer(void **state)
{
    const size_t n = 16u << 20;
    struct world w;
    int32_t id;

    (void)state;
    world_init(&w);
    w.client.greedy = false;
    id = unary(&w, "/a.B/ListImages");
    pump(&w);
    answer(w.server, 1, "0");
    put_message(w.server, 1, n);
    pump(&w);
    assert_int_equal(stream_of(&w.client, id)->data.len, 65535); /* its window; the rest is where it belongs: */
    assert_true(vh__h2_body_left(&stream_of(w.server, 1)->out) >= n - 65535 - VH_PROXY_WINDOW);
    for (int i = 0; i < 2000 && !stream_of(&w.client, id)->ended; i++) {
        take_all(&w.client, id);
        pump(&w);
    }
    assert_true(stream_of(&w.client, id)->ended);
    assert_int_equal(stream_of(&w.client, id)->data.len, n + 5);
    assert_true(vh__grpc_proxy_most_held(w.proxy) <= 1 << 20);
    world_fini(&w);
}

static void a_large_request_waits_for_a_slow_backend(void **state)
{
    const size_t n = 4u << 20;
    struct world w;
    int32_t id;

    (void)state;
    world_init(&w);
    w.server->greedy = false;
    id = request(&w, "/a.B/C", NULL, 0);
    put_message(&w.client, id, n);
    pump(&w);
    assert_true(vh__h2_body_left(&stream_of(&w.client, id)->out) >= n - 65535 - VH_PROXY_WINDOW);
    for (int i = 0; i < 2000 && !stream_of(w.server, 1)->ended; i++) {
        take_all(w.server, 1);
        pump(&w);
    }
    assert_int_equal(stream_of(w.server, 1)->data.len, n + 5);
    assert_true(vh__grpc_proxy_most_held(w.proxy) <= 1 << 20);
    world_fini(&w);
}

static void a_slow_reader_stalls_only_its_own_stream(void **state)
{
    struct world w;
    int32_t slow, quick;

    (void)state;
    world_init(&w);
    w.client.greedy = false;
    slow = unary(&w, "/a.B/Slow");
    pump(&w);
    answer(w.server, slow, "0");
    put_message(w.server, slow, 2u << 20);
    pump(&w);
    w.client.greedy = true;
    quick = unary(&w, "/a.B/Quick");
    pump(&w);
    answer(w.server, quick, "0");
    put_message(w.server, quick, 8u << 20);
    pump(&w);
    assert_int_equal(stream_of(&w.client, quick)->data.len, (8u << 20) + 5);
    assert_true(stream_of(&w.client, quick)->ended);
    assert_false(stream_of(&w.client, slow)->ended);
    world_fini(&w);
}

static void what_a_reset_stream_held_opens_the_window_of_the_rest(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    for (int i = 0; i < 40; i++) { /* more than VH_PROXY_HELD of them in all */
        int32_t id = unary(&w, "/a.B/Dropped");

        w.client.greedy = false;
        pump(&w);
        answer(w.server, id, "0");
        put_message(w.server, id, 300000);
        pump(&w);
        assert_int_equal(nghttp2_submit_rst_stream(w.client.session, 0, id, NGHTTP2_CANCEL), 0);
        pump(&w);
        w.client.unread = 0;
    }
    w.client.greedy = true;
    w.server->echo = true;
    (void)unary(&w, "/a.B/Last");
    pump(&w);
    assert_true(stream_of(&w.client, 81)->ended);
    world_fini(&w);
}

static void a_thousand_streams_at_once_are_answered(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    pump(&w); /* the limits are known */
    for (int i = 0; i < MAX_STREAMS; i++)
        (void)unary(&w, "/a.B/C");
    pump(&w);
    assert_int_equal(w.open, MAX_STREAMS);
    for (int32_t id = 1; id < 2 * MAX_STREAMS; id += 2) {
        answer(w.server, id, "0");
        say(w.server, id, "\0\0\0\0\0", 5, true);
    }
    pump(&w);
    for (int32_t id = 1; id < 2 * MAX_STREAMS; id += 2)
        assert_true(stream_of(&w.client, id)->ended);
    assert_int_equal(w.over, MAX_STREAMS);
    assert_int_equal(w.connects, 1);
    world_fini(&w);
}

static void calls_past_the_backends_limit_wait_their_turn(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    free_server(&w);
    new_server(&w, 10);
    (void)unary(&w, "/a.B/First");
    pump(&w); /* the limit is known */
    for (int i = 1; i < 100; i++)
        (void)unary(&w, "/a.B/C");
    pump(&w);
    assert_int_equal(stream_of(w.server, 19)->ended, true);
    assert_int_equal(stream_of(w.server, 21)->ended, false);
    assert_int_equal(nghttp2_submit_rst_stream(w.client.session, 0, 31, NGHTTP2_CANCEL), 0); /* one of those that wait */
    for (int32_t id = 1; id < 200; id += 2) {
        if (id == 31)
            continue;
        answer(w.server, id, "0");
        say(w.server, id, "\0\0\0\0\0", 5, true);
        pump(&w);
        assert_true(stream_of(&w.client, id)->ended);
    }
    assert_int_equal(stream_of(w.server, 31)->fields.len, 0); /* it never got there */
    assert_int_equal(w.open, 0);
    world_fini(&w);
}

static void a_backend_that_says_goodbye_finishes_what_it_began(void **state)
{
    struct world w;
    struct peer *old;
    vh__grpc_end *old_back;

    (void)state;
    world_init(&w);
    (void)unary(&w, "/a.B/Old");
    pump(&w);
    (void)unary(&w, "/a.B/Crossing");
    (void)from_peer(&w.client, w.front);
    assert_int_equal(nghttp2_submit_goaway(w.server->session, 0, 1, NGHTTP2_NO_ERROR, NULL, 0), 0);
    (void)from_peer(w.server, w.back);
    pump(&w);
    assert_int_equal(stream_of(&w.client, 3)->code, NGHTTP2_REFUSED_STREAM); /* the client may repeat it */
    assert_true(stream_of(&w.client, 3)->closed);
    old = w.server;
    old_back = w.back;
    new_server(&w, 100);
    w.server->echo = true;
    (void)unary(&w, "/a.B/New");
    pump(&w);
    assert_int_equal(w.connects, 2);
    assert_true(stream_of(&w.client, 5)->ended);
    assert_true(vh__grpc_end_alive(old_back));
    answer(old, 1, "0");
    say(old, 1, "\0\0\0\0\0", 5, true);
    (void)from_peer(old, old_back);
    (void)to_peer(old_back, old);
    pump(&w);
    assert_true(stream_of(&w.client, 1)->ended);
    assert_false(vh__grpc_end_alive(old_back));
    vh__grpc_end_free(old_back, "");
    peer_fini(old);
    test_free(old);
    world_fini(&w);
}

static void calls_that_a_lost_backend_leaves_are_unavailable(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    (void)unary(&w, "/a.B/Unanswered");
    (void)request(&w, "/a.B/HalfAnswered", NULL, 0);
    (void)unary(&w, "/a.B/Answered");
    pump(&w);
    answer(w.server, 3, NULL);
    say(w.server, 3, "\0\0\0\0\4half", 7, false);
    answer(w.server, 5, "0");
    say(w.server, 5, "\0\0\0\0\0", 5, true);
    (void)from_peer(w.server, w.back);
    vh__grpc_end_free(w.back, "/x.sock: gone");
    w.back = NULL;
    pump(&w);
    assert_refused(&w, 1, VH_GRPC_UNAVAILABLE, "/x.sock: gone");
    assert_non_null(strstr(fields_of(&w.client, 3), "--\ngrpc-status: 14\ngrpc-message: /x.sock: gone\n"));
    assert_int_equal(stream_of(&w.client, 3)->data.len, 7);
    assert_true(stream_of(&w.client, 3)->closed); /* though the client had more to say */
    assert_non_null(strstr(fields_of(&w.client, 5), "--\ngrpc-status: 0\n"));
    assert_int_equal(w.open, 0);
    free_server(&w);
    new_server(&w, 100);
    w.server->echo = true;
    (void)unary(&w, "/a.B/Again");
    pump(&w);
    assert_int_equal(w.connects, 2);
    assert_true(stream_of(&w.client, 7)->ended);
    world_fini(&w);
}

static void a_backend_that_cannot_be_asked_for_is_unavailable(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    w.unreachable = true;
    (void)unary(&w, "/a.B/C");
    pump(&w);
    assert_refused(&w, 1, VH_GRPC_UNAVAILABLE, "no connection to the runtime could be made: out of memory");
    assert_false(w.last.answered);
    world_fini(&w);
}

static void messages_over_the_limit_are_refused_both_ways(void **state)
{
    struct world w;
    const char *text;

    (void)state;
    world_init(&w);
    (void)request(&w, "/a.B/C", NULL, 0);
    pump(&w);
    say(&w.client, 1, "\0\1\x10\0\1x", 6, false); /* 17 MiB and a byte, it says */
    pump(&w);
    assert_refused(&w, 1, VH_GRPC_RESOURCE_EXHAUSTED, "gRPC message of 17825793 bytes: the limit is 17825792");
    assert_true(stream_of(&w.client, 1)->closed);
    assert_int_equal(stream_of(w.server, 1)->code, NGHTTP2_CANCEL);
    (void)unary(&w, "/a.B/C");
    pump(&w);
    answer(w.server, 3, "0");
    say(w.server, 3, "\0\0\0\0\1x\0\1\x10", 9, false); /* a prefix in two parts, after a message that passes */
    pump(&w);
    say(w.server, 3, "\0\1x", 3, false);
    pump(&w);
    text = fields_of(&w.client, 3);
    assert_non_null(strstr(text, "--\ngrpc-status: 8\ngrpc-message: gRPC message of 17825793 bytes"));
    assert_int_equal(stream_of(w.server, 3)->code, NGHTTP2_CANCEL);
    assert_int_equal(w.open, 0);
    world_fini(&w);
}

/* Small on the wire, since the decoder's table repeats a field for a byte: 600 are too many, and 500 of these too long. */
static void header_lists_over_the_limit_are_refused_both_ways(void **state)
{
    nghttp2_nv extra[600];
    struct world w;
    char value[101];

    (void)state;
    memset(value, 'v', sizeof(value));
    for (size_t i = 0; i < VH_ARRAY_LEN(extra); i++)
        extra[i] = vh__h2_field("x-bomb", value, 1);
    world_init(&w);
    say(&w.client, request(&w, "/a.B/C", extra, VH_ARRAY_LEN(extra)), "", 0, true);
    pump(&w);
    assert_refused(&w, 1, VH_GRPC_RESOURCE_EXHAUSTED, "the request has more header fields than pass here");
    assert_int_equal(w.connects, 0);
    (void)unary(&w, "/a.B/C");
    pump(&w);
    for (size_t i = 0; i < VH_ARRAY_LEN(extra); i++)
        extra[i].valuelen = sizeof(value) - 1;
    extra[0] = vh__h2_field(":status", "200", 3);
    assert_int_equal(nghttp2_submit_response(w.server->session, 1, extra, 500, NULL), 0);
    pump(&w);
    assert_refused(&w, 3, VH_GRPC_RESOURCE_EXHAUSTED, "the answer has more header fields than pass here");
    assert_int_equal(w.open, 0);
    world_fini(&w);
}

static void a_call_long_past_its_deadline_is_ended_here(void **state)
{
    const nghttp2_nv extra = vh__h2_field("grpc-timeout", "1S", 2);
    struct world w;
    int64_t now = vh__clock_mono_ns();

    (void)state;
    world_init(&w);
    say(&w.client, request(&w, "/a.B/C", &extra, 1), "", 0, true);
    (void)unary(&w, "/a.B/NoDeadline");
    pump(&w);
    vh__grpc_front_expire(w.front, now + VH_PROXY_LATE_NS);
    pump(&w);
    assert_false(stream_of(&w.client, 1)->ended);
    vh__grpc_front_expire(w.front, now + VH_PROXY_LATE_NS + 2 * VH_NS_PER_S);
    pump(&w);
    assert_refused(&w, 1, VH_GRPC_DEADLINE_EXCEEDED,
                   "the runtime did not answer long after the deadline had passed");
    assert_int_equal(stream_of(w.server, 1)->code, NGHTTP2_CANCEL);
    assert_false(stream_of(&w.client, 3)->ended);
    world_fini(&w);
}

static void a_client_that_goes_takes_its_calls_along(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    for (int i = 0; i < 10; i++)
        (void)unary(&w, "/a.B/C");
    pump(&w);
    answer(w.server, 1, NULL);
    say(w.server, 1, "\0\0\0\0\4half", 7, false);
    vh__grpc_end_free(w.front, "");
    w.front = NULL;
    assert_int_equal(w.open, 0);
    assert_int_equal(w.last.status, VH_GRPC_CANCELLED);
    pump(&w); /* the backend may go on talking */
    world_fini(&w);
}

static void a_goodbye_lets_calls_under_way_finish(void **state)
{
    struct world w;
    vh_error err = { 0 };

    (void)state;
    world_init(&w);
    (void)unary(&w, "/a.B/C");
    pump(&w);
    assert_ok(vh__grpc_front_goaway(w.front, &err), err);
    pump(&w);
    assert_true(w.client.goaway);
    assert_true(vh__grpc_end_alive(w.front));
    answer(w.server, 1, "0");
    say(w.server, 1, "\0\0\0\0\0", 5, true);
    pump(&w);
    assert_true(stream_of(&w.client, 1)->ended);
    assert_false(vh__grpc_end_alive(w.front));
    world_fini(&w);
}

/* Rapid resets: each would cost the backend a call. */
static void a_flood_of_resets_ends_the_connection(void **state)
{
    struct world w;
    int sent = 0;

    (void)state;
    world_init(&w);
    pump(&w);
    while (sent < STREAMS - 1 && !w.client.goaway) {
        int32_t id = unary(&w, "/a.B/C");

        (void)from_peer(&w.client, w.front);
        assert_int_equal(nghttp2_submit_rst_stream(w.client.session, 0, id, NGHTTP2_CANCEL), 0);
        (void)from_peer(&w.client, w.front);
        (void)to_peer(w.front, &w.client);
        sent++;
    }
    assert_true(w.client.goaway);
    pump(&w);
    assert_false(vh__grpc_end_alive(w.front));
    assert_int_equal(w.open, 0);
    world_fini(&w);
}

static void calls_that_wait_for_a_dead_backend_are_bounded(void **state)
{
    struct world w;

    (void)state;
    world_init_small(&w, 10);
    pump(&w);
    for (int i = 0; i < 20; i++) {
        int32_t id = unary(&w, "/a.B/C");

        (void)from_peer(&w.client, w.front);
        assert_int_equal(nghttp2_submit_rst_stream(w.client.session, 0, id, NGHTTP2_CANCEL), 0);
        (void)from_peer(&w.client, w.front);
    }
    assert_int_equal(w.open, 20); /* over for the client, but not taken by the backend yet */
    (void)unary(&w, "/a.B/C");
    (void)from_peer(&w.client, w.front);
    (void)to_peer(w.front, &w.client);
    assert_int_equal(stream_of(&w.client, 41)->code, NGHTTP2_REFUSED_STREAM);
    pump(&w);
    assert_int_equal(w.open, 0);
    world_fini(&w);
}

static void data_frames_allocate_nothing(void **state)
{
    struct world w;
    vh_auto_buf vh__buf in = { 0 }, out = { 0 };
    vh_error err = { 0 };
    unsigned allocations = 0;

    (void)state;
    world_init(&w);
    (void)request(&w, "/a.B/C", NULL, 0);
    pump(&w);
    assert_non_null(vh__buf_reserve(&out, 65536));
    for (int i = 0; i < 100; i++) {
        vh__buf_clear(&in);
        vh__buf_clear(&out);
        say(&w.client, 1, "\0\0\0\0\7message", 12, false);
        assert_ok(vh__h2_output(w.client.session, &in, &err), err);
        failalloc_at(0);
        assert_ok(vh__grpc_end_recv(w.front, in.data, in.len, &err), err);
        assert_ok(vh__grpc_end_output(w.back, &out, &err), err);
        if (i) /* the first one takes the block that the others use */
            allocations += failalloc_count();
        assert_true(out.len > 12);
        assert_ok(vh__h2_recv(w.server->session, out.data, out.len, &err), err);
    }
    assert_int_equal(allocations, 0);
    world_fini(&w);
}

static int make_and_free(void *arg)
{
    const vh__grpc_proxy_owner owner = { on_connect, on_wake, NULL, arg };
    vh__grpc_proxy *proxy = NULL;
    vh__grpc_end *front = NULL;
    int rc = vh__grpc_proxy_new(&owner, 1000, 10, &proxy, NULL);

    if (!rc)
        rc = vh__grpc_front_new(proxy, arg, &front, NULL);
    vh__grpc_end_free(front, "");
    vh__grpc_proxy_free(proxy);
    return rc;
}

static void making_survives_failing_allocations(void **state)
{
    (void)state;
    failalloc_sweep(make_and_free, NULL);
}

/* Hands |bytes| to an end that gives up on failure, as its owner would have it. */
static void feed(vh__grpc_end **end, const vh__buf *bytes)
{
    if (*end && vh__grpc_end_recv(*end, bytes->data, bytes->len, NULL)) {
        vh__grpc_end_free(*end, "lost");
        *end = NULL;
    }
}

/* A call whose proxy has one allocation fail: it may fail, and nothing is lost or used after. */
static unsigned call_with_failure(unsigned nth)
{
    vh_auto_buf vh__buf up = { 0 }, down = { 0 }, drop = { 0 };
    struct world w;
    unsigned n = 0;

    world_init(&w);
    (void)unary(&w, "/a.B/C");
    assert_int_equal(vh__h2_output(w.client.session, &up, NULL), 0);
    w.server->echo = true;
    failalloc_at(nth);
    feed(&w.front, &up);
    if (w.back && vh__grpc_end_output(w.back, &drop, NULL) == 0 && !drop.oom) {
        n = failalloc_count();
        failalloc_at(0);
        assert_int_equal(vh__h2_recv(w.server->session, drop.data, drop.len, NULL), 0);
        assert_int_equal(vh__h2_output(w.server->session, &down, NULL), 0);
        failalloc_at(nth > n ? nth - n : 0);
        feed(&w.back, &down);
        vh__buf_clear(&drop);
        if (w.front)
            vh_ignore(vh__grpc_end_output(w.front, &drop, NULL)); /* it may fail or not */
    }
    n += failalloc_count();
    failalloc_at(0);
    world_fini(&w);
    return n;
}

static void a_call_survives_failing_allocations(void **state)
{
    unsigned all = call_with_failure(0);

    (void)state;
    assert_true(all > 5);
    for (unsigned nth = 1; nth <= all; nth++)
        (void)call_with_failure(nth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_of_any_method_passes_with_all_its_fields),
        cmocka_unit_test(an_answer_of_trailers_alone_passes),
        cmocka_unit_test(messages_pass_both_ways_as_they_come),
        cmocka_unit_test(a_reset_by_the_client_reaches_the_backend_with_its_code),
        cmocka_unit_test(a_client_that_resets_at_once_leaves_nothing),
        cmocka_unit_test(a_reset_by_the_backend_comes_after_what_it_had_sent),
        cmocka_unit_test(a_backend_that_wants_no_more_of_a_request_is_heeded),
        cmocka_unit_test(a_large_answer_streams_through_a_small_buffer),
        cmocka_unit_test(a_large_request_waits_for_a_slow_backend),
        cmocka_unit_test(a_slow_reader_stalls_only_its_own_stream),
        cmocka_unit_test(what_a_reset_stream_held_opens_the_window_of_the_rest),
        cmocka_unit_test(a_thousand_streams_at_once_are_answered),
        cmocka_unit_test(calls_past_the_backends_limit_wait_their_turn),
        cmocka_unit_test(a_backend_that_says_goodbye_finishes_what_it_began),
        cmocka_unit_test(calls_that_a_lost_backend_leaves_are_unavailable),
        cmocka_unit_test(a_backend_that_cannot_be_asked_for_is_unavailable),
        cmocka_unit_test(messages_over_the_limit_are_refused_both_ways),
        cmocka_unit_test(header_lists_over_the_limit_are_refused_both_ways),
        cmocka_unit_test(a_call_long_past_its_deadline_is_ended_here),
        cmocka_unit_test(a_client_that_goes_takes_its_calls_along),
        cmocka_unit_test(a_goodbye_lets_calls_under_way_finish),
        cmocka_unit_test(a_flood_of_resets_ends_the_connection),
        cmocka_unit_test(calls_that_wait_for_a_dead_backend_are_bounded),
        cmocka_unit_test(data_frames_allocate_nothing),
        cmocka_unit_test(making_survives_failing_allocations),
        cmocka_unit_test(a_call_survives_failing_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
