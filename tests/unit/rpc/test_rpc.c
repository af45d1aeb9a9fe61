/* Client and server over loopback, peers that misbehave on either side, and Python's gRPC as a stranger. */
#include "rpc_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "clock.h"
#include "failalloc.h"
#include "spawn.h"

#define PREFACE  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SETTINGS "\0\0\0\4\0\0\0\0\0"
#define PING     "\0\0\x8\6\0\0\0\0\0pingpong" /* 17 bytes */
#define PONG     "\0\0\x8\6\1\0\0\0\0pingpong"

static vh__grpc_status greet(const vh__rpc_request *request, vh__rpc_answer *answer, void *arg)
{
    (void)arg;
    if (request->len == 0) {
        vh__buf_puts(&answer->message, "who?");
        return VH_GRPC_INVALID_ARGUMENT;
    }
    vh__buf_puts(&answer->body, "hello ");
    vh__buf_append(&answer->body, request->body, request->len);
    return VH_GRPC_OK;
}

static const vh__rpc_method methods[] = { { .path = "/t.Test/Greet", .handler = greet } };

static void fixture_start(struct fixture *f, vh__rpc_server_options o)
{
    testenv_init(&f->t);
    o.methods = methods;
    o.nmethods = VH_ARRAY_LEN(methods);
    fixture_run(f, &o);
}

static void assert_greets(vh__rpc_client *c)
{
    vh__wait w = vh__wait_from(NULL, 10000);
    vh__rpc_reply reply = { 0 };
    vh_error err = { 0 };

    assert_ok(vh__rpc_call(c, "/t.Test/Greet", "you", 3, &w, &reply, &err), err);
    assert_int_equal(reply.status, VH_GRPC_OK);
    assert_int_equal(reply.body.len, 9);
    assert_memory_equal(reply.body.data, "hello you", 9);
    assert_true(reply.first_byte_ns > 0 && reply.first_byte_ns <= reply.last_byte_ns);
    vh__rpc_reply_fini(&reply);
}

static void calls_on_one_connection_are_answered_in_turn(void **state)
{
    struct fixture f;
    vh__rpc_client *c;
    vh__wait w = vh__wait_from(NULL, 10000);
    vh__rpc_reply reply = { 0 };
    vh_error err = { 0 };

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ 0 });
    c = client_of(&f);
    for (int i = 0; i < 100; i++)
        assert_greets(c);
    assert_ok(vh__rpc_call(c, "/t.Test/Greet", "", 0, &w, &reply, &err), err);
    assert_int_equal(reply.status, VH_GRPC_INVALID_ARGUMENT);
    assert_string_equal(reply.message.data, "who?");
    vh__rpc_reply_fini(&reply);
    assert_greets(c);
    vh__rpc_client_free(c);
    fixture_stop(&f);
}

static void hostile_peers_are_closed_and_others_served(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } peers[] = {
        { "GET / HTTP/1.1\r\nHost: here\r\n\r\n", 30 },
        { "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11 },     /* TLS */
        { PREFACE "\0\0\6\4\0\0\0\0\0\0\5\0\0\0\1", 39 },           /* MAX_FRAME_SIZE of one */
        { PREFACE "\xff\xff\xff\4\0\0\0\0\0", 33 },                 /* a frame of 16 MiB */
        { PREFACE "\0\0\0\4\0\0\0\0\0\0\0\1\1\5\0\0\0\1\xff", 43 }, /* broken HPACK */
    };
    struct fixture f;
    vh__rpc_client *c;

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ 0 });
    c = client_of(&f);
    for (size_t i = 0; i < VH_ARRAY_LEN(peers); i++) {
        int fd = dial(vh__rpc_server_port(f.server));

        assert_int_equal(send(fd, peers[i].bytes, peers[i].n, MSG_NOSIGNAL), peers[i].n);
        assert_closed(fd);
        assert_greets(c);
    }
    vh__rpc_client_free(c);
    fixture_stop(&f);
}

static void a_silent_connection_is_closed_when_idle(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ .idle_ms = 50 });
    assert_closed(dial(vh__rpc_server_port(f.server)));
    fixture_stop(&f);
}

static void pings_are_answered(void **state)
{
    static const char ping[] = PREFACE SETTINGS PING;
    struct fixture f;
    int fd;
    char got[512];
    size_t n = 0;
    vh__wait w = vh__wait_from(NULL, 10000);
    vh_error err = { 0 };

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ 0 });
    fd = dial(vh__rpc_server_port(f.server));
    assert_int_equal(send(fd, ping, sizeof(ping) - 1, MSG_NOSIGNAL), sizeof(ping) - 1);
    while (!memmem(got, n, PONG, 17)) {
        ssize_t more;

        assert_ok(vh__wait_fd(&w, fd, POLLIN, "ping", &err), err);
        more = recv(fd, got + n, sizeof(got) - n, 0);
        assert_true(more > 0);
        n += (size_t)more;
    }
    close(fd);
    fixture_stop(&f);
}

