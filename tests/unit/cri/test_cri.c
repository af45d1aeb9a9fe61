/* The CRI socket over real sockets: hostile peers on either side, and Python's gRPC as a stranger on both (peers.py). */
#include "testenv.h"

#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "auto.h"
#include "clock.h"
#include "cri.h"
#include "failalloc.h"
#include "listen.h"
#include "path.h"
#include "rpc.h"
#include "rpc_proxy.h"
#include "spawn.h"

#define PREFACE  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SETTINGS "\0\0\0\4\0\0\0\0\0"

struct fixture {
    testenv t;
    vh_env *env; /* with a sink that counts */
    char front[96], back[96];
    vh__cri *cri;
    vh__rpc_server *server;
    pthread_t thread;
    int64_t open, ok, other, rest; /* calls by method: Version, "other", and neither */
};

static void on_metric(const char *name, const char *const *values, int64_t amount, void *arg)
{
    struct fixture *f = arg;

    if (strcmp(name, "vhive_cri_open_calls") == 0)
        __atomic_store_n(&f->open, amount, __ATOMIC_SEQ_CST);
    else if (strcmp(name, "vhive_cri_calls_total") == 0)
        __atomic_fetch_add(strcmp(values[0], "Version") == 0 && strcmp(values[1], "OK") == 0 ? &f->ok
                           : strcmp(values[0], "other") == 0                                 ? &f->other
                                                                                             : &f->rest,
                           amount, __ATOMIC_SEQ_CST);
}

static vh__grpc_status version(const vh__rpc_request *request, vh__rpc_answer *answer, void *arg)
{
    (void)arg;
    vh__buf_append(&answer->body, request->body, request->len);
    return VH_GRPC_OK;
}

/* Answers when it was cancelled, or after as many milliseconds as the request has bytes. */
static vh__grpc_status slow(vh__rpc_stream *stream, vh__rpc_answer *answer, void *arg)
{
    vh_auto_buf vh__buf message = { 0 };
    vh__wait w;

    (void)arg;
    (void)answer;
    if (vh__rpc_stream_recv(stream, &message, NULL, NULL) != 1)
        return VH_GRPC_CANCELLED;
    w = vh__wait_from(vh__rpc_stream_call(stream), 60000);
    if (vh__wait_sleep(&w, (uint32_t)message.len, "slow", NULL))
        return VH_GRPC_CANCELLED;
    return vh__rpc_stream_send(stream, "done", 4, NULL) ? VH_GRPC_CANCELLED : VH_GRPC_OK;
}

static const vh__rpc_method methods[] = { { .path = "/runtime.v1.RuntimeService/Version", .handler = version },
                                          { .path = "/runtime.v1.RuntimeService/Slow", .stream = slow } };

static void *run_server(void *arg)
{
    vh_error err = { 0 };

    return vh__rpc_server_run(arg, &err) ? arg : NULL;
}

static void start_backend(struct fixture *f)
{
    vh__rpc_server_options o = { .methods = methods, .nmethods = VH_ARRAY_LEN(methods), .grace_ms = 1 };
    vh_error err = { 0 };

    assert_ok(vh__listen_unix(f->back, 0600, (gid_t)-1, &o.listen_fd, NULL, &err), err);
    assert_ok(vh__rpc_server_new(&o, &f->server, &err), err);
    assert_int_equal(pthread_create(&f->thread, NULL, run_server, f->server), 0);
}

static void stop_backend(struct fixture *f)
{
    void *failed;

    vh__rpc_server_stop(f->server);
    assert_int_equal(pthread_join(f->thread, &failed), 0);
    assert_null(failed);
    vh__rpc_server_free(f->server);
    f->server = NULL;
}

