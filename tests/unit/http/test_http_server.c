/* The HTTP server over real sockets: what it answers, and that the slow and the many cost no more than they may. */
#include "testenv.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "auto.h"
#include "clock.h"
#include "failalloc.h"
#include "http_server.h"
#include "listen.h"

#define REQUEST "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"

struct fixture {
    testenv t;
    char path[96];
    vh__http_server *server;
    pthread_t thread;
};

static void answer(const vh__http_head *request, vh__http_answer *a, void *arg)
{
    (void)arg;
    if (strcmp(request->target, "/a") == 0) {
        a->status = 200;
        vh__buf_puts(&a->body, "hello\n");
    } else if (strcmp(request->target, "/large") == 0) {
        a->status = 200;
        for (int i = 0; i < 65536; i++)
            vh__buf_puts(&a->body, "0123456789abcdef0123456789abcdef");
    }
}

static void *run(void *arg)
{
    vh_error err = { 0 };

    assert_ok(vh__http_server_run(arg, &err), err);
    return NULL;
}

static void start(struct fixture *f, vh__http_server_options o)
{
    vh_error err = { 0 };

    testenv_init(&f->t);
    snprintf(f->path, sizeof(f->path), "%s/sock", f->t.dir);
    o.handler = answer;
    assert_ok(vh__listen_unix(f->path, 0600, (gid_t)-1, &o.listen_fd, NULL, &err), err);
    assert_ok(vh__http_server_new(&o, &f->server, &err), err);
    assert_int_equal(pthread_create(&f->thread, NULL, run, f->server), 0);
}

static void join(struct fixture *f)
{
    vh__http_server_stop(f->server);
    pthread_join(f->thread, NULL);
    vh__http_server_free(f->server);
}

static void stop(struct fixture *f)
{
    join(f);
    testenv_fini(&f->t);
}