static void a_peer_that_never_reads_stops_being_read(void **state)
{
    static char pings[17 * 1000];
    struct fixture f;
    vh__rpc_client *c;
    size_t sent = 0;
    int fd;

    (void)state;
    for (size_t i = 0; i < sizeof(pings); i += 17)
        memcpy(pings + i, PING, 17);
    fixture_start(&f, (vh__rpc_server_options){ 0 });
    c = client_of(&f);
    fd = dial(vh__rpc_server_port(f.server));
    assert_int_equal(send(fd, PREFACE SETTINGS, 33, MSG_NOSIGNAL), 33);
    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLOUT };
        ssize_t n;

        if (poll(&p, 1, 200) == 0)
            break; /* no room since the server stopped reading */
        n = send(fd, pings, sizeof(pings), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            break; /* closed for flooding: as good */
        sent += n > 0 ? (size_t)n : 0;
        assert_true(sent < 64u << 20);
    }
    assert_greets(c);
    close(fd);
    vh__rpc_client_free(c);
    fixture_stop(&f);
}

static void connections_beyond_the_limit_are_closed(void **state)
{
    struct fixture f;
    vh__rpc_client *a, *b;

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ .max_connections = 2 });
    a = client_of(&f);
    b = client_of(&f);
    assert_greets(a);
    assert_greets(b);
    assert_closed(dial(vh__rpc_server_port(f.server)));
    assert_greets(a);
    vh__rpc_client_free(a);
    vh__rpc_client_free(b);
    fixture_stop(&f);
}

static int dial_to(const void *fixture)
{
    return dial(vh__rpc_server_port(((const struct fixture *)fixture)->server));
}

static void who_comes_while_there_is_no_memory_is_closed_and_others_are_served_later(void **state)
{
    struct fixture f;
    vh__rpc_client *c;

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ 0 });
    assert_int_equal(failalloc_dial(dial_to, &f), FAILALLOC_DIALS);
    c = client_of(&f);
    assert_greets(c);
    vh__rpc_client_free(c);
    fixture_stop(&f);
}

static void stopping_ends_connections_that_have_nothing_under_way(void **state)
{
    struct fixture f;
    vh__rpc_client *c;
    int idle;
    int64_t begin;

    (void)state;
    fixture_start(&f, (vh__rpc_server_options){ .grace_ms = 300 });
    c = client_of(&f);
    assert_greets(c);
    idle = dial(vh__rpc_server_port(f.server));
    begin = vh__clock_mono_ns();
    vh__rpc_server_stop(f.server);
    assert_closed(idle);
    vh__rpc_client_free(c);
    fixture_stop(&f);
    assert_true(vh__clock_mono_ns() - begin < 5 * VH_NS_PER_S);
}

static void a_server_that_never_runs_is_freed(void **state)
{
    vh__rpc_server_options o = { .methods = methods, .nmethods = 1 };
    vh__rpc_server *a, *b = NULL;
    testenv t;
    vh_error err = { 0 };

    (void)state;
    testenv_init(&t);
    assert_ok(vh__rpc_server_new(&o, &a, &err), err);
    o.port = vh__rpc_server_port(a);
    assert_int_equal(vh__rpc_server_new(&o, &b, &err), -EADDRINUSE);
    o.address = "localhost";
    assert_int_equal(vh__rpc_server_new(&o, &b, &err), VH_EINVALID);
    assert_null(b);
    vh__rpc_server_stop(a);
    vh__rpc_server_free(a);
    testenv_fini(&t);
}

/* A server made of a byte string: it answers the first bytes that come with |bytes| and then hangs up or is silent. */
struct script {
    int fd;
    const char *bytes;
    size_t n;
    bool silent;
};

static void *play(void *arg)
{
    const struct script *s = arg;
    char drop[4096];

    if (recv(s->fd, drop, sizeof(drop), 0) > 0 && s->n)
        (void)send(s->fd, s->bytes, s->n, MSG_NOSIGNAL);
    while (s->silent && recv(s->fd, drop, sizeof(drop), 0) > 0)
        ;
    close(s->fd);
    return NULL;
}

/* What a call to such a server returns. */
static int call_script(struct script s, const vh__wait *w, vh_error *err)
{
    vh__rpc_reply reply = { 0 };
    vh__rpc_client *c = NULL;
    pthread_t thread;
    int fds[2], rc;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    s.fd = fds[1];
    assert_int_equal(pthread_create(&thread, NULL, play, &s), 0);
    assert_ok(vh__rpc_client_new(fds[0], "localhost", &c, err), *err);
    rc = vh__rpc_call(c, "/t.Test/Greet", "you", 3, w, &reply, err);
    vh__rpc_reply_fini(&reply);
    vh__rpc_client_free(c);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return rc;
}

static void servers_that_do_not_speak_grpc_are_errors(void **state)
{
    vh__wait w = vh__wait_from(NULL, 10000);
    vh_error err = { 0 };

    (void)state;
    assert_int_equal(call_script((struct script){ .n = 0 }, &w, &err), -ECONNRESET);
    assert_int_equal(
        call_script((struct script){ .bytes = "HTTP/1.1 400 Bad Request\r\n\r\n", .n = 28, .silent = true }, &w, &err),
        VH_EPROTOCOL);
    assert_non_null(strstr(err.msg, "gRPC port"));
}