static void fixture_init(struct fixture *f)
{
    vh_env_options o = VH_ENV_OPTIONS_INIT;
    vh_error err = { 0 };

    memset(f, 0, sizeof(*f));
    testenv_init(&f->t);
    o.metrics = on_metric;
    o.metrics_arg = f;
    assert_ok(vh_env_new(&o, &f->env, &err), err);
    (void)snprintf(f->front, sizeof(f->front), "%s/vhive-cri.sock", f->t.dir);
    (void)snprintf(f->back, sizeof(f->back), "%s/back.sock", f->t.dir);
}

static int start(struct fixture *f, vh__cri_options o, vh_error *err)
{
    int rc = vh__listen_unix(f->front, 0660, (gid_t)-1, &o.listen_fd, NULL, err);

    if (rc)
        return rc;
    o.env = f->env;
    if (!o.containerd)
        o.containerd = f->back;
    return vh__cri_new(&o, &f->cri, err);
}

static void fixture_start(struct fixture *f)
{
    vh_error err = { 0 };

    fixture_init(f);
    assert_ok(start(f, (vh__cri_options){ .grace_ms = 300 }, &err), err);
}

static void fixture_stop(struct fixture *f)
{
    vh__cri_free(f->cri);
    if (f->server)
        stop_backend(f);
    vh_env_free(f->env);
    testenv_fini(&f->t);
    assert_int_equal(f->open, 0);
}

static int dial(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    strcpy(at.sun_path, path);
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
        return fd;
    close(fd);
    return -1;
}

static vh__rpc_client *client_of(const struct fixture *f)
{
    vh__rpc_client *c = NULL;
    vh_error err = { 0 };

    assert_ok(vh__rpc_client_new(dial(f->front), "localhost", &c, &err), err);
    return c;
}

/* One call on a connection of its own: its status, with its text in |message|. */
static int call(const struct fixture *f, const char *method, size_t n, char message[256])
{
    static char zeros[1 << 16];
    vh__wait w = vh__wait_from(NULL, 20000);
    vh__rpc_client *c = client_of(f);
    vh__rpc_reply reply = { 0 };
    char path[96];
    vh_error err = { 0 };
    int status;

    (void)snprintf(path, sizeof(path), "/runtime.v1.RuntimeService/%s", method);
    assert_ok(vh__rpc_call(c, path, zeros, n, &w, &reply, &err), err);
    status = (int)reply.status;
    (void)snprintf(message, 256, "%s", reply.message.data ? reply.message.data : "");
    vh__rpc_reply_fini(&reply);
    vh__rpc_client_free(c);
    return status;
}

static void assert_served(const struct fixture *f)
{
    char message[256];

    assert_int_equal(call(f, "Version", 7, message), VH_GRPC_OK);
}

static void the_sockets_file_is_left_to_its_maker(void **state)
{
    struct fixture f;
    struct stat st;

    (void)state;
    fixture_start(&f);
    start_backend(&f);
    assert_served(&f);
    vh__cri_free(f.cri);
    f.cri = NULL;
    assert_int_equal(stat(f.front, &st), 0);
    fixture_stop(&f);
}

static void a_path_too_long_for_a_socket_is_refused(void **state)
{
    static char path[200] = "/tmp/";
    struct fixture f;
    vh_error err = { 0 };

    (void)state;
    fixture_init(&f);
    memset(path + 5, 'x', sizeof(path) - 6);
    assert_int_equal(start(&f, (vh__cri_options){ .containerd = path }, &err), VH_EINVALID);
    assert_null(f.cri);
    fixture_stop(&f);
}

static void calls_are_counted_by_the_methods_that_cri_has(void **state)
{
    struct fixture f;
    char message[256];

    (void)state;
    fixture_start(&f);
    start_backend(&f);
    for (int i = 0; i < 5; i++)
        assert_served(&f);
    assert_int_equal(call(&f, "Invented", 1, message), VH_GRPC_UNIMPLEMENTED);
    assert_int_equal(call(&f, "Slow", 1, message), VH_GRPC_OK); /* it is there, but no method of CRI */
    assert_int_equal(call(&f, "RuntimeConfig", 1, message), VH_GRPC_UNIMPLEMENTED);
    fixture_stop(&f);
    assert_int_equal(f.ok, 5);
    assert_int_equal(f.other, 2);
    assert_int_equal(f.rest, 1);
}

