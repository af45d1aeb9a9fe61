/* The HTTP client against a server that plays back bytes. */
#include "testenv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auto.h"
#include "clock.h"
#include "http.h"

/* Accepts one connection, keeps the request, plays |answer| and closes, or stays silent until the peer is gone. */
struct server {
    testenv t;
    int listener;
    uint16_t port;
    pthread_t thread;
    const char *answer; /* NULL: silence */
    size_t expect;      /* bytes of body to read before answering */
    char request[4096];
};

static bool request_whole(const struct server *s)
{
    const char *end = strstr(s->request, "\r\n\r\n");

    return end && strlen(end + 4) >= s->expect;
}

static void *serve(void *arg)
{
    struct server *s = arg;
    int fd = accept(s->listener, NULL, NULL);
    size_t n = 0;

    while (fd >= 0 && !request_whole(s)) {
        ssize_t got = recv(fd, s->request + n, sizeof(s->request) - 1 - n, 0);

        if (got <= 0)
            break;
        n += (size_t)got;
    }
    if (fd >= 0 && s->answer) {
        (void)send(fd, s->answer, strlen(s->answer), MSG_NOSIGNAL);
        (void)shutdown(fd, SHUT_WR);
    }
    while (fd >= 0 && recv(fd, (char[512]){ 0 }, 512, 0) > 0)
        ;
    close(fd);
    return NULL;
}

static void server_start(struct server *s)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);

    testenv_init(&s->t);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(s->listener >= 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(s->listener, 1), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&at, &len), 0);
    s->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
    (void)shutdown(s->listener, SHUT_RDWR); /* wakes accept() if nobody came */
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    close(s->listener);
    testenv_fini(&s->t);
}

/* One request to a server that plays |s|. */
static int get(struct server *s, vh__http_request q, const vh__wait *w, vh__http_response *r, vh_error *err)
{
    char url[64];
    int rc;

    server_start(s);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/x", s->port);
    q.url = url;
    q.sock = -1;
    rc = vh__http_do(&q, w, r, err);
    server_stop(s);
    return rc;
}

static void a_response_comes_with_status_headers_body_and_stamps(void **state)
{
    struct server s = { .answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nX-A: one\r\n"
                                  "content-TYPE:  text/plain \r\nX-A: two\r\nX-Empty:\r\n\r\nbody" };
    vh__wait w = vh__wait_from(NULL, 10000);
    vh__http_response r = { 0 };
    char value[16];
    vh_error err = { 0 };

    (void)state;
    assert_ok(get(&s, (vh__http_request){ 0 }, &w, &r, &err), err);
    assert_int_equal(r.status, 404);
    assert_string_equal(r.body.data, "body");
    assert_true(vh__http_header(&r, "Content-Type", value, sizeof(value)));
    assert_string_equal(value, "text/plain ");
    assert_true(vh__http_header(&r, "x-a", value, sizeof(value)));
    assert_string_equal(value, "two");
    assert_true(vh__http_header(&r, "x-empty", value, sizeof(value)));
    assert_string_equal(value, "");
    assert_false(vh__http_header(&r, "content", value, sizeof(value)));
    assert_true(vh__http_header(&r, "content-type", value, 5));
    assert_string_equal(value, "text");
    assert_true(r.connected_ns && r.connected_ns <= r.first_byte_ns && r.first_byte_ns <= r.last_byte_ns);
    vh__http_response_fini(&r);
}

