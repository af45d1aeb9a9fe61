/* Calls to functions: a gRPC server of the library's, and HTTP servers that play back bytes. */
#include "testenv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vhive/invoke.h>

#include "auto.h"
#include "clock.h"
#include "rpc.h"

#define HELLO "grpc:helloworld.Greeter/SayHello:{\"name\":\"you\"}"

static vh_invoke_request *parse(const char *spec)
{
    vh_invoke_request *q = NULL;
    vh_error err = { 0 };

    assert_ok(vh_invoke_parse(spec, &q, &err), err);
    return q;
}

/* One call; |r| is the caller's to finish. */
static int invoke(const char *spec, const char *address, uint16_t port, uint32_t ms, vh_invoke_response *r,
                  vh_error *err)
{
    vh_call bounds = { .size = sizeof(bounds), .timeout_ms = ms };
    vh_invoke_request *q = parse(spec);
    int rc;

    *r = (vh_invoke_response){ .size = sizeof(*r) };
    rc = vh_invoke(q, address, port, &bounds, r, err);
    vh_invoke_request_free(q);
    return rc;
}

static void assert_stamps(const vh_invoke_response *r)
{
    assert_true(r->begin_ns > 0 && r->begin_ns <= r->connected_ns && r->connected_ns <= r->first_byte_ns &&
                r->first_byte_ns <= r->last_byte_ns);
}

/* SayHello in bytes: a request for anyone but "you" is aborted. */
static vh__grpc_status say_hello(const vh__rpc_request *request, vh__rpc_answer *answer, void *arg)
{
    (void)arg;
    if (request->len != 5 || memcmp(request->body, "\x0a\x03you", 5) != 0) {
        vh__buf_puts(&answer->message, "not you");
        return VH_GRPC_ABORTED;
    }
    vh__buf_append(&answer->body, "\x0a\x04hi \"", 6);
    return VH_GRPC_OK;
}

static void *serve(void *server)
{
    vh_error err = { 0 };

    return vh__rpc_server_run(server, &err) ? server : NULL;
}

static void a_grpc_answer_is_json_in_one_line(void **state)
{
    static const vh__rpc_method methods[] = { { .path = "/helloworld.Greeter/SayHello", .handler = say_hello } };
    vh__rpc_server_options o = { .methods = methods, .nmethods = 1 };
    vh__rpc_server *server;
    vh_invoke_response r;
    pthread_t thread;
    vh_error err = { 0 };

    (void)state;
    assert_ok(vh__rpc_server_new(&o, &server, &err), err);
    assert_int_equal(pthread_create(&thread, NULL, serve, server), 0);
    assert_ok(invoke(HELLO, "127.0.0.1", vh__rpc_server_port(server), 10000, &r, &err), err);
    assert_true(r.ok && r.grpc);
    assert_int_equal(r.status, 0);
    assert_string_equal(r.body, "{\"message\":\"hi \\\"\"}");
    assert_int_equal(r.body_len, strlen(r.body));
    assert_string_equal(r.content_type, "application/json");
    assert_stamps(&r);
    vh_invoke_response_fini(&r);
    assert_int_equal(
        invoke("grpc:helloworld.Greeter/SayHello:{}", "127.0.0.1", vh__rpc_server_port(server), 10000, &r, &err),
        VH_EREMOTE);
    assert_false(r.ok);
    assert_int_equal(r.status, VH_GRPC_ABORTED);
    assert_string_equal(r.body, "not you");
    assert_string_equal(err.msg, "helloworld.Greeter/SayHello: gRPC status 10 (ABORTED): not you");
    vh_invoke_response_fini(&r);
    vh__rpc_server_stop(server);
    assert_int_equal(pthread_join(thread, NULL), 0);
    vh__rpc_server_free(server);
}

/* A port of this machine's that is bound; it refuses connections until it listens. */
struct port {
    int fd;
    uint16_t number;
    const char *answer;
    uint32_t listen_after_ms;
    pthread_t thread;
};

static void *answer_one(void *arg)
{
    struct port *p = arg;
    char drop[4096];
    int fd;

    usleep(p->listen_after_ms * 1000);
    if (listen(p->fd, 1))
        return p;
    fd = accept(p->fd, NULL, NULL);
    if (fd < 0)
        return p;
    if (recv(fd, drop, sizeof(drop), 0) > 0)
        (void)send(fd, p->answer, strlen(p->answer), MSG_NOSIGNAL);
    close(fd);
    return NULL;
}