/* A backend of bytes: greets whoever connects with |say| and hangs up, or with |hold| waits for the other to do so. */
struct raw {
    int listener;
    const char *say;
    size_t n;
    bool hold;
    pthread_t thread;
};

static void raw_serve(const struct raw *r, int fd)
{
    char drop[65536];

    if (read(fd, drop, sizeof(drop)) > 0 && (r->n == 0 || write(fd, r->say, r->n) > 0)) {
        while (r->hold && read(fd, drop, sizeof(drop)) > 0)
            ;
    }
    close(fd);
}

static void *raw_run(void *arg)
{
    struct raw *r = arg;
    int fd;

    for (;;) {
        struct pollfd p = { .fd = r->listener, .events = POLLIN };

        (void)poll(&p, 1, -1);
        fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL; /* it was shut down */
        raw_serve(r, fd);
    }
}

static void raw_start(struct raw *r, const char *path)
{
    vh_error err = { 0 };

    assert_ok(vh__listen_unix(path, 0600, (gid_t)-1, &r->listener, NULL, &err), err);
    assert_int_equal(pthread_create(&r->thread, NULL, raw_run, r), 0);
}

static void raw_stop(struct raw *r)
{
    (void)shutdown(r->listener, SHUT_RDWR);
    assert_int_equal(pthread_join(r->thread, NULL), 0);
    close(r->listener);
}

#define SAYS(bytes, holds) { .say = (bytes), .n = sizeof(bytes) - 1, .hold = (holds) }

static void backends_that_do_not_speak_grpc_are_unavailable(void **state)
{
    static struct raw backends[] = {
        SAYS("", false),
        SAYS("HTTP/1.1 400 Bad Request\r\n\r\n", false),
        SAYS("HTTP/1.1 400 Bad Request\r\n\r\n", true),
        SAYS(SETTINGS "\0\0\4\1\5\0\0\0\1\xff\xff\xff\xff", true),                 /* header block of nonsense */
        SAYS(SETTINGS "\0\0\4\x8\0\0\0\0\0\0\0\0\0", true),                        /* window opened by nothing */
        SAYS(SETTINGS "\0\0\1\0\0\0\0\0\1x", true),                                /* data before its head */
        SAYS(SETTINGS "\0\0\x8\7\0\0\0\0\0\0\0\0\0\0\0\0\1", true),                /* goodbye at once */
        SAYS(SETTINGS "\0\0\4\3\0\0\0\0\1\0\0\0\7", true),                         /* refuses every call */
    };
    char message[256];

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(backends); i++) {
        struct fixture f;
        int status;

        fixture_start(&f);
        raw_start(&backends[i], f.back);
        status = call(&f, "Version", 7, message);
        if (status != VH_GRPC_UNAVAILABLE && !(i == 5 && status == VH_GRPC_INTERNAL))
            fail_msg("backend %zu: status %d (%s)", i, status, message);
        if (i < 5)
            assert_non_null(strstr(message, f.back));
        vh__cri_free(f.cri);
        f.cri = NULL;
        raw_stop(&backends[i]);
        fixture_stop(&f);
    }
}

static void a_backend_that_is_not_there_is_unavailable_in_time(void **state)
{
    int64_t since = vh__clock_mono_ns();
    struct fixture f;
    char message[256], want[160];

    (void)state;
    fixture_start(&f);
    assert_int_equal(call(&f, "Version", 7, message), VH_GRPC_UNAVAILABLE);
    (void)snprintf(want, sizeof(want), "%s: no connection within 2000 ms: No such file or directory", f.back);
    assert_string_equal(message, want);
    assert_true(vh__clock_mono_ns() - since < 10 * VH_NS_PER_S);
    start_backend(&f);
    assert_served(&f);
    fixture_stop(&f);
}

