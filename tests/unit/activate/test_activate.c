/* Connections through an activator, over real sockets: the test is the clients and the instance, turn by turn. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "activate.h"
#include "address.h"
#include "auto.h"
#include "clock.h"
#include "failalloc.h"
#include "testenv.h"

#define SEEN_MAX 64
/* Nothing here takes longer, unless it hangs. */
#define LIMIT_MS 20000

struct world {
    testenv env;
    vh__activator *a;
    vh__listener *listener;
    int backend; /* listening socket of the instance */
    vh__address at;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool grant_at_once;
    vh__conn *waiting[SEEN_MAX]; /* in the order they came */
    unsigned wanted, ended, ended_granted;
};

static void wanted(vh__conn *conn, void *owner, void *arg)
{
    struct world *w = arg;

    assert_ptr_equal(owner, w);
    pthread_mutex_lock(&w->lock);
    if (w->wanted < SEEN_MAX)
        w->waiting[w->wanted] = conn;
    w->wanted++;
    if (w->grant_at_once)
        vh__conn_grant(conn, &w->at.at.any, w->at.len);
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static void ended(vh__conn *conn, bool granted, void *arg)
{
    struct world *w = arg;

    (void)conn;
    pthread_mutex_lock(&w->lock);
    w->ended++;
    w->ended_granted += granted;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static const vh__activate_ops ops = { wanted, ended };

/* Waits until |*count| is |n|. */
static void wait_for(struct world *w, const unsigned *count, unsigned n)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LIMIT_MS / 1000;
    pthread_mutex_lock(&w->lock);
    while (*count < n)
        if (pthread_cond_timedwait(&w->changed, &w->lock, &until))
            fail_msg("%u came within %d ms, not %u", *count, LIMIT_MS, n);
    assert_int_equal(*count, n);
    pthread_mutex_unlock(&w->lock);
}

static void set_deadline(int fd)
{
    static const struct timeval limit = { .tv_sec = LIMIT_MS / 1000 };

    assert_return_code(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), errno);
    assert_return_code(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)), errno);
}

/* A TCP socket of a port that the kernel chose, which |at| names; it listens if |open|. */
static int make_backend(vh__address *at, bool open)
{
    static const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *at = (vh__address){ .at.v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) },
                         .len = sizeof(at->at.v4) };
    assert_return_code(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), errno);
    assert_return_code(bind(fd, &at->at.any, at->len), errno);
    assert_return_code(getsockname(fd, &at->at.any, &at->len), errno);
    if (open)
        assert_return_code(listen(fd, 4096), errno);
    set_deadline(fd);
    return fd;
}

static vh__activator_options options(struct world *w)
{
    return (vh__activator_options){ .env = w->env.env, .max_connections = 1000, .wait_ms = LIMIT_MS,
                                    .port_first = 20000, .port_last = 20999 };
}

static void start(struct world *w, const vh__activator_options *o, const char *address, bool grant_at_once)
{
    vh_error err = { 0 };

    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    w->grant_at_once = grant_at_once;
    w->backend = make_backend(&w->at, true);
    assert_ok(vh__activator_new(o, &ops, w, &w->a, &err), err);
    assert_ok(vh__activator_listen(w->a, address, w, &w->listener, &err), err);
}

static void begin(struct world *w, bool grant_at_once)
{
    vh__activator_options o;

    memset(w, 0, sizeof(*w));
    testenv_init(&w->env);
    o = options(w);
    start(w, &o, "tcp:127.0.0.1", grant_at_once);
}

static void finish(struct world *w)
{
    vh__activator_free(w->a);
    if (w->backend >= 0)
        close(w->backend);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    testenv_fini(&w->env);
}