static void the_request_carries_method_headers_and_body_and_no_more(void **state)
{
    static const char *const headers[] = { "X-Mine: yes", "Content-Type: text/x", NULL };
    struct server s = { .answer = "HTTP/1.1 204 No Content\r\n\r\n", .expect = 5 };
    vh__http_request q = { .method = "PUT", .headers = headers, .body = "a\nb c", .body_len = 5 };
    vh__wait w = vh__wait_from(NULL, 10000);
    vh__http_response r = { 0 };
    vh_error err = { 0 };

    (void)state;
    assert_ok(get(&s, q, &w, &r, &err), err);
    assert_int_equal(r.status, 204);
    assert_int_equal(strncmp(s.request, "PUT /x HTTP/1.1\r\n", 17), 0);
    assert_non_null(strstr(s.request, "\r\nX-Mine: yes\r\n"));
    assert_non_null(strstr(s.request, "\r\nContent-Type: text/x\r\n"));
    assert_non_null(strstr(s.request, "\r\nContent-Length: 5\r\n"));
    assert_non_null(strstr(s.request, "\r\n\r\na\nb c"));
    assert_null(strstr(s.request, "Expect"));
    vh__http_response_fini(&r);
}

static void a_proxy_of_the_environment_is_ignored(void **state)
{
    struct server s = { .answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" };
    vh__wait w = vh__wait_from(NULL, 10000);
    vh__http_response r = { 0 };
    vh_error err = { 0 };

    (void)state;
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    assert_ok(get(&s, (vh__http_request){ 0 }, &w, &r, &err), err);
    assert_int_equal(unsetenv("http_proxy"), 0);
    vh__http_response_fini(&r);
}

static void a_redirect_is_an_answer_and_not_followed(void **state)
{
    struct server s = { .answer = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n" };
    vh__wait w = vh__wait_from(NULL, 10000);
    vh__http_response r = { 0 };
    vh_error err = { 0 };

    (void)state;
    assert_ok(get(&s, (vh__http_request){ 0 }, &w, &r, &err), err);
    assert_int_equal(r.status, 302);
    vh__http_response_fini(&r);
}

static void broken_answers_are_errors(void **state)
{
    static const struct {
        const char *answer;
        int code;
    } cases[] = {
        { "", -ECONNRESET },
        { "220 mail.example ESMTP\r\n", VH_EPROTOCOL },
        { "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", -ECONNRESET },
        { "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n"
          "11111111112222222222333333333344444444445555555555666666666677777777778888888888999999999900000000001",
          VH_ELIMIT },
    };
    vh__wait w = vh__wait_from(NULL, 10000);

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(cases); i++) {
        struct server s = { .answer = cases[i].answer };
        vh__http_response r = { 0 };
        vh_error err = { 0 };
        int rc = get(&s, (vh__http_request){ .max_body = 100 }, &w, &r, &err);

        if (rc != cases[i].code)
            fail_msg("answer %zu: %s (%s)", i, vh_error_name(rc), err.msg);
        assert_non_null(strstr(err.msg, "http://127.0.0.1:"));
        vh__http_response_fini(&r);
    }
}

static int add_up(void *arg, const vh__http_response *r, const void *bytes, size_t n, vh_error *err)
{
    vh__buf *b = arg;

    assert_int_equal(r->status, 206);
    vh__buf_append(b, bytes, n);
    return b->len > 6 ? vh_error_set(err, VH_ECORRUPT, "too much") : 0;
}

static void a_sink_gets_the_body_of_success_alone(void **state)
{
    static const struct {
        const char *answer, *sunk, *body;
        int rc;
    } cases[] = {
        { "HTTP/1.1 206 Partial Content\r\nContent-Length: 4\r\n\r\nbody", "body", NULL, 0 },
        { "HTTP/1.1 206 Partial Content\r\nContent-Length: 7\r\n\r\ntoolong", "toolong", NULL, VH_ECORRUPT },
        { "HTTP/1.1 206 Partial Content\r\nContent-Length: 7\r\n\r\nhalf", "half", NULL, -ECONNRESET },
        { "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nbody", NULL, "body", 0 },
    };
    vh__wait w = vh__wait_from(NULL, 10000);

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(cases); i++) {
        struct server s = { .answer = cases[i].answer };
        vh__http_response r = { 0 };
        vh__buf sunk = { 0 };
        vh_error err = { 0 };
        int rc = get(&s, (vh__http_request){ .sink = add_up, .sink_arg = &sunk }, &w, &r, &err);

        if (rc != cases[i].rc)
            fail_msg("answer %zu: %s (%s)", i, vh_error_name(rc), err.msg);
        assert_string_equal(sunk.data ? sunk.data : "-", cases[i].sunk ? cases[i].sunk : "-");
        assert_string_equal(r.body.data ? r.body.data : "-", cases[i].body ? cases[i].body : "-");
        if (rc == VH_ECORRUPT)
            assert_non_null(strstr(err.msg, "/x: too much"));
        vh__buf_fini(&sunk);
        vh__http_response_fini(&r);
    }
}