static void a_backend_that_restarts_is_met_again_on_the_same_connection(void **state)
{
    vh__wait w = vh__wait_from(NULL, 20000);
    struct fixture f;
    vh__rpc_client *c;
    vh_error err = { 0 };

    (void)state;
    fixture_start(&f);
    c = client_of(&f);
    for (int i = 0; i < 3; i++) {
        vh__rpc_reply reply = { 0 };

        start_backend(&f);
        assert_ok(vh__rpc_call(c, methods[0].path, "x", 1, &w, &reply, &err), err);
        assert_int_equal(reply.status, VH_GRPC_OK);
        vh__rpc_reply_fini(&reply);
        stop_backend(&f);
    }
    vh__rpc_client_free(c);
    fixture_stop(&f);
}

/* Waits until the proxy has closed |fd|; fails after ten seconds. */
static void assert_closed(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    char drop[4096];

    do
        assert_int_equal(poll(&p, 1, 10000), 1);
    while (recv(fd, drop, sizeof(drop), 0) > 0);
    close(fd);
}

static void push(int fd, const void *bytes, size_t n)
{
    assert_true(send(fd, bytes, n, MSG_NOSIGNAL) >= 0 || errno == EPIPE || errno == ECONNRESET);
}

static void hostile_clients_are_closed_and_others_served(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } frames[] = {
        { "GET / HTTP/1.1\r\n\r\n\r\n\r\n\r\n\r\n\r\n", 26 },
        { PREFACE SETTINGS "\0\0\4\1\5\0\0\0\1\xff\xff\xff\xff", 46 },        /* header block of nonsense */
        { PREFACE SETTINGS "\xff\xff\xff\0\0\0\0\0\1", 42 },                  /* a frame of 16 MiB */
        { PREFACE SETTINGS "\0\0\4\x8\0\0\0\0\0\0\0\0\0", 46 },               /* window opened by nothing */
        { PREFACE SETTINGS "\0\0\1\0\0\0\0\0\1x", 43 },                       /* data of no stream */
    };
    struct fixture f;

    (void)state;
    fixture_start(&f);
    start_backend(&f);
    for (size_t i = 0; i < VH_ARRAY_LEN(frames); i++) {
        int fd = dial(f.front);

        push(fd, frames[i].bytes, frames[i].n);
        assert_closed(fd);
        assert_served(&f);
    }
    fixture_stop(&f);
}

/* Pings and settings ask for answers: who does not read them is not written for without end. */
static void floods_are_ended(void **state)
{
    static const char *const kinds[] = { "\0\0\x8\6\0\0\0\0\0pingpong", SETTINGS };
    static const size_t lengths[] = { 17, 9 };
    struct fixture f;

    (void)state;
    fixture_start(&f);
    start_backend(&f);
    for (size_t k = 0; k < VH_ARRAY_LEN(kinds); k++) {
        int fd = dial(f.front);
        ssize_t n = 1;

        push(fd, PREFACE SETTINGS, 33);
        for (int i = 0; n > 0 && i < 2000000; i++)
            n = send(fd, kinds[k], lengths[k], MSG_NOSIGNAL);
        assert_true(n < 0); /* it was hung up on */
        close(fd);
        assert_served(&f);
    }
    fixture_stop(&f);
}

static void silent_connections_lock_nobody_out(void **state)
{
    struct fixture f;
    int fds[300];

    (void)state;
    fixture_start(&f);
    start_backend(&f);
    for (size_t i = 0; i < VH_ARRAY_LEN(fds); i++) {
        fds[i] = dial(f.front);
        push(fds[i], PREFACE SETTINGS "\0\0\x40\1\4\0\0\0\1", 42); /* a request that never comes */
    }
    for (int i = 0; i < 3; i++)
        assert_served(&f);
    for (size_t i = 0; i < VH_ARRAY_LEN(fds); i++)
        close(fds[i]);
    fixture_stop(&f);
}

