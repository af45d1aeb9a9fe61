/* Where a server listens: sockets it is given, and what is none. */
#include "rpc_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

static vh__grpc_status greet(const vh__rpc_request *request, vh__rpc_answer *answer, void *arg)
{
    const char *word = vh__grpc_metadata_get(request->metadata, "x-word");

    (void)arg;
    vh__buf_puts(&answer->body, word ? word : "hello");
    return VH_GRPC_OK;
}

static const vh__rpc_method methods[] = { { .path = "/t.Test/Greet", .handler = greet } };

static const vh__rpc_server_options options = { .methods = methods, .nmethods = 1, .grace_ms = 500 };

static void assert_greets(vh__rpc_client *c, const char *want)
{
    vh__wait w = vh__wait_from(NULL, 10000);
    vh__rpc_reply reply = { 0 };
    vh_error err = { 0 };

    assert_ok(vh__rpc_call(c, "/t.Test/Greet", "", 0, &w, &reply, &err), err);
    assert_int_equal(reply.status, VH_GRPC_OK);
    assert_string_equal(reply.body.data, want);
    vh__rpc_reply_fini(&reply);
}

static vh__rpc_client *connect_to(const char *path)
{
    vh__wait w = vh__wait_from(NULL, 10000);
    vh__rpc_client *c = NULL;
    vh_error err = { 0 };

    assert_ok(vh__rpc_client_connect(path, &w, &c, &err), err);
    return c;
}

static int listening_tcp(uint16_t *port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

/* Asks the server for its word, and for the one that came as metadata. */
static void ask(vh__rpc_client *c)
{
    vh__grpc_metadata words = { 0 };
    vh_error err = { 0 };

    assert_greets(c, "hello");
    vh__grpc_metadata_add(&words, "x-word", 6, "my word", 7);
    assert_ok(vh__rpc_client_metadata(c, &words, &err), err);
    vh__grpc_metadata_fini(&words);
    assert_greets(c, "my word");
    vh__rpc_client_free(c);
}

static void a_unix_socket_is_served_until_the_server_stops(void **state)
{
    vh__rpc_server_options o = options;
    vh__wait w = vh__wait_from(NULL, 10000);
    vh__rpc_client *late = NULL;
    struct fixture f;
    char path[128];
    vh_error err = { 0 };

    (void)state;
    testenv_init(&f.t);
    snprintf(path, sizeof(path), "%s/sock", f.t.dir);
    o.listen_fd = listening_at(path);
    fixture_run(&f, &o);
    assert_int_equal(vh__rpc_server_port(f.server), 0);
    ask(connect_to(path));
    vh__rpc_server_stop(f.server);
    assert_int_equal(pthread_join(f.thread, NULL), 0);
    assert_int_equal(vh__rpc_client_connect(path, &w, &late, &err), -ECONNREFUSED);
    vh__rpc_server_free(f.server);
    testenv_fini(&f.t);
}

static void an_inherited_tcp_socket_is_served(void **state)
{
    vh__rpc_server_options o = options;
    struct fixture f;
    uint16_t port;

    (void)state;
    testenv_init(&f.t);
    o.listen_fd = listening_tcp(&port);
    fixture_run(&f, &o);
    assert_int_equal(vh__rpc_server_port(f.server), port);
    ask(client_of(&f));
    fixture_stop(&f);
}

static void a_descriptor_that_does_not_listen_is_refused_and_closed(void **state)
{
    vh__rpc_server_options o = options;
    vh__rpc_server *s = NULL;
    vh_error err = { 0 };
    testenv t;

    (void)state;
    testenv_init(&t);
    o.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(vh__rpc_server_new(&o, &s, &err), VH_EINVALID);
    o.listen_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(vh__rpc_server_new(&o, &s, &err), VH_EINVALID);
    o.listen_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(vh__rpc_server_new(&o, &s, &err), -ENOTSOCK);
    assert_null(s);
    testenv_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unix_socket_is_served_until_the_server_stops),
        cmocka_unit_test(an_inherited_tcp_socket_is_served),
        cmocka_unit_test(a_descriptor_that_does_not_listen_is_refused_and_closed),
    };
    vh__rpc_server *s;

    if (vh__rpc_server_new(&options, &s, NULL) == 0)
        vh__rpc_server_free(s); /* libuv opens two descriptors of the process with its first loop */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