static void a_silent_server_costs_no_more_than_the_deadline(void **state)
{
    vh__wait w = vh__wait_from(NULL, 50);
    vh_error err = { 0 };

    (void)state;
    assert_int_equal(call_script((struct script){ .silent = true }, &w, &err), VH_ETIMEDOUT);
}

static void *trigger(void *cancel)
{
    usleep(20000);
    vh_cancel_trigger(cancel);
    return NULL;
}

static void a_cancelled_call_returns_at_once(void **state)
{
    vh_call bounds = VH_CALL_INIT;
    pthread_t thread;
    vh_error err = { 0 };
    vh__wait w;

    (void)state;
    assert_ok(vh_cancel_new(&bounds.cancel, &err), err);
    w = vh__wait_from(&bounds, 60000);
    assert_int_equal(pthread_create(&thread, NULL, trigger, bounds.cancel), 0);
    assert_int_equal(call_script((struct script){ .silent = true }, &w, &err), VH_ECANCELED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    vh_cancel_free(bounds.cancel);
}

static int make_server(void *arg)
{
    vh__rpc_server_options o = { .methods = methods, .nmethods = 1 };
    vh__rpc_server *s;
    int rc = vh__rpc_server_new(&o, &s, NULL);

    (void)arg;
    if (!rc)
        vh__rpc_server_free(s);
    return rc;
}

static int make_client(void *arg)
{
    vh__rpc_client *c;
    int rc = vh__rpc_client_new(dup(0), "localhost", &c, NULL);

    (void)arg;
    if (!rc)
        vh__rpc_client_free(c);
    return rc;
}

static void running_out_of_memory_unwinds(void **state)
{
    (void)state;
    failalloc_sweep(make_server, NULL);
    failalloc_sweep(make_client, NULL);
}

static const char stranger[] =
    "import grpc, sys\n"
    "channel = grpc.insecure_channel(sys.argv[1])\n"
    "greet = channel.unary_unary('/t.Test/Greet')\n"
    "assert greet(b'you', timeout=20) == b'hello you'\n"
    "assert all(f.result() == b'hello x' for f in [greet.future(b'x', timeout=20) for i in range(300)])\n"
    "def status(method, body, **options):\n"
    "    try:\n"
    "        channel.unary_unary(method)(body, timeout=20, **options)\n"
    "    except grpc.RpcError as error:\n"
    "        return error.code().name\n"
    "assert status('/t.Test/Greet', b'') == 'INVALID_ARGUMENT'\n"
    "assert status('/t.Test/Nope', b'x') == 'UNIMPLEMENTED'\n"
    "assert status('/t.Test/Greet', b'x' * (5 << 20)) == 'RESOURCE_EXHAUSTED'\n"
    "assert status('/t.Test/Greet', b'x' * 9999, compression=grpc.Compression.Gzip) == 'UNIMPLEMENTED'\n"
    "print('fine')\n";

static void pythons_grpc_understands_the_server(void **state)
{
    static const char *const probe[] = { "/usr/bin/python3", "-c", "import grpc", NULL };
    vh__wait w = vh__wait_from(NULL, 60000);
    vh_auto_buf vh__buf out = { 0 };
    char target[32];
    struct fixture f;
    vh_error err = { 0 };

    (void)state;
    if (vh__run_program(probe, NULL, &w, 4096, &out, &err))
        testenv_skip("grpcio", "python3-grpcio is not installed");
    fixture_start(&f, (vh__rpc_server_options){ 0 });
    snprintf(target, sizeof(target), "127.0.0.1:%u", vh__rpc_server_port(f.server));
    const char *const argv[] = { "/usr/bin/python3", "-c", stranger, target, NULL };
    vh__buf_clear(&out);
    assert_ok(vh__run_program(argv, NULL, &w, 4096, &out, &err), err);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_on_one_connection_are_answered_in_turn),
        cmocka_unit_test(hostile_peers_are_closed_and_others_served),
        cmocka_unit_test(a_silent_connection_is_closed_when_idle),
        cmocka_unit_test(pings_are_answered),
        cmocka_unit_test(a_peer_that_never_reads_stops_being_read),
        cmocka_unit_test(connections_beyond_the_limit_are_closed),
        cmocka_unit_test(who_comes_while_there_is_no_memory_is_closed_and_others_are_served_later),
        cmocka_unit_test(stopping_ends_connections_that_have_nothing_under_way),
        cmocka_unit_test(a_server_that_never_runs_is_freed),
        cmocka_unit_test(servers_that_do_not_speak_grpc_are_errors),
        cmocka_unit_test(a_silent_server_costs_no_more_than_the_deadline),
        cmocka_unit_test(a_cancelled_call_returns_at_once),
        cmocka_unit_test(running_out_of_memory_unwinds),
        cmocka_unit_test(pythons_grpc_understands_the_server),
    };

    (void)make_server(NULL); /* libuv opens two descriptors of the process with its first loop */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