/* Waits until |n| calls are under way; fails after ten seconds. */
static void await_open(const struct fixture *f, int64_t n)
{
    for (int i = 0; i < 1000 && __atomic_load_n(&f->open, __ATOMIC_SEQ_CST) != n; i++)
        (void)usleep(10000);
    assert_int_equal(__atomic_load_n(&f->open, __ATOMIC_SEQ_CST), n);
}

static void a_client_that_goes_takes_its_call_along(void **state)
{
    static char much[60000]; /* a minute's */
    vh__wait w = vh__wait_from(NULL, 60000);
    struct fixture f;
    vh__rpc_client *c;
    vh__rpc_exchange *x;
    vh_error err = { 0 };
    int fd, same;

    (void)state;
    fixture_start(&f);
    start_backend(&f);
    fd = dial(f.front);
    same = dup(fd);
    assert_ok(vh__rpc_client_new(fd, "localhost", &c, &err), err);
    assert_ok(vh__rpc_exchange_open(c, methods[1].path, &w, &x, &err), err);
    assert_ok(vh__rpc_exchange_send(x, much, sizeof(much), true, &err), err);
    await_open(&f, 1);
    assert_int_equal(shutdown(same, SHUT_RDWR), 0);
    await_open(&f, 0);
    close(same);
    vh__rpc_exchange_close(x);
    vh__rpc_client_free(c);
    fixture_stop(&f); /* waits for the handler as well, which was told */
}

struct caller {
    struct fixture *f;
    size_t ms;
    int status;
};

static void *call_slow(void *arg)
{
    struct caller *c = arg;
    vh__wait w = vh__wait_from(NULL, 20000);
    vh__rpc_client *client = client_of(c->f);
    vh__rpc_reply reply = { 0 };
    static char zeros[60000];

    c->status = vh__rpc_call(client, methods[1].path, zeros, c->ms, &w, &reply, NULL);
    if (c->status == 0)
        c->status = (int)reply.status;
    vh__rpc_reply_fini(&reply);
    vh__rpc_client_free(client);
    return NULL;
}

static void the_end_waits_for_calls_as_long_as_its_grace(void **state)
{
    struct fixture f;
    struct caller short_one = { &f, 400, 99 }, long_one = { &f, 60000, 99 };
    pthread_t threads[2];
    vh_error err = { 0 };
    int64_t since;

    (void)state;
    fixture_init(&f);
    assert_ok(start(&f, (vh__cri_options){ .grace_ms = 2000 }, &err), err);
    start_backend(&f);
    assert_int_equal(pthread_create(&threads[0], NULL, call_slow, &short_one), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, call_slow, &long_one), 0);
    await_open(&f, 2);
    since = vh__clock_mono_ns();
    vh__cri_free(f.cri);
    f.cri = NULL;
    assert_true(vh__clock_mono_ns() - since >= 1900 * VH_NS_PER_MS);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(short_one.status, VH_GRPC_OK);
    assert_true(long_one.status != VH_GRPC_OK);
    fixture_stop(&f);
}

static int dial_to(const void *fixture)
{
    return dial(((const struct fixture *)fixture)->front);
}

static void who_comes_while_there_is_no_memory_is_closed_and_others_are_served_later(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start(&f);
    start_backend(&f);
    assert_int_equal(failalloc_dial(dial_to, &f), FAILALLOC_DIALS);
    assert_served(&f);
    fixture_stop(&f);
}

static atomic_bool loop_fails;

int __real_vh__rpc_proxy_run(vh__rpc_proxy *proxy, vh_error *err);
int __wrap_vh__rpc_proxy_run(vh__rpc_proxy *proxy, vh_error *err);

int __wrap_vh__rpc_proxy_run(vh__rpc_proxy *proxy, vh_error *err)
{
    return loop_fails ? vh_error_set(err, -EIO, "made up") : __real_vh__rpc_proxy_run(proxy, err);
}