static void a_server_that_stalls_is_given_up_before_the_deadline(void **state)
{
    struct server s = { .answer = NULL };
    vh__wait w = vh__wait_from(NULL, 20000);
    vh__http_response r = { 0 };
    vh_error err = { 0 };

    (void)state;
    assert_int_equal(get(&s, (vh__http_request){ .stall_ms = 1000 }, &w, &r, &err), -ETIMEDOUT);
    assert_true(vh__wait_left_ms(&w) > 15000);
    vh__http_response_fini(&r);
}

static void headers_of_one_name_are_one_list(void **state)
{
    struct server s = { .answer = "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic a=b\r\nX: y\r\n"
                                  "www-authenticate: Bearer c\r\nContent-Length: 0\r\n\r\n" };
    vh__wait w = vh__wait_from(NULL, 10000);
    vh__http_response r = { 0 };
    vh__buf all = { 0 };
    vh_error err = { 0 };

    (void)state;
    assert_ok(get(&s, (vh__http_request){ 0 }, &w, &r, &err), err);
    vh__http_header_all(&r, "WWW-Authenticate", &all);
    assert_string_equal(all.data, "Basic a=b, Bearer c");
    vh__buf_fini(&all);
    vh__http_response_fini(&r);
}

static void what_may_be_secret_of_an_address_is_not_shown(void **state)
{
    vh__http_request q = { .url = "http://127.0.0.1:1/x?signature=secret", .sock = -1 };
    vh__wait w = vh__wait_from(NULL, 10000);
    vh__http_response r = { 0 };
    vh_error err = { 0 };

    (void)state;
    assert_int_equal(vh__http_do(&q, &w, &r, &err), -ECONNREFUSED);
    assert_null(strstr(err.msg, "secret"));
    assert_non_null(strstr(err.msg, "http://127.0.0.1:1/x"));
    vh__http_response_fini(&r);
}

static void addresses_are_followed_and_compared(void **state)
{
    static const char *const to[][2] = {
        { "/a?b", "https://h:5000/a?b" },
        { "https://other/x", "https://other/x" },
        { "//other/x", "https://other/x" },
    };
    static const char *const bad[] = { "file:///etc/passwd", "ftp://h/", "https://joe:pw@h/" };
    vh_error err = { 0 };
    char *url = NULL;

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(to); i++) {
        assert_ok(vh__http_url_resolve("https://h:5000/v2/x", to[i][0], &url, &err), err);
        assert_string_equal(url, to[i][1]);
        free(url);
    }
    for (size_t i = 0; i < VH_ARRAY_LEN(bad); i++) {
        if (vh__http_url_resolve("https://h/", bad[i], &url, &err) != VH_EPROTOCOL)
            fail_msg("\"%s\" was taken", bad[i]);
        assert_null(strstr(err.msg, "pw"));
    }
    assert_true(vh__http_url_same_origin("https://h/x", "https://H:443/y?z"));
    assert_false(vh__http_url_same_origin("https://h/", "http://h/"));
    assert_false(vh__http_url_same_origin("https://h/", "https://h:444/"));
    assert_false(vh__http_url_same_origin("https://h/", "https://h.example/"));
    assert_false(vh__http_url_same_origin("nothing", ""));
}

