/*
 * Ten thousand idle connections. Clients and instance are processes of their own: one process has but so many
 * descriptors, and the activator needs two of them for each.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "activate.h"
#include "address.h"
#include "auto.h"
#include "testenv.h"

#define WANTED 10000
#define FEWEST 1000
/* Descriptors that the activator leaves for everything else. */
#define OTHERS 512

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BYTES_EACH 8192 /* red zones and shadow are not ours */
#else
#define BYTES_EACH 1024
#endif

/* What goes wrong in a child ends it, and the test with it: nothing more comes through its pipe. */
static void child_must(int ok)
{
    if (!ok)
        _exit(1);
}

static pid_t start_child(void)
{
    pid_t pid = fork();

    assert_return_code(pid, errno);
    if (pid == 0)
        child_must(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    return pid;
}

static void echo_one(int fd)
{
    char byte;

    if (recv(fd, &byte, 1, 0) == 1)
        child_must(send(fd, &byte, 1, MSG_NOSIGNAL) == 1);
    else
        close(fd);
}

static void echo(int listener)
{
    int set = epoll_create1(0);
    struct epoll_event e = { .events = EPOLLIN, .data.fd = listener };

    child_must(epoll_ctl(set, EPOLL_CTL_ADD, listener, &e) == 0);
    while (epoll_wait(set, &e, 1, -1) == 1) {
        int fd = e.data.fd;

        if (fd != listener) {
            echo_one(fd);
            continue;
        }
        fd = accept(listener, NULL, NULL);
        e = (struct epoll_event){ .events = EPOLLIN, .data.fd = fd };
        child_must(fd >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, fd, &e) == 0);
    }
    _exit(1);
}

static void trip(int fd)
{
    char byte = 'x';

    child_must(send(fd, &byte, 1, MSG_NOSIGNAL) == 1 && recv(fd, &byte, 1, 0) == 1);
}

/* Connects |n| times to where it is told, says so, and when told to tries all of them again. */
static void be_clients(int n, int talk)
{
    int *fds = calloc((size_t)n, sizeof(*fds));
    vh__address at;
    char byte = 0;

    child_must(fds != NULL && recv(talk, &at, sizeof(at), 0) == sizeof(at));
    for (int i = 0; i < n; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        child_must(fds[i] >= 0 && connect(fds[i], &at.at.any, at.len) == 0);
        trip(fds[i]);
    }
    child_must(send(talk, &byte, 1, 0) == 1 && recv(talk, &byte, 1, 0) == 1);
    for (int i = 0; i < n; i++)
        trip(fds[i]);
    child_must(send(talk, &byte, 1, 0) == 1);
    (void)pause();
    _exit(0);
}

static void end_child(pid_t pid)
{
    assert_return_code(kill(pid, SIGKILL), errno);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void wanted(vh__conn *conn, void *owner, void *arg)
{
    const vh__address *instance = owner;

    (void)arg;
    vh__conn_grant(conn, &instance->at.any, instance->len);
}

static void ended(vh__conn *conn, bool granted, void *arg)
{
    (void)conn;
    (void)granted;
    (void)arg;
}

static long private_bytes(void)
{
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    char line[128];
    long kib = 0;

    assert_non_null(f);
    while (fgets(line, sizeof(line), f) && sscanf(line, "Private_Dirty: %ld", &kib) != 1)
        ;
    fclose(f);
    return kib * 1024;
}

static long cpu_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* How many connections this process can have: raises the limit of descriptors as far as it goes. */
static int room_for(void)
{
    struct rlimit limit;
    rlim_t n;

    assert_return_code(getrlimit(RLIMIT_NOFILE, &limit), errno);
    limit.rlim_cur = limit.rlim_max;
    assert_return_code(setrlimit(RLIMIT_NOFILE, &limit), errno);
    n = (limit.rlim_cur - OTHERS) / 2;
    return (int)VH_MIN(n, (rlim_t)WANTED);
}

static int listen_somewhere(vh__address *at)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *at = (vh__address){ .at.v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) },
                         .len = sizeof(at->at.v4) };
    assert_return_code(bind(fd, &at->at.any, at->len), errno);
    assert_return_code(listen(fd, 4096), errno);
    assert_return_code(getsockname(fd, &at->at.any, &at->len), errno);
    return fd;
}

static void hear(int talk)
{
    static const struct timeval limit = { .tv_sec = 60 };
    char byte;

    assert_return_code(setsockopt(talk, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), errno);
    assert_int_equal(recv(talk, &byte, 1, 0), 1);
}

static void ten_thousand_idle_connections_cost_little_and_go_on(void **state)
{
    static const vh__activate_ops ops = { wanted, ended };
    int n = room_for(), talk[2], listener, fds;
    vh__activator_options o = { .max_connections = WANTED, .wait_ms = 60000, .port_first = 21000, .port_last = 21999 };
    vh__address instance, function;
    vh__activator *a;
    vh__listener *l;
    vh_error err = { 0 };
    pid_t server, clients;
    long before, cpu;
    testenv t;

    (void)state;
    if (n < FEWEST || (n < WANTED && testenv_required("nofile")))
        testenv_skip("nofile", "the limit of descriptors leaves no room for 10,000 connections");
    testenv_init(&t);
    o.env = t.env;
    listener = listen_somewhere(&instance);
    assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talk), errno);
    server = start_child();
    if (server == 0)
        echo(listener);
    clients = start_child();
    if (clients == 0)
        be_clients(n, talk[1]);
    assert_ok(vh__activator_new(&o, &ops, NULL, &a, &err), err);
    assert_ok(vh__activator_listen(a, "tcp:127.0.0.1", &instance, &l, &err), err);
    assert_ok(vh__address_parse(vh__listener_address(l), &function, &err), err);
    fds = testenv_count_fds();
    before = private_bytes();
    assert_int_equal(send(talk[0], &function, sizeof(function), 0), sizeof(function));
    hear(talk[0]);
    print_message("%d connections, %ld bytes each\n", n, (private_bytes() - before) / n);
    assert_true(private_bytes() - before < (long)n * BYTES_EACH);
    assert_true(testenv_count_fds() - fds < 2 * n + 16); /* two each, and the pipes that are kept */
    cpu = cpu_ms();
    assert_int_equal(usleep(300000), 0);
    assert_true(cpu_ms() - cpu < 50);
    assert_int_equal(send(talk[0], "", 1, 0), 1);
    hear(talk[0]);

    vh__activator_free(a);
    end_child(clients);
    end_child(server);
    close(listener);
    close(talk[0]);
    close(talk[1]);
    testenv_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(ten_thousand_idle_connections_cost_little_and_go_on) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