static int connect_to(const char *address)
{
    vh_error err = { 0 };
    vh__address at;
    int fd;

    assert_ok(vh__address_parse(address, &at, &err), err);
    fd = socket(at.at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(connect(fd, &at.at.any, at.len), errno);
    set_deadline(fd);
    return fd;
}

static int client_of(struct world *w)
{
    return connect_to(vh__listener_address(w->listener));
}

static int accept_from(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    assert_return_code(fd, errno);
    set_deadline(fd);
    return fd;
}

static void grant(struct world *w, unsigned i)
{
    pthread_mutex_lock(&w->lock); /* as an owner does it: its lock is what ended() waits for */
    vh__conn_grant(w->waiting[i], &w->at.at.any, w->at.len);
    pthread_mutex_unlock(&w->lock);
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void hear(int fd, const char *text)
{
    char got[64] = "";

    assert_int_equal(recv(fd, got, strlen(text), MSG_WAITALL), strlen(text));
    assert_string_equal(got, text);
}

static void hear_end(int fd)
{
    char byte;

    assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

static void hear_reset(int fd)
{
    char byte;

    assert_int_equal(recv(fd, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
}

static void reset(int fd)
{
    static const struct linger now = { .l_onoff = 1 };

    assert_return_code(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), errno);
    close(fd);
}

static void a_connection_waits_and_is_relayed_once_granted(void **state)
{
    struct world w;
    int client, instance;

    (void)state;
    begin(&w, false);
    client = client_of(&w);
    say(client, "hello");
    wait_for(&w, &w.wanted, 1);
    grant(&w, 0);
    instance = accept_from(w.backend);
    hear(instance, "hello");
    say(instance, "world");
    hear(client, "world");
    close(client);
    hear_end(instance);
    close(instance);
    wait_for(&w, &w.ended_granted, 1);
    assert_int_equal(w.ended, 1);
    finish(&w);
}

static void granted_at_once_it_is_relayed(void **state)
{
    struct world w;
    int client, instance;

    (void)state;
    begin(&w, true);
    client = client_of(&w);
    instance = accept_from(w.backend);
    say(instance, "220 ready"); /* the server speaks first */
    hear(client, "220 ready");
    say(client, "quit");
    hear(instance, "quit");
    close(instance);
    hear_end(client);
    close(client);
    wait_for(&w, &w.ended_granted, 1);
    finish(&w);
}

static void a_refused_connection_is_reset(void **state)
{
    struct world w;
    int client;

    (void)state;
    begin(&w, false);
    client = client_of(&w);
    wait_for(&w, &w.wanted, 1);
    vh__conn_refuse(w.waiting[0]);
    hear_reset(client);
    close(client);
    vh__listener_close(w.listener);
    assert_int_equal(w.ended, 0);
    finish(&w);
}

static void a_peer_that_goes_while_it_waits_is_over_at_once(void **state)
{
    struct world w;
    int client;

    (void)state;
    begin(&w, false);
    client = client_of(&w);
    wait_for(&w, &w.wanted, 1);
    close(client);
    wait_for(&w, &w.ended, 1);
    client = client_of(&w);
    say(client, "request");
    wait_for(&w, &w.wanted, 2);
    reset(client);
    wait_for(&w, &w.ended, 2);
    assert_int_equal(w.ended_granted, 0);
    finish(&w);
}

static void a_peer_that_ended_its_request_is_answered(void **state)
{
    struct world w;
    int client, instance;

    (void)state;
    begin(&w, false);
    client = client_of(&w);
    say(client, "request");
    shutdown(client, SHUT_WR);
    wait_for(&w, &w.wanted, 1);
    assert_int_equal(usleep(20000), 0);
    assert_int_equal(w.ended, 0);
    grant(&w, 0);
    instance = accept_from(w.backend);
    hear(instance, "request");
    hear_end(instance);
    say(instance, "answer");
    close(instance);
    hear(client, "answer");
    hear_end(client);
    close(client);
    wait_for(&w, &w.ended_granted, 1);
    finish(&w);
}

static void an_instance_that_ends_first_still_hears(void **state)
{
    struct world w;
    int client, instance;

    (void)state;
    begin(&w, true);
    client = client_of(&w);
    instance = accept_from(w.backend);
    say(instance, "bye");
    shutdown(instance, SHUT_WR);
    hear(client, "bye");
    hear_end(client);
    say(client, "last words");
    hear(instance, "last words");
    close(client);
    hear_end(instance);
    close(instance);
    wait_for(&w, &w.ended_granted, 1);
    finish(&w);
}

static void a_reset_of_either_end_is_one_for_the_other(void **state)
{
    struct world w;
    int client, instance;

    (void)state;
    begin(&w, true);
    client = client_of(&w);
    instance = accept_from(w.backend);
    say(instance, "half an ans");
    hear(client, "half an ans");
    reset(instance);
    hear_reset(client);
    close(client);
    wait_for(&w, &w.ended_granted, 1);
    client = client_of(&w);
    instance = accept_from(w.backend);
    say(client, "half a req");
    hear(instance, "half a req");
    reset(client);
    hear_reset(instance);
    close(instance);
    wait_for(&w, &w.ended_granted, 2);
    finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_waits_and_is_relayed_once_granted),
        cmocka_unit_test(granted_at_once_it_is_relayed),
        cmocka_unit_test(a_refused_connection_is_reset),
        cmocka_unit_test(a_peer_that_goes_while_it_waits_is_over_at_once),
        cmocka_unit_test(a_peer_that_ended_its_request_is_answered),
        cmocka_unit_test(an_instance_that_ends_first_still_hears),
        cmocka_unit_test(a_reset_of_either_end_is_one_for_the_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