static void a_silent_server_costs_no_more_than_the_deadline(void **state)
{
    struct server s = { 0 };
    vh__wait w = vh__wait_from(NULL, 100);
    vh__http_response r = { 0 };
    vh_error err = { 0 };

    (void)state;
    assert_int_equal(get(&s, (vh__http_request){ 0 }, &w, &r, &err), VH_ETIMEDOUT);
    vh__http_response_fini(&r);
}

static void a_cancelled_request_returns_at_once(void **state)
{
    struct server s = { 0 };
    vh_call bounds = VH_CALL_INIT;
    vh__http_response r = { 0 };
    vh_error err = { 0 };
    vh__wait w;

    (void)state;
    assert_ok(vh_cancel_new(&bounds.cancel, &err), err);
    w = vh__wait_from(&bounds, 60000);
    vh_cancel_trigger(bounds.cancel);
    assert_int_equal(get(&s, (vh__http_request){ 0 }, &w, &r, &err), VH_ECANCELED);
    vh__http_response_fini(&r);
    vh_cancel_free(bounds.cancel);
}

static void other_schemes_and_broken_headers_are_refused(void **state)
{
    static const char *const urls[] = { "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "http://" };
    static const char *const split[] = { "X: a\r\nY: b", NULL };
    vh__wait w = vh__wait_from(NULL, 10000);
    vh__http_request q = { .sock = -1 };
    vh__http_response r = { 0 };
    vh_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(urls); i++) {
        q.url = urls[i];
        assert_int_equal(vh__http_do(&q, &w, &r, &err), VH_EINVALID);
    }
    q.url = "http://127.0.0.1:1/";
    assert_int_equal(vh__http_do(&q, &w, &r, &err), -ECONNREFUSED);
    q.headers = split;
    assert_int_equal(vh__http_do(&q, &w, &r, &err), VH_EINVALID);
    vh__http_response_fini(&r);
}

/* Connects without blocking, as the header asks. */
static int connected(uint16_t port)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    vh__wait w = vh__wait_from(NULL, 10000);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    vh_error err = { 0 };

    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
        assert_int_equal(errno, EINPROGRESS);
    assert_ok(vh__wait_fd(&w, fd, POLLOUT, "connect", &err), err);
    return fd;
}

static void a_socket_that_is_handed_in_is_the_only_one(void **state)
{
    struct server s = { .answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi" };
    vh__wait w = vh__wait_from(NULL, 10000);
    vh__http_request q = { .url = NULL };
    vh__http_response r = { 0 };
    char url[64];
    vh_error err = { 0 };

    (void)state;
    server_start(&s); /* accepts one connection and no other */
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/x", s.port);
    q.url = url;
    q.sock = connected(s.port);
    assert_ok(vh__http_do(&q, &w, &r, &err), err);
    assert_string_equal(r.body.data, "hi");
    vh__http_response_fini(&r);
    server_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_response_comes_with_status_headers_body_and_stamps),
        cmocka_unit_test(the_request_carries_method_headers_and_body_and_no_more),
        cmocka_unit_test(a_proxy_of_the_environment_is_ignored),
        cmocka_unit_test(a_redirect_is_an_answer_and_not_followed),
        cmocka_unit_test(broken_answers_are_errors),
        cmocka_unit_test(a_sink_gets_the_body_of_success_alone),
        cmocka_unit_test(a_server_that_stalls_is_given_up_before_the_deadline),
        cmocka_unit_test(headers_of_one_name_are_one_list),
        cmocka_unit_test(what_may_be_secret_of_an_address_is_not_shown),
        cmocka_unit_test(addresses_are_followed_and_compared),
        cmocka_unit_test(a_silent_server_costs_no_more_than_the_deadline),
        cmocka_unit_test(a_cancelled_request_returns_at_once),
        cmocka_unit_test(other_schemes_and_broken_headers_are_refused),
        cmocka_unit_test(a_socket_that_is_handed_in_is_the_only_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