static void port_open(struct port *p)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);

    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(p->fd >= 0);
    assert_int_equal(bind(p->fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(getsockname(p->fd, (struct sockaddr *)&at, &len), 0);
    p->number = ntohs(at.sin_port);
}

static void port_serve(struct port *p)
{
    port_open(p);
    assert_int_equal(pthread_create(&p->thread, NULL, answer_one, p), 0);
}

static void port_close(struct port *p)
{
    void *failed = p;

    assert_int_equal(pthread_join(p->thread, &failed), 0);
    assert_null(failed);
    close(p->fd);
}

static void a_function_that_comes_up_later_is_waited_for(void **state)
{
    struct port p = { .answer = "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: 2\r\n\r\nhi",
                      .listen_after_ms = 30 };
    vh_invoke_response r;
    vh_error err = { 0 };

    (void)state;
    port_serve(&p);
    assert_ok(invoke("http:/", "127.0.0.1", p.number, 10000, &r, &err), err);
    assert_string_equal(err.msg, ""); /* refused attempts are no error in the end */
    assert_true(r.ok && !r.grpc);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "hi");
    assert_string_equal(r.content_type, "text/x");
    assert_true(r.connected_ns - r.begin_ns > 10 * VH_NS_PER_MS);
    assert_stamps(&r);
    vh_invoke_response_fini(&r);
    port_close(&p);
}

static void an_http_error_keeps_its_body(void **state)
{
    struct port p = { .answer = "HTTP/1.1 500 Oops\r\nContent-Length: 12\r\n\r\nit is\nbroken" };
    vh_invoke_response r;
    vh_error err = { 0 };

    (void)state;
    port_serve(&p);
    assert_int_equal(invoke("http:/x", "127.0.0.1", p.number, 10000, &r, &err), VH_EREMOTE);
    assert_false(r.ok);
    assert_int_equal(r.status, 500);
    assert_string_equal(r.body, "it is\nbroken");
    assert_non_null(strstr(err.msg, "HTTP status 500: it is"));
    assert_null(strstr(err.msg, "broken"));
    vh_invoke_response_fini(&r);
    port_close(&p);
}

static void grpc_to_an_http_server_is_told(void **state)
{
    struct port p = { .answer = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" };
    vh_invoke_response r;
    vh_error err = { 0 };

    (void)state;
    port_serve(&p);
    assert_int_equal(invoke(HELLO, "127.0.0.1", p.number, 10000, &r, &err), VH_EPROTOCOL);
    vh_invoke_response_fini(&r);
    port_close(&p);
}

static void a_port_that_never_opens_is_told_by_its_last_cause(void **state)
{
    struct port p = { 0 };
    vh_invoke_response r;
    vh_error err = { 0 };

    (void)state;
    port_open(&p);
    assert_int_equal(invoke("http:/", "127.0.0.1", p.number, 30, &r, &err), VH_ETIMEDOUT);
    assert_non_null(strstr(err.msg, "Connection refused"));
    assert_true(r.begin_ns > 0 && r.connected_ns == 0);
    vh_invoke_response_fini(&r);
    close(p.fd);
}

static void addresses_are_numeric_and_ports_are_not_zero(void **state)
{
    vh_invoke_response r;
    vh_error err = { 0 };

    (void)state;
    assert_int_equal(invoke("http:/", "localhost", 80, 1000, &r, &err), VH_EINVALID);
    assert_int_equal(invoke("http:/", "1.2.3.4.5", 80, 1000, &r, &err), VH_EINVALID);
    assert_int_equal(invoke("http:/", "127.0.0.1", 0, 1000, &r, &err), VH_EINVALID);
    vh_invoke_response_fini(&r);
}

static void a_response_of_no_size_is_refused(void **state)
{
    vh_invoke_request *q = parse("http:/");
    vh_invoke_response r = { 0 };
    vh_error err = { 0 };

    (void)state;
    assert_int_equal(vh_invoke(q, "127.0.0.1", 80, NULL, &r, &err), VH_EINVALID);
    vh_invoke_request_free(q);
}

static void a_cancelled_call_ends_while_it_connects(void **state)
{
    struct port p = { 0 };
    vh_call bounds = VH_CALL_INIT;
    vh_invoke_request *q = parse("http:/");
    vh_invoke_response r = { .size = sizeof(r) };
    vh_error err = { 0 };

    (void)state;
    port_open(&p);
    assert_ok(vh_cancel_new(&bounds.cancel, &err), err);
    vh_cancel_trigger(bounds.cancel);
    assert_int_equal(vh_invoke(q, "127.0.0.1", p.number, &bounds, &r, &err), VH_ECANCELED);
    vh_cancel_free(bounds.cancel);
    vh_invoke_request_free(q);
    close(p.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_grpc_answer_is_json_in_one_line),
        cmocka_unit_test(a_function_that_comes_up_later_is_waited_for),
        cmocka_unit_test(an_http_error_keeps_its_body),
        cmocka_unit_test(grpc_to_an_http_server_is_told),
        cmocka_unit_test(a_port_that_never_opens_is_told_by_its_last_cause),
        cmocka_unit_test(addresses_are_numeric_and_ports_are_not_zero),
        cmocka_unit_test(a_response_of_no_size_is_refused),
        cmocka_unit_test(a_cancelled_call_ends_while_it_connects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
