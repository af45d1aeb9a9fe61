/* Connections through an activator, over real sockets: the test is the clients and the instance, turn by turn. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "activate.h"
#include "address.h"
#include "auto.h"
#include "clock.h"
#include "failalloc.h"
#include "listen.h"
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
    bool grant_on_end; /* of the first, the second gets its place */
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
    if (w->grant_on_end && w->ended == 1)
        vh__conn_grant(w->waiting[1], &w->at.at.any, w->at.len);
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

static void assert_count(struct world *w, const unsigned *count, unsigned n)
{
    pthread_mutex_lock(&w->lock);
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

/* A client and the instance it was given at once. */
static void join(struct world *w, int *client, int *instance)
{
    *client = client_of(w);
    *instance = accept_from(w->backend);
}

/* Ends the only connection that was granted, and all. */
static void part(struct world *w, int client, int instance)
{
    close(client);
    close(instance);
    wait_for(w, &w->ended_granted, 1);
    finish(w);
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
    assert_count(&w, &w.ended, 1);
    finish(&w);
}

static void granted_at_once_it_is_relayed(void **state)
{
    struct world w;
    int client, instance;

    (void)state;
    begin(&w, true);
    join(&w, &client, &instance);
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

/* Descriptors in the epoll sets of this process. */
static unsigned watched(void)
{
    DIR *dir = opendir("/proc/self/fdinfo");
    const struct dirent *e;
    unsigned n = 0;

    assert_non_null(dir);
    while ((e = readdir(dir))) {
        char line[128];
        int fd = openat(dirfd(dir), e->d_name, O_RDONLY | O_CLOEXEC);
        FILE *f = fd >= 0 && e->d_name[0] != '.' ? fdopen(fd, "r") : NULL;

        while (f && fgets(line, sizeof(line), f))
            n += strncmp(line, "tfd:", 4) == 0;
        if (f)
            fclose(f);
        else if (fd >= 0)
            close(fd);
    }
    closedir(dir);
    return n;
}

static void a_process_that_is_being_started_keeps_nothing_watched(void **state)
{
    struct world w;
    int client, instance;
    unsigned before, left;
    pid_t child;

    (void)state;
    begin(&w, true);
    before = watched();
    join(&w, &client, &instance);
    say(client, "hello");
    hear(instance, "hello");
    child = fork(); /* it has copies of all descriptors, as any has before it executes a program */
    if (child == 0)
        for (;;)
            pause();
    assert_return_code(child, errno);
    shutdown(client, SHUT_RDWR); /* closing would tell nobody */
    shutdown(instance, SHUT_RDWR);
    close(client);
    close(instance);
    wait_for(&w, &w.ended_granted, 1);
    left = watched();
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(left, before);
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
    assert_count(&w, &w.ended, 0);
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
    assert_count(&w, &w.ended_granted, 0);
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
    assert_count(&w, &w.ended, 0);
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
    join(&w, &client, &instance);
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
    join(&w, &client, &instance);
    say(instance, "half an ans");
    hear(client, "half an ans");
    reset(instance);
    hear_reset(client);
    close(client);
    wait_for(&w, &w.ended_granted, 1);
    join(&w, &client, &instance);
    say(client, "half a req");
    hear(instance, "half a req");
    reset(client);
    hear_reset(instance);
    close(instance);
    wait_for(&w, &w.ended_granted, 2);
    finish(&w);
}

/* The loop has nothing to do: whoever waits must not make it spin. */
static void stays_calm(void)
{
    struct timespec before, after;
    long ms;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    assert_int_equal(usleep(200000), 0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    ms = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    assert_true(ms < 50);
}

static void an_instance_that_listens_later_is_reached(void **state)
{
    struct world w;
    int client, instance;

    (void)state;
    begin(&w, true);
    close(w.backend);
    w.backend = make_backend(&w.at, false);
    client = client_of(&w);
    say(client, "early");
    assert_int_equal(usleep(30000), 0);
    assert_return_code(listen(w.backend, 1), errno);
    instance = accept_from(w.backend);
    hear(instance, "early");
    say(instance, "in time");
    hear(client, "in time");
    part(&w, client, instance);
}

static void begin_impatient(struct world *w, bool grant_at_once)
{
    vh__activator_options o;

    memset(w, 0, sizeof(*w));
    testenv_init(&w->env);
    o = options(w);
    o.wait_ms = 100;
    start(w, &o, "tcp:127.0.0.1", grant_at_once);
}

static void who_waits_too_long_is_reset(void **state)
{
    struct world w;
    int client;

    (void)state;
    begin_impatient(&w, false);
    client = client_of(&w);
    hear_reset(client);
    wait_for(&w, &w.ended, 1);
    assert_count(&w, &w.ended_granted, 0);
    close(client);
    finish(&w);
}

static void a_place_that_gets_free_by_time_is_given_at_once(void **state)
{
    struct world w;
    int client[2], instance;

    (void)state;
    begin_impatient(&w, false);
    w.grant_on_end = true;
    client[0] = client_of(&w);
    wait_for(&w, &w.wanted, 1);
    assert_int_equal(usleep(50000), 0);
    client[1] = client_of(&w);
    wait_for(&w, &w.ended, 1);
    instance = accept_from(w.backend); /* nothing else wakes the loop */
    say(client[1], "next");
    hear(instance, "next");
    hear_reset(client[0]);
    close(client[0]);
    close(client[1]);
    close(instance);
    wait_for(&w, &w.ended_granted, 1);
    finish(&w);
}

static void an_attempt_without_answer_is_made_anew(void **state)
{
    struct world w;
    int filler, client, instance;
    int64_t start_ns;

    (void)state;
    begin(&w, true);
    assert_return_code(listen(w.backend, 0), errno);
    filler = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(connect(filler, &w.at.at.any, w.at.len), errno); /* no room: others are dropped without a word */
    client = client_of(&w);
    say(client, "anybody?");
    start_ns = vh__clock_mono_ns();
    assert_int_equal(usleep(30000), 0);
    close(accept_from(w.backend));
    instance = accept_from(w.backend);
    assert_true(vh__clock_mono_ns() - start_ns < 900 * VH_NS_PER_MS); /* the kernel alone takes a second */
    hear(instance, "anybody?");
    close(client);
    close(instance);
    close(filler);
    wait_for(&w, &w.ended_granted, 1);
    finish(&w);
}

static void an_instance_that_never_listens_is_given_up(void **state)
{
    struct world w;
    int client;

    (void)state;
    begin_impatient(&w, true);
    close(w.backend);
    w.backend = make_backend(&w.at, false);
    client = client_of(&w);
    hear_reset(client);
    wait_for(&w, &w.ended_granted, 1);
    close(client);
    finish(&w);
}

static void a_peer_that_goes_while_it_is_connected_is_over_at_once(void **state)
{
    struct world w;
    int client;

    (void)state;
    begin(&w, true);
    close(w.backend);
    w.backend = make_backend(&w.at, false);
    client = client_of(&w);
    wait_for(&w, &w.wanted, 1);
    close(client);
    wait_for(&w, &w.ended_granted, 1);
    finish(&w);
}

static void an_answer_for_a_peer_that_has_gone_is_fine(void **state)
{
    struct world w;
    int client;

    (void)state;
    begin(&w, false);
    close(w.backend);
    w.backend = make_backend(&w.at, false); /* one that accepted would have a say in when it is over */
    for (unsigned i = 0; i < 50; i++) { /* the answer comes before, while and after the peer goes */
        client = client_of(&w);
        wait_for(&w, &w.wanted, i + 1);
        pthread_mutex_lock(&w.lock);
        close(client);
        if (i % 3 == 0)
            sched_yield();
        if (w.ended == i)
            vh__conn_grant(w.waiting[i], &w.at.at.any, w.at.len);
        pthread_mutex_unlock(&w.lock);
        wait_for(&w, &w.ended, i + 1);
    }
    finish(&w);
}

static void nobody_who_waits_makes_the_loop_spin(void **state)
{
    struct world w;
    int client[3], instance[3];

    (void)state;
    begin(&w, false);
    client[0] = client_of(&w); /* waits, with its request ended */
    say(client[0], "request");
    shutdown(client[0], SHUT_WR);
    client[1] = client_of(&w); /* half-closed by the client */
    client[2] = client_of(&w); /* half-closed by the instance */
    wait_for(&w, &w.wanted, 3);
    for (unsigned i = 1; i < 3; i++) {
        grant(&w, i);
        instance[i] = accept_from(w.backend);
    }
    shutdown(client[1], SHUT_WR);
    hear_end(instance[1]);
    shutdown(instance[2], SHUT_WR);
    hear_end(client[2]);
    stays_calm();
    assert_count(&w, &w.ended, 0);
    for (int i = 0; i < 3; i++)
        close(client[i]);
    close(instance[1]);
    close(instance[2]);
    wait_for(&w, &w.ended_granted, 2);
    finish(&w);
}

/* Byte |at| of a stream that is nowhere like itself some pages away. */
static uint8_t byte_at(uint32_t seed, size_t at)
{
    return (uint8_t)((at * 2654435761u >> 13) ^ (at >> 8) ^ seed);
}

struct stream {
    int fd;
    uint32_t seed;
    size_t size;
    bool right;
};

static void *send_stream(void *arg)
{
    struct stream *s = arg;
    uint8_t bytes[32768];

    for (size_t at = 0; at < s->size;) {
        size_t n = VH_MIN(sizeof(bytes), s->size - at);

        for (size_t i = 0; i < n; i++)
            bytes[i] = byte_at(s->seed, at + i);
        if (send(s->fd, bytes, n, MSG_NOSIGNAL) != (ssize_t)n)
            return NULL;
        at += n;
    }
    s->right = shutdown(s->fd, SHUT_WR) == 0;
    return NULL;
}

static void *receive_stream(void *arg)
{
    struct stream *s = arg;
    uint8_t bytes[50000];
    size_t at = 0;
    ssize_t n;

    while ((n = recv(s->fd, bytes, sizeof(bytes), 0)) > 0)
        for (ssize_t i = 0; i < n; i++)
            if (bytes[i] != byte_at(s->seed, at++))
                return NULL;
    s->right = n == 0 && at == s->size;
    return NULL;
}

static void run_both_ways(int client, int instance, size_t size)
{
    struct stream s[4] = { { client, 1, size, false }, { instance, 1, size, false }, { instance, 2, size, false },
                           { client, 2, size, false } };
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i % 2 ? receive_stream : send_stream, &s[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_true(s[i].right);
    }
}

static void a_hundred_mib_both_ways_at_once_come_as_they_were_sent(void **state)
{
    struct world w;
    int client, instance;

    (void)state;
    begin(&w, true);
    join(&w, &client, &instance);
    run_both_ways(client, instance, (size_t)100 << 20);
    part(&w, client, instance);
}

/* Sends until nothing is taken any more for a while; how much it was. */
static size_t send_until_full(int fd)
{
    static const uint8_t bytes[65536];
    size_t sent = 0;
    struct pollfd p = { .fd = fd, .events = POLLOUT };

    while (poll(&p, 1, 300) > 0) {
        ssize_t n = send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);

        assert_true(n > 0 || errno == EAGAIN);
        sent += n > 0 ? (size_t)n : 0;
        assert_true(sent < (size_t)64 << 20); /* somebody keeps it all */
    }
    return sent;
}

static void receive_all(int fd, size_t size)
{
    static uint8_t bytes[65536];

    while (size) {
        ssize_t n = recv(fd, bytes, VH_MIN(sizeof(bytes), size), 0);

        assert_true(n > 0);
        size -= (size_t)n;
    }
}

static void a_slow_reader_stops_the_writer_and_loses_nothing(void **state)
{
    struct world w;
    int client, instance;
    size_t sent;

    (void)state;
    begin(&w, true);
    join(&w, &client, &instance);
    sent = send_until_full(instance);
    stays_calm();
    say(client, "still there?"); /* the other direction does not care */
    hear(instance, "still there?");
    close(instance);
    stays_calm();
    receive_all(client, sent);
    hear_end(client);
    close(client);
    wait_for(&w, &w.ended_granted, 1);
    finish(&w);
}

static void a_reset_passes_a_stalled_stream(void **state)
{
    struct world w;
    int client, instance;

    (void)state;
    begin(&w, true);
    join(&w, &client, &instance);
    (void)send_until_full(instance);
    reset(client);
    wait_for(&w, &w.ended_granted, 1);
    assert_int_equal(send(instance, "", 1, MSG_NOSIGNAL), -1);
    close(instance);
    join(&w, &client, &instance);
    (void)send_until_full(instance);
    reset(instance);
    wait_for(&w, &w.ended_granted, 2);
    close(client);
    finish(&w);
}

static void an_answer_before_a_reset_arrives(void **state)
{
    struct world w;
    int client, instance;

    (void)state;
    begin(&w, true);
    join(&w, &client, &instance);
    (void)send_until_full(client); /* a request nobody reads */
    say(instance, "413 too large");
    close(instance); /* with unread bytes: the kernel resets */
    hear(client, "413 too large");
    hear_reset(client);
    close(client);
    wait_for(&w, &w.ended_granted, 1);
    finish(&w);
}

static void a_connection_that_is_cut_is_reset_at_both_ends(void **state)
{
    struct world w;
    int client, instance;

    (void)state;
    begin(&w, true);
    join(&w, &client, &instance);
    say(client, "x");
    hear(instance, "x");
    pthread_mutex_lock(&w.lock);
    vh__conn_cut(w.waiting[0]);
    pthread_mutex_unlock(&w.lock);
    hear_reset(client);
    hear_reset(instance);
    part(&w, client, instance);
}

static void closing_a_listener_resets_those_that_wait_and_no_others(void **state)
{
    char address[VH_ACTIVATE_ADDRESS];
    vh_error err = { 0 };
    struct world w;
    int client[2], instance;
    vh__address at;

    (void)state;
    begin(&w, false);
    client[0] = client_of(&w);
    wait_for(&w, &w.wanted, 1);
    grant(&w, 0);
    instance = accept_from(w.backend);
    client[1] = client_of(&w);
    wait_for(&w, &w.wanted, 2);
    strcpy(address, vh__listener_address(w.listener));
    vh__listener_close(w.listener);
    assert_count(&w, &w.ended, 1); /* told before it returned */
    assert_count(&w, &w.ended_granted, 0);
    hear_reset(client[1]);
    close(client[1]);
    assert_ok(vh__address_parse(address, &at, &err), err);
    client[1] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(client[1], &at.at.any, at.len), -1);
    say(client[0], "on we go");
    hear(instance, "on we go");
    close(client[0]);
    close(client[1]);
    close(instance);
    wait_for(&w, &w.ended_granted, 1);
    finish(&w);
}

static void freeing_it_ends_whatever_goes_on(void **state)
{
    struct world w;
    int client[4], instance[2];

    (void)state;
    begin(&w, false);
    for (unsigned i = 0; i < 4; i++) {
        client[i] = client_of(&w);
        wait_for(&w, &w.wanted, i + 1);
    }
    grant(&w, 0);
    instance[0] = accept_from(w.backend);
    say(client[0], "idle");
    hear(instance[0], "idle");
    grant(&w, 1);
    instance[1] = accept_from(w.backend);
    (void)send_until_full(instance[1]);
    close(w.backend);
    w.backend = make_backend(&w.at, false);
    grant(&w, 2); /* connects for ever; the last one waits */
    vh__activator_free(w.a);
    w.a = NULL;
    assert_count(&w, &w.ended, 4);
    assert_count(&w, &w.ended_granted, 3);
    hear_reset(client[0]);
    hear_reset(client[3]);
    for (int i = 0; i < 4; i++)
        close(client[i]);
    close(instance[0]);
    close(instance[1]);
    finish(&w);
}

static void beyond_the_limit_connections_are_reset(void **state)
{
    vh__activator_options o;
    struct world w;
    int client[3], instance;

    (void)state;
    memset(&w, 0, sizeof(w));
    testenv_init(&w.env);
    o = options(&w);
    o.max_connections = 2;
    start(&w, &o, "tcp:127.0.0.1", false);
    client[0] = client_of(&w);
    client[1] = client_of(&w);
    wait_for(&w, &w.wanted, 2);
    client[2] = client_of(&w);
    hear_reset(client[2]);
    assert_count(&w, &w.wanted, 2);
    close(client[0]);
    wait_for(&w, &w.ended, 1);
    close(client[2]);
    client[2] = client_of(&w);
    wait_for(&w, &w.wanted, 3);
    grant(&w, 2);
    instance = accept_from(w.backend);
    say(client[2], "in again");
    hear(instance, "in again");
    close(client[1]);
    close(client[2]);
    close(instance);
    wait_for(&w, &w.ended, 3);
    finish(&w);
}

static void without_descriptors_they_wait_until_there_are_some(void **state)
{
    struct rlimit before, none;
    vh_error err = { 0 };
    struct world w;
    vh__address at;
    int client, instance;

    (void)state;
    begin(&w, true);
    assert_ok(vh__address_parse(vh__listener_address(w.listener), &at, &err), err);
    client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(getrlimit(RLIMIT_NOFILE, &before), errno);
    none = before;
    none.rlim_cur = 3; /* all above are in use, or count as it */
    assert_return_code(setrlimit(RLIMIT_NOFILE, &none), errno);
    assert_return_code(connect(client, &at.at.any, at.len), errno);
    stays_calm();
    assert_count(&w, &w.wanted, 0);
    assert_return_code(setrlimit(RLIMIT_NOFILE, &before), errno);
    wait_for(&w, &w.wanted, 1);
    set_deadline(client);
    instance = accept_from(w.backend);
    say(client, "patient");
    hear(instance, "patient");
    part(&w, client, instance);
}

static void a_hundred_listeners_cost_little(void **state)
{
    vh__listener *listeners[100];
    vh_error err = { 0 };
    struct world w;
    int64_t start_ns;
    int client;

    (void)state;
    begin(&w, false);
    start_ns = vh__clock_mono_ns();
    for (int i = 0; i < 100; i++)
        assert_ok(vh__activator_listen(w.a, "tcp:127.0.0.1", &w, &listeners[i], &err), err);
    assert_true(vh__clock_mono_ns() - start_ns < 2 * VH_NS_PER_S); /* 20 ms on a quiet machine */
    stays_calm();
    for (unsigned i = 0; i < 100; i += 33) {
        client = connect_to(vh__listener_address(listeners[i]));
        wait_for(&w, &w.wanted, i / 33 + 1);
        close(client);
    }
    wait_for(&w, &w.ended, 4);
    for (int i = 0; i < 50; i++)
        vh__listener_close(listeners[i]);
    finish(&w);
}

static void a_port_is_assigned_once_and_told_when_none_is_left(void **state)
{
    vh__activator_options o;
    vh__listener *other;
    vh_error err = { 0 };
    struct world w;

    (void)state;
    memset(&w, 0, sizeof(w));
    testenv_init(&w.env);
    o = options(&w);
    o.port_last = 20001;
    o.port_first = 20001;
    start(&w, &o, "tcp:127.0.0.1", false);
    assert_string_equal(vh__listener_address(w.listener), "tcp:127.0.0.1:20001");
    assert_int_equal(vh__activator_listen(w.a, "tcp:127.0.0.1", &w, &other, &err), -EADDRINUSE);
    assert_non_null(strstr(err.msg, "no port from 20001 to 20001 is free"));
    assert_int_equal(vh__activator_listen(w.a, "tcp:127.0.0.1:20001", &w, &other, &err), -EADDRINUSE);
    assert_int_equal(vh__activator_listen(w.a, "tcp:localhost", &w, &other, &err), VH_EINVALID);
    finish(&w);
}

static void unix_sockets_are_relayed_and_leave_nothing(void **state)
{
    vh_error err = { 0 };
    struct world w;
    char address[96];
    struct stat st;
    int client, instance;

    (void)state;
    begin(&w, true);
    vh__listener_close(w.listener);
    close(w.backend);
    snprintf(address, sizeof(address), "unix:%s/instance", w.env.dir);
    assert_ok(vh__address_parse(address, &w.at, &err), err);
    assert_ok(vh__listen_unix(w.at.at.un.sun_path, 0600, (gid_t)-1, &w.backend, NULL, &err), err);
    assert_return_code(fcntl(w.backend, F_SETFL, 0), errno);
    snprintf(address, sizeof(address), "unix:%s/function", w.env.dir);
    assert_ok(vh__activator_listen(w.a, address, &w, &w.listener, &err), err);
    assert_string_equal(vh__listener_address(w.listener), address);
    join(&w, &client, &instance);
    run_both_ways(client, instance, (size_t)4 << 20);
    close(client);
    close(instance);
    wait_for(&w, &w.ended_granted, 1);
    w.grant_at_once = false;
    client = client_of(&w);
    say(client, "request");
    wait_for(&w, &w.wanted, 2);
    close(client); /* of a Unix socket it is known that nobody waits for an answer */
    wait_for(&w, &w.ended, 2);
    vh__listener_close(w.listener);
    assert_int_equal(stat(address + 5, &st), -1);
    assert_ok(vh__activator_listen(w.a, address, &w, &w.listener, &err), err);
    assert_return_code(stat(address + 5, &st), errno);
    assert_int_equal(st.st_mode, S_IFSOCK | 0660);
    assert_return_code(unlink(address + 5), errno); /* taken over by another, which is left alone */
    assert_return_code(mkdir(address + 5, 0700), errno);
    vh__listener_close(w.listener);
    assert_return_code(rmdir(address + 5), errno);
    finish(&w);
}

static void the_trace_of_a_waiting_request_is_known_and_the_request_stays(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\nb3: 80f198ee56343ba8-e457b5a2e4d86bd1-1\r\n\r\n";
    vh__trace_context c = { .span = 1 };
    struct world w;
    int client, instance;

    (void)state;
    begin(&w, false);
    client = client_of(&w);
    wait_for(&w, &w.wanted, 1);
    assert_false(vh__conn_trace(w.waiting[0], &c));
    assert_int_equal(c.span, 1);
    say(client, request);
    assert_true(vh__conn_trace(w.waiting[0], &c));
    assert_int_equal(c.span, 0xe457b5a2e4d86bd1);
    grant(&w, 0);
    instance = accept_from(w.backend);
    hear(instance, request);
    part(&w, client, instance);
}

static int build(void *arg)
{
    struct world *w = arg;
    vh__activator_options o = options(w);
    vh__activator *a;
    vh__listener *l;
    int rc = vh__activator_new(&o, &ops, w, &a, NULL);

    if (rc)
        return rc;
    rc = vh__activator_listen(a, "tcp:127.0.0.1", w, &l, NULL);
    vh__activator_free(a);
    return rc;
}

static void without_memory_it_is_not_made(void **state)
{
    struct world w = { .a = NULL };

    (void)state;
    testenv_init(&w.env);
    failalloc_sweep(build, &w);
    testenv_fini(&w.env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_waits_and_is_relayed_once_granted),
        cmocka_unit_test(granted_at_once_it_is_relayed),
        cmocka_unit_test(a_process_that_is_being_started_keeps_nothing_watched),
        cmocka_unit_test(a_refused_connection_is_reset),
        cmocka_unit_test(a_peer_that_goes_while_it_waits_is_over_at_once),
        cmocka_unit_test(a_peer_that_ended_its_request_is_answered),
        cmocka_unit_test(an_instance_that_ends_first_still_hears),
        cmocka_unit_test(a_reset_of_either_end_is_one_for_the_other),
        cmocka_unit_test(an_instance_that_listens_later_is_reached),
        cmocka_unit_test(who_waits_too_long_is_reset),
        cmocka_unit_test(a_place_that_gets_free_by_time_is_given_at_once),
        cmocka_unit_test(an_attempt_without_answer_is_made_anew),
        cmocka_unit_test(an_instance_that_never_listens_is_given_up),
        cmocka_unit_test(a_peer_that_goes_while_it_is_connected_is_over_at_once),
        cmocka_unit_test(an_answer_for_a_peer_that_has_gone_is_fine),
        cmocka_unit_test(nobody_who_waits_makes_the_loop_spin),
        cmocka_unit_test(a_hundred_mib_both_ways_at_once_come_as_they_were_sent),
        cmocka_unit_test(a_slow_reader_stops_the_writer_and_loses_nothing),
        cmocka_unit_test(a_reset_passes_a_stalled_stream),
        cmocka_unit_test(an_answer_before_a_reset_arrives),
        cmocka_unit_test(a_connection_that_is_cut_is_reset_at_both_ends),
        cmocka_unit_test(closing_a_listener_resets_those_that_wait_and_no_others),
        cmocka_unit_test(freeing_it_ends_whatever_goes_on),
        cmocka_unit_test(beyond_the_limit_connections_are_reset),
        cmocka_unit_test(without_descriptors_they_wait_until_there_are_some),
        cmocka_unit_test(a_hundred_listeners_cost_little),
        cmocka_unit_test(a_port_is_assigned_once_and_told_when_none_is_left),
        cmocka_unit_test(unix_sockets_are_relayed_and_leave_nothing),
        cmocka_unit_test(the_trace_of_a_waiting_request_is_known_and_the_request_stays),
        cmocka_unit_test(without_memory_it_is_not_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