static int dial(const struct fixture *f)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    struct timeval wait = { .tv_sec = 10 };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(at.sun_path, f->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Reads to the end of the connection, or until |until| is there. */
static size_t hear(int fd, char *text, size_t n, const char *until)
{
    size_t len = 0;
    ssize_t got;

    text[0] = '\0';
    while (len + 1 < n && !(until && strstr(text, until)) && (got = recv(fd, text + len, n - 1 - len, 0)) > 0) {
        len += (size_t)got;
        text[len] = '\0';
    }
    return len;
}

static void a_connection_serves_request_after_request(void **state)
{
    struct fixture f;
    char text[1024];
    int fd;

    (void)state;
    start(&f, (vh__http_server_options){ 0 });
    fd = dial(&f);
    say(fd, REQUEST);
    hear(fd, text, sizeof(text), "hello\n");
    assert_string_equal(text, "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 6\r\n"
                              "Cache-Control: no-store\r\n\r\nhello\n");
    say(fd, "HEAD /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    hear(fd, text, sizeof(text), NULL);
    assert_non_null(strstr(text, "Content-Length: 6\r\nCache-Control: no-store\r\n\r\nHTTP/1.1 404 Not Found\r\n"));
    assert_non_null(strstr(text, "Connection: close\r\n\r\nNot Found\n"));
    close(fd);
    stop(&f);
}

static void a_request_that_comes_byte_by_byte_is_answered(void **state)
{
    struct fixture f;
    char text[1024];
    int fd;

    (void)state;
    start(&f, (vh__http_server_options){ 0 });
    fd = dial(&f);
    for (const char *p = REQUEST; *p; p++)
        assert_int_equal(send(fd, p, 1, MSG_NOSIGNAL), 1);
    assert_true(hear(fd, text, sizeof(text), "hello\n") > 0);
    close(fd);
    stop(&f);
}

static void a_refusal_arrives_though_more_was_sent(void **state)
{
    struct fixture f;
    char text[1024], much[VH_HTTP_SERVER_HEAD_MAX * 4];
    int fd;

    (void)state;
    start(&f, (vh__http_server_options){ 0 });
    fd = dial(&f);
    memset(much, 'x', sizeof(much));
    assert_int_equal(send(fd, much, sizeof(much), MSG_NOSIGNAL), sizeof(much));
    hear(fd, text, sizeof(text), "\r\n\r\n");
    assert_ptr_equal(strstr(text, "HTTP/1.1 431 "), text);
    close(fd);
    stop(&f);
}

/* Whether the peer closes |fd| between |from| and |to| ms. */
static bool closed_within(int fd, int from, int to)
{
    int64_t began = vh__clock_mono_ns();
    struct pollfd p = { .fd = fd, .events = POLLIN };
    int64_t ms;
    char byte;

    if (poll(&p, 1, to) != 1 || recv(fd, &byte, 1, 0) > 0)
        return false;
    ms = (vh__clock_mono_ns() - began) / VH_NS_PER_MS;
    return ms >= from - 50 && ms <= to;
}

/* SIGPIPE is as a program finds it at its start: it would end this one. */
static void a_peer_that_goes_before_its_answer_ends_nobody_else(void **state)
{
    struct fixture f;
    char text[1024];
    int fd;

    (void)state;
    start(&f, (vh__http_server_options){ 0 });
    for (int i = 0; i < 10; i++) {
        fd = dial(&f);
        say(fd, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
        hear(fd, text, sizeof(text), "\r\n\r\n");
        close(fd);
    }
    fd = dial(&f);
    say(fd, REQUEST);
    hear(fd, text, sizeof(text), "hello\n");
    assert_non_null(strstr(text, "200 OK"));
    close(fd);
    stop(&f);
}

static void slow_peers_are_closed(void **state)
{
    struct fixture f;
    int idle, slow, reader;
    char text[64];

    (void)state;
    start(&f, (vh__http_server_options){ .head_ms = 200, .idle_ms = 500, .write_ms = 200 });
    slow = dial(&f);
    say(slow, "GET /a");
    assert_true(closed_within(slow, 200, 5000));
    idle = dial(&f);
    assert_true(closed_within(idle, 500, 5000));
    reader = dial(&f);
    say(reader, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(recv(reader, text, sizeof(text), 0) > 0);
    usleep(600000);
    for (size_t got = 0; recv(reader, (char[65536]){ 0 }, 65536, 0) > 0; got += 65536)
        assert_true(got < 2 << 20); /* what the socket held, not all of it */
    close(slow);
    close(idle);
    close(reader);
    stop(&f);
}

static void one_connection_too_many_is_closed_and_the_others_serve(void **state)
{
    struct fixture f;
    char text[1024];
    int fds[3];

    (void)state;
    start(&f, (vh__http_server_options){ .max_connections = 2 });
    for (int i = 0; i < 2; i++)
        fds[i] = dial(&f);
    say(fds[1], REQUEST);
    assert_true(hear(fds[1], text, sizeof(text), "hello\n") > 0); /* both were accepted */
    fds[2] = dial(&f);
    assert_true(closed_within(fds[2], 0, 5000));
    say(fds[0], REQUEST);
    assert_true(hear(fds[0], text, sizeof(text), "hello\n") > 0);
    close(fds[0]);
    usleep(100000);
    close(fds[2]);
    fds[2] = dial(&f);
    say(fds[2], REQUEST);
    assert_true(hear(fds[2], text, sizeof(text), "hello\n") > 0);
    close(fds[1]);
    close(fds[2]);
    stop(&f);
}

static void a_stop_ends_it_with_connections_in_every_state(void **state)
{
    struct fixture f;
    char text[1024];
    int fds[4];

    (void)state;
    start(&f, (vh__http_server_options){ 0 });
    for (int i = 0; i < 4; i++)
        fds[i] = dial(&f);
    say(fds[1], "GET");
    say(fds[2], "GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    say(fds[3], REQUEST);
    assert_true(hear(fds[3], text, sizeof(text), "hello\n") > 0);
    join(&f);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    testenv_fini(&f.t);
}

static int dial_to(const void *fixture)
{
    return dial(fixture);
}

static void who_comes_while_there_is_no_memory_is_closed_and_others_are_served_later(void **state)
{
    struct fixture f;
    char text[1024];
    int fd;

    (void)state;
    start(&f, (vh__http_server_options){ 0 });
    assert_int_equal(failalloc_dial(dial_to, &f), FAILALLOC_DIALS);
    fd = dial(&f);
    say(fd, REQUEST);
    assert_true(hear(fd, text, sizeof(text), "hello\n") > 0);
    close(fd);
    stop(&f);
}

static int make(void *arg)
{
    vh__http_server_options o = { .listen_fd = dup(*(int *)arg), .handler = answer };
    vh__http_server *server = NULL;
    vh_error err = { 0 };
    int rc = vh__http_server_new(&o, &server, &err);

    if (rc == 0)
        vh__http_server_free(server);
    return rc;
}

static void a_server_that_cannot_be_made_leaves_nothing(void **state)
{
    testenv t;
    char path[96];
    vh_error err = { 0 };
    int fd;

    (void)state;
    testenv_init(&t);
    snprintf(path, sizeof(path), "%s/sock", t.dir);
    assert_ok(vh__listen_unix(path, 0600, (gid_t)-1, &fd, NULL, &err), err);
    failalloc_sweep(make, &fd);
    close(fd);
    testenv_fini(&t);
}

/* The first loop of a process opens two descriptors of libuv's, which stay. */
static int first_loop(void **state)
{
    uv_loop_t loop;

    (void)state;
    return uv_loop_init(&loop) || uv_loop_close(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_serves_request_after_request),
        cmocka_unit_test(a_request_that_comes_byte_by_byte_is_answered),
        cmocka_unit_test(a_refusal_arrives_though_more_was_sent),
        cmocka_unit_test(a_peer_that_goes_before_its_answer_ends_nobody_else),
        cmocka_unit_test(slow_peers_are_closed),
        cmocka_unit_test(one_connection_too_many_is_closed_and_the_others_serve),
        cmocka_unit_test(who_comes_while_there_is_no_memory_is_closed_and_others_are_served_later),
        cmocka_unit_test(a_stop_ends_it_with_connections_in_every_state),
        cmocka_unit_test(a_server_that_cannot_be_made_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, first_loop, NULL);
}