static void its_owner_hears_of_an_end_that_was_not_asked_for(void **state)
{
    struct fixture f;
    vh_cancel *end = NULL;
    struct pollfd p = { .events = POLLIN };
    vh_error err = { 0 };

    (void)state;
    fixture_init(&f);
    assert_ok(vh_cancel_new(&end, &err), err);
    p.fd = vh__cancel_fd(end);
    assert_ok(start(&f, (vh__cri_options){ .end = end }, &err), err);
    assert_int_equal(poll(&p, 1, 50), 0); /* it serves */
    vh__cri_free(f.cri);
    loop_fails = true;
    vh_cancel_free(end);
    assert_ok(vh_cancel_new(&end, &err), err);
    p.fd = vh__cancel_fd(end);
    (void)unlink(f.front);
    assert_ok(start(&f, (vh__cri_options){ .end = end }, &err), err);
    assert_int_equal(poll(&p, 1, 10000), 1);
    vh__cri_free(f.cri);
    f.cri = NULL;
    vh_cancel_free(end);
    loop_fails = false;
    fixture_stop(&f);
}

static int make_and_free(void *arg)
{
    struct fixture *f = arg;
    int rc = start(f, (vh__cri_options){ 0 }, NULL);

    vh__cri_free(f->cri);
    f->cri = NULL;
    (void)unlink(f->front);
    return rc;
}

static void making_survives_failing_allocations(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    failalloc_sweep(make_and_free, &f);
    fixture_stop(&f);
}

static void calls_of_every_kind_pass_between_strangers(void **state)
{
    static const char *const probe[] = { "/usr/bin/python3", "-c", "import grpc", NULL };
    vh__wait w = vh__wait_from(NULL, 100000);
    vh_auto_buf vh__buf out = { 0 };
    char here[] = __FILE__, script[sizeof(here) + 16];
    struct fixture f;
    vh_error err = { 0 };
    int rc;

    (void)state;
    if (vh__run_program(probe, NULL, &w, 4096, &out, &err))
        testenv_skip("grpcio", "python3-grpcio is not installed");
    vh__buf_clear(&out);
    fixture_start(&f);
    (void)snprintf(script, sizeof(script), "%s/peers.py", dirname(here));
    const char *const argv[] = { "/usr/bin/python3", "-B", script, f.front, f.back, NULL };
    rc = vh__run_program(argv, NULL, &w, 65536, &out, &err);
    print_message("%s\n", out.data ? out.data : "");
    assert_ok(rc, err);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sockets_file_is_left_to_its_maker),
        cmocka_unit_test(a_path_too_long_for_a_socket_is_refused),
        cmocka_unit_test(calls_are_counted_by_the_methods_that_cri_has),
        cmocka_unit_test(backends_that_do_not_speak_grpc_are_unavailable),
        cmocka_unit_test(a_backend_that_is_not_there_is_unavailable_in_time),
        cmocka_unit_test(a_backend_that_restarts_is_met_again_on_the_same_connection),
        cmocka_unit_test(hostile_clients_are_closed_and_others_served),
        cmocka_unit_test(floods_are_ended),
        cmocka_unit_test(silent_connections_lock_nobody_out),
        cmocka_unit_test(a_client_that_goes_takes_its_call_along),
        cmocka_unit_test(the_end_waits_for_calls_as_long_as_its_grace),
        cmocka_unit_test(who_comes_while_there_is_no_memory_is_closed_and_others_are_served_later),
        cmocka_unit_test(its_owner_hears_of_an_end_that_was_not_asked_for),
        cmocka_unit_test(making_survives_failing_allocations),
        cmocka_unit_test(calls_of_every_kind_pass_between_strangers),
    };
    struct fixture first;

    (void)signal(SIGPIPE, SIG_IGN); /* for the backend, which is a thread of this process */
    fixture_init(&first); /* libuv opens two descriptors of the process with its first loop */
    (void)make_and_free(&first);
    vh_env_free(first.env);
    vh_env_free(first.t.env);
    if (vh__path_remove(first.t.dir, NULL))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
