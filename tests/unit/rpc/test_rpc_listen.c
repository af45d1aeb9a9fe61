/* Where a server listens: Unix sockets and their files, inherited descriptors, and what is none of these. */
#include "rpc_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "auto.h"

static vh__grpc_status greet(const vh__rpc_request *request, vh__rpc_answer *answer, void *arg)
{
    const char *word = vh__grpc_metadata_get(request->metadata, "x-word");

    (void)arg;
    vh__buf_puts(&answer->body, word ? word : "hello");
    return VH_GRPC_OK;
}

static const vh__rpc_method methods[] = { { .path = "/t.Test/Greet", .handler = greet } };

/* In a folder of its own, with the path that the test listens at. */
struct place {
    struct fixture f;
    char path[128];
};

static void place_init(struct place *p)
{
    testenv_init(&p->f.t);
    snprintf(p->path, sizeof(p->path), "%s/sock", p->f.t.dir);
}

static vh__rpc_server_options options_of(const struct place *p)
{
    return (vh__rpc_server_options){ .path = p->path, .methods = methods, .nmethods = 1, .grace_ms = 500 };
}

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

static void a_unix_socket_is_for_its_group_and_goes_with_the_server(void **state)
{
    struct place p;
    struct stat st;
    vh__rpc_server_options o;
    vh__rpc_client *c, *late = NULL;
    vh__wait w = vh__wait_from(NULL, 10000);
    vh__grpc_metadata words = { 0 };
    vh_error err = { 0 };

    (void)state;
    place_init(&p);
    o = options_of(&p);
    fixture_run(&p.f, &o);
    assert_int_equal(vh__rpc_server_port(p.f.server), 0);
    assert_int_equal(lstat(p.path, &st), 0);
    assert_int_equal(st.st_mode, S_IFSOCK | 0660);
    c = connect_to(p.path);
    assert_greets(c, "hello");
    vh__grpc_metadata_add(&words, "x-word", 6, "my word", 7);
    assert_ok(vh__rpc_client_metadata(c, &words, &err), err);
    vh__grpc_metadata_fini(&words);
    assert_greets(c, "my word");
    vh__rpc_server_stop(p.f.server);
    while (access(p.path, F_OK) == 0)
        usleep(1000);
    assert_int_equal(vh__rpc_client_connect(p.path, &w, &late, &err), -ENOENT);
    vh__rpc_client_free(c);
    fixture_join(&p.f);
}

static void a_stale_socket_is_replaced_and_a_live_one_refused(void **state)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    struct place p;
    vh__rpc_server_options o;
    vh__rpc_server *second = NULL;
    vh__rpc_client *c;
    vh_error err = { 0 };
    int stale;

    (void)state;
    place_init(&p);
    o = options_of(&p);
    strcpy(at.sun_path, p.path);
    stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(stale, (struct sockaddr *)&at, sizeof(at)), 0);
    close(stale); /* its file stays */
    fixture_run(&p.f, &o);
    c = connect_to(p.path);
    assert_greets(c, "hello");
    assert_int_equal(vh__rpc_server_new(&o, &second, &err), -EADDRINUSE);
    assert_null(second);
    assert_greets(c, "hello"); /* the attempt took nothing away */
    vh__rpc_client_free(c);
    c = connect_to(p.path);
    assert_greets(c, "hello");
    vh__rpc_client_free(c);
    fixture_stop(&p.f);
}

static void what_is_no_socket_is_left_alone(void **state)
{
    struct place p;
    struct stat st;
    vh__rpc_server_options o;
    vh__rpc_server *s = NULL;
    vh_error err = { 0 };
    int fd;

    (void)state;
    place_init(&p);
    o = options_of(&p);
    fd = open(p.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(close(fd), 0);
    assert_int_equal(vh__rpc_server_new(&o, &s, &err), -EADDRINUSE);
    assert_int_equal(lstat(p.path, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    o.path = "/a/path/that/is/far/longer/than/what/the/kernel/takes/for/the/address/of/a/unix/socket/which/is/107/bytes"
             "/and/not/one/more";
    assert_int_equal(vh__rpc_server_new(&o, &s, &err), VH_EINVALID);
    testenv_fini(&p.f.t);
}

/* A newer server has taken the place over: its socket is not the old one's to remove. */
static void the_file_of_another_server_is_left_alone(void **state)
{
    struct place p;
    vh__rpc_server_options o;
    vh__rpc_server *old = NULL;
    vh__rpc_client *c;
    vh_error err = { 0 };

    (void)state;
    place_init(&p);
    o = options_of(&p);
    assert_ok(vh__rpc_server_new(&o, &old, &err), err);
    assert_int_equal(unlink(p.path), 0);
    fixture_run(&p.f, &o);
    vh__rpc_server_free(old);
    c = connect_to(p.path);
    assert_greets(c, "hello");
    vh__rpc_client_free(c);
    fixture_stop(&p.f);
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

static int listening_unix(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(at.sun_path, path);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static void an_inherited_socket_is_served(void **state)
{
    struct place p;
    vh__rpc_server_options o;
    vh__rpc_client *c;
    uint16_t port;

    (void)state;
    place_init(&p);
    o = options_of(&p);
    o.path = NULL;
    o.listen_fd = listening_tcp(&port);
    fixture_run(&p.f, &o);
    assert_int_equal(vh__rpc_server_port(p.f.server), port);
    c = client_of(&p.f);
    assert_greets(c, "hello");
    vh__rpc_client_free(c);
    fixture_stop(&p.f);

    place_init(&p);
    o.listen_fd = listening_unix(p.path);
    fixture_run(&p.f, &o);
    c = connect_to(p.path);
    assert_greets(c, "hello");
    vh__rpc_client_free(c);
    fixture_stop(&p.f);
}

static void an_inherited_descriptor_that_does_not_listen_is_refused_and_closed(void **state)
{
    struct place p;
    vh__rpc_server_options o;
    vh__rpc_server *s = NULL;
    vh_error err = { 0 };

    (void)state;
    place_init(&p);
    o = options_of(&p);
    o.path = NULL;
    o.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(vh__rpc_server_new(&o, &s, &err), VH_EINVALID);
    o.listen_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(vh__rpc_server_new(&o, &s, &err), VH_EINVALID);
    o.listen_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(vh__rpc_server_new(&o, &s, &err), -ENOTSOCK);
    assert_null(s);
    testenv_fini(&p.f.t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unix_socket_is_for_its_group_and_goes_with_the_server),
        cmocka_unit_test(a_stale_socket_is_replaced_and_a_live_one_refused),
        cmocka_unit_test(what_is_no_socket_is_left_alone),
        cmocka_unit_test(the_file_of_another_server_is_left_alone),
        cmocka_unit_test(an_inherited_socket_is_served),
        cmocka_unit_test(an_inherited_descriptor_that_does_not_listen_is_refused_and_closed),
    };
    vh__rpc_server_options o = { .methods = methods, .nmethods = 1 };
    vh__rpc_server *s;

    if (vh__rpc_server_new(&o, &s, NULL) == 0)
        vh__rpc_server_free(s); /* libuv opens two descriptors of the process with its first loop */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
